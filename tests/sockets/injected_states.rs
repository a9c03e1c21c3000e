//! Faults that are injected: in every dialect, and in whatever state of a connection they meet.

use std::time::Duration;

use countersign::faults::Faulty;
use countersign::services::{Echo, Sink};
use countersign::session::Event;
use countersign::testing::{MemoryPeer, TestServer};
use countersign::{
    CloseReason, Dialect, Key, KeyRing, KeyRingExt as _, Limits, Listener, Protection, Refusal,
    ServerConfig, Service, Session,
};

use crate::both_ends::BothEnds;
use crate::common::{CHALLENGE, in_memory, other_end, ring, speaking};

type Server<S = Echo> = TestServer<Faulty<S>>;

const MILLI: Duration = Duration::from_millis(1);

fn faulty<S: Service>(service: S, faults: &str) -> Faulty<S> {
    Faulty::new(service, faults.parse().unwrap()).with_seed(7)
}

/// A server for lines, with a peer.
fn serving<S: Service>(service: S, faults: &str) -> (Server<S>, MemoryPeer) {
    let mut server = in_memory(ServerConfig::open(), Limits::default(), faulty(service, faults));
    let peer = server.connect();
    (server, peer)
}

fn closed<S: Service>(server: &Server<S>, why: CloseReason) -> u64 {
    server.engine.counters().closed(why)
}

/// What a client has received from a server with faults, and how that ended.
#[derive(Debug, Default)]
struct Received {
    replies: Vec<Vec<u8>>,
    refusal: Option<Refusal>,
    is_over: bool,
}

/// What a client of these ends receives that sends three messages, one after the other, each when
/// its reply could have come.
fn received(ends: &BothEnds, faults: &str) -> Received {
    let mut server = in_memory(ends, Limits::default(), faulty(Echo, faults));
    let peer = server.connect();
    let mut session = Session::client(other_end(ends), Duration::ZERO, [9; 32]).unwrap();
    let (mut received, mut unread) = (Received::default(), Vec::new());
    let (mut out, mut sent, mut is_open) = (Vec::new(), 0, false);
    for step in 0..1_000 {
        unread.extend(peer.take());
        let mut input = &unread[..];
        loop {
            match session.process(Duration::ZERO, &mut input, &mut out) {
                Ok(Some(Event::Message(reply))) => received.replies.push(reply.bytes.to_vec()),
                Ok(Some(Event::Open(_))) => is_open = true,
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(refusal) => {
                    received.refusal = Some(refusal);
                    return received;
                }
            }
        }
        unread = input.to_vec();
        if is_open && sent < 3 && step % 200 == 199 {
            session.send(b"hello, world", &mut out).unwrap();
            sent += 1;
        }
        if !out.is_empty() {
            server.send(&peer, &std::mem::take(&mut out));
        }
        server.pass(MILLI);
    }
    received.is_over = peer.is_shut();
    received
}

/// Both ends of each dialect, and whether it has records.
fn dialects() -> Vec<(BothEnds, bool)> {
    let protected = |protection| {
        let ends = BothEnds::new(Dialect::Countersign, ring("sixteen bytes or more"));
        (ends.with_records(protection), true)
    };
    let python = Key::new("key", b"sixteen bytes or more").unwrap();
    let python = KeyRing::from_key(python.with_dialect(Dialect::Multiprocessing)).unwrap();
    let plain = [Dialect::Open, Dialect::Raw, Dialect::Hex, Dialect::Countersign];
    let mut all: Vec<(BothEnds, bool)> = plain.map(|dialect| (speaking(dialect), false)).into();
    all[0].0 = BothEnds::open();
    all.push((BothEnds::new(Dialect::Multiprocessing, python), false));
    all.extend([Protection::Required, Protection::Sealed].map(protected));
    all
}

