//! Faults that are injected: what each does, at a time that the test chooses.

use std::net::SocketAddr;
use std::time::Duration;

use countersign::faults::{FaultKind, Faulty};
use countersign::services::Echo;
use countersign::testing::{MemoryPeer, TestServer};
use countersign::{CloseReason, Dialect, Limits, Listener, ServerConfig};

use crate::common::{CHALLENGE, in_memory, speaking};

type Server = TestServer<Faulty<Echo>>;

const MILLI: Duration = Duration::from_millis(1);

fn faulty(faults: &str) -> Faulty<Echo> {
    Faulty::new(Echo, faults.parse().unwrap()).with_seed(7)
}

/// A server that echoes lines, with a peer.
fn echoing(faults: &str) -> (Server, MemoryPeer) {
    let mut server = in_memory(ServerConfig::open(), Limits::default(), faulty(faults));
    let peer = server.connect();
    (server, peer)
}

/// How often each fault has been injected.
fn injected(server: &Server) -> Vec<(FaultKind, u64)> {
    let counters = server.engine.counters();
    counters.faults_by_kind().filter(|(_, count)| *count > 0).collect()
}

fn closed(server: &Server) -> u64 {
    server.engine.counters().closed(CloseReason::InjectedFault)
}

/// What a peer receives, and after which time, in steps of this length.
fn received(server: &mut Server, peer: &MemoryPeer, step: Duration) -> Vec<(u128, Vec<u8>)> {
    let (began, mut received) = (server.now, Vec::new());
    for _ in 0..1_000 {
        let bytes = peer.take();
        if !bytes.is_empty() {
            let passed = server.now.saturating_duration_since(began);
            received.push((passed.as_micros(), bytes));
        }
        server.pass(step);
    }
    received
}

#[test]
fn a_delayed_reply_comes_in_its_time() {
    let (mut server, peer) = echoing("delay=150us");
    let other = server.connect();
    server.send(&peer, b"one\ntwo\n");
    server.pass(Duration::from_nanos(149_999));
    assert_eq!(peer.take(), b"");
    server.pass(Duration::from_nanos(1));
    assert_eq!(peer.take(), b"one\n");
    server.send(&other, b"other\n");
    server.pass(Duration::from_micros(150));
    assert_eq!((peer.take(), other.take()), (b"two\n".to_vec(), b"other\n".to_vec()));
    assert_eq!(server.engine.deadline().map(|due| due > server.now), Some(true));
    assert_eq!(injected(&server), [(FaultKind::Delay, 3)]);
}

#[test]
fn a_reply_is_sent_at_its_pace() {
    let (mut server, peer) = echoing("drip=4B/20ms");
    server.send(&peer, b"123456789\n");
    let pieces = received(&mut server, &peer, MILLI);
    assert_eq!(
        pieces,
        [(0, b"1234".to_vec()), (20_000, b"5678".to_vec()), (40_000, b"9\n".to_vec())]
    );
    let (mut server, peer) = echoing("stall=500ms");
    server.send(&peer, b"123456789\n");
    let pieces = received(&mut server, &peer, MILLI);
    assert_eq!(pieces.last().map(|(time, _)| *time), Some(500_000));
    let bytes: Vec<u8> = pieces.into_iter().flat_map(|(_, bytes)| bytes).collect();
    assert_eq!(bytes, b"123456789\n");
    let (mut server, peer) = echoing("slice=1..3");
    peer.set_room(25);
    server.send(&peer, b"123456789\n123456789\n123456789\n");
    assert_eq!(peer.take(), b"123456789\n123456789\n12345");
    server.make_room(&peer, usize::MAX);
    assert_eq!(peer.take(), b"6789\n");
    assert_eq!(injected(&server), [(FaultKind::Slice, 3)]);
}

#[test]
fn the_pieces_of_a_long_reply_leave_others_their_turn() {
    for faults in ["slice=1..1", "drip=1B/0s"] {
        let (mut server, peer) = echoing(faults);
        let other = server.connect();
        let line = [&[b'x'; 10_000][..], b"\n"].concat();
        server.arrive(&peer, &line);
        server.arrive(&other, b"other\n");
        server.engine.turn(server.now, server.wall).unwrap();
        assert_eq!(other.take(), b"other\n", "{faults}");
        let first = peer.take();
        assert!((1..line.len()).contains(&first.len()), "{faults}: {}", first.len());
        // More can be done at once.
        assert!(server.engine.deadline().is_some_and(|due| due <= server.now), "{faults}");
        server.work();
        assert_eq!([first, peer.take()].concat(), line, "{faults}");
    }
}