#[test]
fn each_fault_is_the_same_in_every_dialect() {
    let none = "hello, world".len();
    for (ends, has_records) in dialects() {
        for (faults, replies, is_over) in [
            ("delay=20ms", 3, false),
            ("drip=3B/2ms", 3, false),
            ("slice=1..5B", 3, false),
            ("stall=20ms", 3, false),
            ("rate=100", 3, false),
            ("accept-delay=50ms", 3, false),
            ("handshake-delay=50ms", 3, false),
            ("mute", 0, false),
            ("close-after", 1, true),
            ("close-before", 0, true),
            ("truncate", 0, true),
            ("reset", 0, true),
            ("delay=5ms;stall=5ms;close-after", 1, true),
        ] {
            let received = received(&ends, faults);
            let what = format!("{:?}, {faults}: {received:?}", ends.server());
            assert_eq!((received.replies.len(), received.refusal), (replies, None), "{what}");
            assert_eq!(received.is_over, is_over, "{what}");
            assert!(received.replies.iter().all(|reply| reply == b"hello, world"), "{what}");
        }
        let Received { replies, refusal, .. } = received(&ends, "corrupt");
        let bits = |reply: &Vec<u8>| {
            let pairs = reply.iter().zip(b"hello, world");
            pairs.map(|(a, b)| (a ^ b).count_ones()).sum::<u32>()
        };
        assert!(replies.iter().all(|reply| reply.len() == none && bits(reply) == 1), "{replies:?}");
        let expected = if has_records { (0, Some(Refusal::BadRecord)) } else { (3, None) };
        assert_eq!((replies.len(), refusal), expected, "{:?}", ends.server());
    }
}

#[test]
fn a_last_message_without_an_end_has_its_faults_too() {
    let cases = [
        ("delay=5ms", 5, true),
        ("stall=5ms", 5, true),
        ("mute", 4, false),
        ("reset", 0, false),
        ("close-before", 0, false),
        ("truncate", 3, false),
    ];
    for (faults, most, is_whole) in cases {
        let (mut server, peer) = serving(Echo, faults);
        server.send(&peer, b"hello");
        server.finish(&peer);
        assert!(peer.take().len() < 5, "{faults}");
        let is_late = is_whole && !peer.is_shut();
        server.pass(Duration::from_millis(5));
        assert_eq!(is_late, is_whole, "{faults}");
        assert!(peer.is_closed() && peer.take().len() <= most, "{faults}");
        let messages = u64::from(faults != "close-before");
        assert_eq!(server.engine.counters().messages, messages, "{faults}");
    }
    let (mut server, peer) = serving(Echo, "corrupt");
    server.send(&peer, b"hello");
    server.finish(&peer);
    assert_ne!(peer.take(), b"hello\n");
    // What the service says at the end is no reply, and comes nevertheless, behind it.
    for (faults, sum) in [("mute", &b"5\n"[..]), ("delay=5ms", b"5\n"), ("close-after", b"")] {
        let (mut server, peer) = serving(Sink, faults);
        server.send(&peer, b"hello");
        server.finish(&peer);
        server.pass(Duration::from_millis(5));
        assert_eq!((peer.take(), peer.is_closed()), (sum.to_vec(), true), "{faults}");
    }
}

#[test]
fn a_connection_that_is_not_greeted_yet_can_be_evicted() {
    let limits = Limits { connections: 1, unauthenticated: 1, ..Limits::default() };
    let ends = speaking(Dialect::Raw);
    let mut server = in_memory(&ends, limits, faulty(Echo, "accept-delay=1h"));
    let first = server.connect();
    server.pass(Duration::from_secs(2));
    let second = server.connect();
    assert!(first.is_closed() && first.take().is_empty());
    let why = CloseReason::Refused(Refusal::TooManyConnections);
    assert_eq!((closed(&server, why), second.is_closed()), (1, false));
    server.pass(Duration::from_secs(3_600));
    assert_eq!(second.take().len(), CHALLENGE);
}

#[test]
fn a_server_that_drains_waits_for_no_greeting() {
    for faults in ["accept-delay=1h", "handshake-delay=1h"] {
        let ends = speaking(Dialect::Raw);
        let mut server = in_memory(&ends, Limits::default(), faulty(Echo, faults));
        let peer = server.connect();
        server.engine.drain(server.now);
        server.work();
        assert!(peer.is_closed() && server.engine.is_finished(), "{faults}");
        assert_eq!(closed(&server, CloseReason::Stopped), 1, "{faults}");
    }
}