#[test]
fn a_connection_ends_as_its_fault_says() {
    let cases = [
        ("reset", true, 0..=0),
        ("close-before", false, 0..=0),
        ("close-after", false, 13..=13),
        ("truncate", false, 0..=12),
        ("delay=1ms;reset", true, 0..=0),
    ];
    for (faults, is_reset, lengths) in cases {
        let (mut server, peer) = echoing(faults);
        server.send(&peer, b"hello, world\nand this is never answered\n");
        server.pass(MILLI);
        assert!(peer.is_shut(), "{faults}");
        assert_eq!(peer.is_reset_by_server(), is_reset, "{faults}");
        let bytes = peer.take();
        let is_front = b"hello, world\n".starts_with(&bytes);
        assert!(is_front && lengths.contains(&bytes.len()), "{faults}: {bytes:?}");
        server.finish(&peer);
        assert_eq!(closed(&server), 1, "{faults}");
        let messages = u64::from(faults != "close-before");
        assert_eq!(server.engine.counters().messages, messages, "{faults}");
    }
}

#[test]
fn a_reply_is_corrupt_in_one_bit_or_missing() {
    let (mut server, peer) = echoing("corrupt");
    server.send(&peer, b"first\nsecond\n");
    let replies = peer.take();
    for (reply, sent) in replies.split(|byte| *byte == b'\n').zip([&b"first"[..], b"second"]) {
        let bits = reply.iter().zip(sent).map(|(a, b)| (a ^ b).count_ones());
        assert_eq!((bits.sum::<u32>(), reply.len()), (1, sent.len()), "{reply:?}");
    }
    let (mut server, peer) = echoing("mute:50");
    for number in 0..100 {
        server.send(&peer, format!("{number}\n").as_bytes());
    }
    let replies = String::from_utf8(peer.take()).unwrap();
    let replies: Vec<u32> = replies.lines().map(|line| line.parse().unwrap()).collect();
    assert!(replies.is_sorted() && (30..70).contains(&replies.len()), "{replies:?}");
    assert_eq!(injected(&server), [(FaultKind::Mute, 100 - replies.len() as u64)]);
    assert_eq!(server.engine.counters().messages, 100);
}

#[test]
fn a_rate_is_kept_exactly_over_all_connections() {
    const NANOS: u64 = 200_000_000;
    for rate in [2_000_u64, 20_000, 100_000, 333_333] {
        let (mut server, first) = echoing(&format!("rate={rate}"));
        let mut peers = vec![first];
        peers.extend((0..49).map(|_| server.connect()));
        // One more than can be answered in the time, so that there is always work.
        let each = usize::try_from(rate).unwrap() / 250 + 2;
        for peer in &peers {
            server.send(peer, &b"x\n".repeat(each));
        }
        let mut random = 1_u64;
        let mut passed = 0;
        while passed < NANOS {
            // The loop is never on time.
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let step = ((random >> 33) % 300_000).min(NANOS - passed);
            server.pass(Duration::from_nanos(step));
            passed += step;
            let answered = peers.iter().map(|peer| peer.written().len() / 2).sum::<usize>() as u64;
            let expected = passed * rate / 1_000_000_000 + 1;
            assert!(answered.abs_diff(expected) <= 1, "{rate}: {answered}, not {expected}");
        }
        let shares: Vec<usize> = peers.iter().map(|peer| peer.written().len() / 2).collect();
        let (least, most) = (shares.iter().min().unwrap(), shares.iter().max().unwrap());
        assert!(most - least <= 2, "each has its turn: {shares:?}");
    }
}

#[test]
fn a_connection_begins_late_or_not_at_all() {
    let server = |faults: &str| {
        let ends = speaking(Dialect::Raw);
        in_memory(&ends, Limits::default(), faulty(faults))
    };
    // Longer than the time for the handshake, which begins behind it.
    let mut late = server("accept-delay=6s");
    let peer = late.connect();
    late.pass(Duration::from_millis(5_999));
    assert_eq!(peer.take(), b"");
    late.pass(MILLI);
    assert_eq!(peer.take().len(), CHALLENGE);
    late.pass(Duration::from_millis(4_999));
    assert!(!peer.is_shut());
    late.pass(MILLI);
    assert!(peer.is_shut(), "the handshake has timed out");
    let mut none = server("refuse");
    let peer = none.connect();
    assert!(peer.is_closed() && peer.take().is_empty());
    assert_eq!((closed(&none), none.engine.counters().open()), (1, 0));
    let (mut server, peer) = echoing("handshake-delay=20ms");
    server.send(&peer, b"early\n");
    server.pass(Duration::from_millis(19));
    assert_eq!(peer.take(), b"");
    server.pass(MILLI);
    assert_eq!(peer.take(), b"early\n");
    server.send(&peer, b"and then\n");
    assert_eq!(peer.take(), b"and then\n", "once");
    assert_eq!(injected(&server), [(FaultKind::HandshakeDelay, 1)]);
}