#[test]
fn a_balancer_is_waited_for_behind_the_faults() {
    let behind = |faults: &str| {
        let listener = Listener::new(ServerConfig::open(), Limits::default())
            .with_proxies("127.0.0.1".parse().unwrap());
        let mut server = TestServer::new([listener], faulty(Echo, faults)).unwrap();
        let peer = server.connect();
        (server, peer)
    };
    let header = b"PROXY TCP4 192.0.2.7 198.51.100.1 4200 9527\r\n";
    for faults in ["accept-delay=50ms", "handshake-delay=50ms", "delay=50ms"] {
        let (mut server, peer) = behind(faults);
        server.send(&peer, &header[..20]);
        server.send(&peer, &[&header[20..], b"hello\n"].concat());
        server.pass(Duration::from_millis(49));
        assert_eq!(peer.take(), b"", "{faults}");
        server.pass(MILLI);
        assert_eq!(peer.take(), b"hello\n", "{faults}");
    }
    let (mut server, peer) = behind("accept-delay=1h");
    server.send(&peer, b"no header");
    server.pass(Duration::from_secs(3_600));
    assert!(peer.is_closed());
    assert_eq!(closed(&server, CloseReason::Refused(Refusal::ProxyHeader)), 1);
    let (server, peer) = behind("refuse");
    assert!(peer.is_closed());
    assert_eq!(closed(&server, CloseReason::InjectedFault), 1);
}

#[test]
fn clients_that_leave_free_their_places_in_the_schedule() {
    let (mut server, peer) = serving(Echo, "rate=10");
    let others: Vec<MemoryPeer> = (0..100).map(|_| server.connect()).collect();
    others.iter().for_each(|other| server.send(other, b"x\n"));
    server.pass(Duration::from_millis(1_010));
    assert_eq!(others.iter().filter(|other| !other.take().is_empty()).count(), 11);
    let failed = countersign::engine::Readiness { failed: true, ..Default::default() };
    for other in &others {
        other.reset();
        server.report(other, failed);
    }
    server.work();
    for number in 0..20 {
        server.send(&peer, b"x\n");
        server.pass(Duration::from_millis(100));
        assert_eq!(peer.take(), b"x\n", "{number}");
    }
    server.pass(Duration::from_secs(60));
    server.send(&peer, b"x\nx\n");
    assert_eq!(peer.take(), b"x\n", "times that are over are no credit");
    server.pass(Duration::from_millis(100));
    assert_eq!(peer.take(), b"x\n");
}

#[test]
fn many_messages_that_might_have_faults_are_answered_in_several_visits() {
    let (mut server, busy) = serving(Echo, "delay=1ms:0.0001");
    let other = server.connect();
    let lines = b"x\n".repeat(3_000);
    server.arrive(&busy, &lines);
    server.arrive(&other, b"y\n");
    server.engine.turn(server.now, server.wall).unwrap();
    assert_eq!(other.take(), b"y\n");
    assert!(busy.written().len() < lines.len());
    server.pass(MILLI);
    assert_eq!(busy.take(), lines);
}

#[test]
fn a_reply_in_pieces_is_sent_as_a_whole_though_its_session_is_too_old() {
    let limits = Limits { session_age_max: Some(MILLI), ..Limits::default() };
    let service = faulty(Echo, "drip=1B/1ns");
    let mut server = in_memory(ServerConfig::open(), limits, service);
    let peer = server.connect();
    let line = [&[b'x'; 1_000][..], b"\n"].concat();
    server.arrive(&peer, &line);
    server.engine.turn(server.now, server.wall).unwrap();
    // It has its turn, and then is too old in the same one.
    for _ in 0..3 {
        server.now = server.now + MILLI;
        server.engine.turn(server.now, server.wall).unwrap();
    }
    (0..2_000).for_each(|_| server.pass(MILLI));
    assert_eq!(peer.take(), line);
    server.finish(&peer);
    assert_eq!(closed(&server, CloseReason::SessionAge), 1);
}