#[test]
fn other_listeners_notice_nothing_and_faults_can_be_replaced() {
    let listener = || Listener::new(ServerConfig::open(), Limits::default());
    let service = faulty("");
    let mut server = TestServer::new([listener(), listener()], service).unwrap();
    let sound = server.connect_from(SocketAddr::from(([127, 0, 0, 1], 1)), 0);
    let sick = server.connect_from(SocketAddr::from(([127, 0, 0, 1], 2)), 1);
    let id = server.engine.listeners()[1].id();
    let both = |server: &mut TestServer<_>| {
        [&sound, &sick].map(|peer| {
            server.send(peer, b"x\n");
            peer.take().len()
        })
    };
    assert_eq!(both(&mut server), [2, 2]);
    server.engine.service_mut().replace_faults(id, "mute".parse().unwrap());
    assert_eq!(both(&mut server), [2, 0]);
    server.engine.service_mut().replace_faults(id, "delay=1h".parse().unwrap());
    assert_eq!(both(&mut server), [2, 0]);
    server.engine.service_mut().replace_faults(id, "".parse().unwrap());
    server.pass(Duration::from_secs(3_599));
    assert_eq!(sick.take(), b"", "what has begun ends as it was to");
    assert!(!sick.is_shut(), "no timer runs meanwhile");
    assert!(sound.is_shut(), "it was idle for too long");
    server.pass(Duration::from_secs(1));
    assert_eq!(sick.take(), b"x\n");
    server.send(&sick, b"y\n");
    assert_eq!(sick.take(), b"y\n");
}

#[test]
fn a_connection_that_may_have_faults_takes_more_memory() {
    let plain = in_memory(ServerConfig::open(), Limits::default(), Echo);
    let (faulty, _peer) = echoing("delay=1h");
    let [plain, faulty] = [plain.engine.memory_max(), faulty.engine.memory_max()];
    // Its faults, its pause, and that of a connection that is closed.
    assert_eq!(faulty.per_connection - plain.per_connection, 256 + 2 * 48);
}

#[test]
fn a_peer_that_goes_away_while_it_waits_leaves_nothing() {
    let (mut server, peer) = echoing("delay=1h");
    let quiet = server.engine.memory_max();
    for _ in 0..10_000 {
        let peer = server.connect();
        server.send(&peer, b"x\n");
        peer.reset();
        server.report(&peer, countersign::engine::Readiness { failed: true, ..Default::default() });
        server.work();
    }
    assert_eq!((server.engine.counters().open(), server.engine.bytes_buffered()), (1, 0));
    assert_eq!(server.engine.memory_max(), quiet);
    server.send(&peer, b"x\n");
    server.pass(Duration::from_secs(3600));
    assert_eq!(peer.take(), b"x\n");
}

#[test]
fn a_server_that_drains_sends_what_is_late_within_its_time() {
    let limits = Limits { drain_timeout: Duration::from_secs(5), ..Limits::default() };
    for (faults, reply) in [("delay=4s", &b"x\n"[..]), ("delay=6s", b"")] {
        let mut server = in_memory(ServerConfig::open(), limits.clone(), faulty(faults));
        let peer = server.connect();
        server.send(&peer, b"x\n");
        server.engine.drain(server.now);
        server.work();
        server.pass(Duration::from_secs(4));
        assert_eq!(peer.take(), reply, "{faults}");
        // The end of the drain stays due.
        server.engine.turn(server.now + Duration::from_secs(1), server.wall).unwrap();
        assert!(peer.is_shut() && server.engine.is_finished(), "{faults}");
    }
}

#[test]
fn a_connection_that_is_closed_within_a_reply_is_reset() {
    let cases = [
        ("drip=2B/20ms", usize::MAX, &b"12"[..], true),
        // Nothing of a reply that is held has been sent.
        ("delay=1h", usize::MAX, b"", false),
        // The system may have a part of one that is not held.
        ("delay=1h:0", 0, b"", true),
        ("delay=1h:0", 2, b"12", true),
        ("delay=1h:0", 5, b"1234\n", false),
    ];
    for (faults, room, written, is_reset) in cases {
        let (mut server, peer) = echoing(faults);
        peer.set_room(room);
        server.send(&peer, b"1234\n");
        assert_eq!(peer.written(), written, "{faults}, {room}");
        assert!(server.engine.dismiss(peer.id().unwrap(), server.now));
        assert_eq!(peer.is_reset_by_server(), is_reset, "{faults}, {room}");
    }
}

#[test]
fn nothing_of_the_host_comes_between_the_pieces_of_a_reply() {
    let (mut server, peer) = echoing("drip=2B/1ms");
    server.send(&peer, b"1234\n");
    let id = peer.id().unwrap();
    let told = server.engine.tell(id, b"news", server.now, server.wall);
    assert_eq!(told, Err(countersign::TellError::Full));
    server.pass(MILLI);
    server.pass(MILLI);
    assert_eq!(peer.take(), b"1234\n");
    server.engine.tell(id, b"news", server.now, server.wall).unwrap();
    assert_eq!(peer.take(), b"news\n");
}
