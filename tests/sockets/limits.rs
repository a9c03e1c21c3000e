//! Memory: no more than the limits come to, and nothing for what a peer merely claims.

use std::fs;
use std::time::Duration;

use countersign::engine::Readiness;
use countersign::services::{Discard, Echo};
use countersign::testing::{MemoryPeer, TestServer};
use countersign::{CloseReason, Dialect, Framing, Limits, ListenerConfig, Reply, Server, Session};

use crate::both_ends::BothEnds;
use crate::caller::with_records;
use crate::child;
use crate::common::{Client, PATIENCE, in_memory, other_end, speaking, turn_until};

/// Takes what it is given for a length, and answers with so many bytes.
fn of_that_length(message: &[u8], reply: &mut Reply<'_>) {
    let length = str::from_utf8(message).ok().and_then(|text| text.trim().parse().ok());
    reply.message(&vec![b'x'; length.unwrap_or(1)]);
}

#[test]
fn a_connection_keeps_no_more_than_the_sum_says() {
    for (read_max, batch_max) in [(16 << 10, 16 << 10), (1_024, 1_024), (16 << 10, 1), (90, 5_000)]
    {
        let limits = Limits { reply_max: 100_000, read_max, batch_max, ..Limits::default() };
        keeps_no_more_than_the_sum_says(&limits);
    }
}

fn keeps_no_more_than_the_sum_says(limits: &Limits) {
    let long = format!("{}{:6}\n", " ".repeat(65_530), 99_980);
    let short = format!("{:100}\n", 120).repeat(160);
    let largest = format!("{short}99980\n99980\n");
    let cases: [(&str, Vec<&str>); 6] = [
        ("half a message", vec![&long[..65_536]]),
        ("drops of a message", long.as_bytes()[..65_000].chunks(7).map(text).collect()),
        ("a large reply", vec!["99980\n"]),
        ("a batch that is just not full, and a large reply", vec![&largest]),
        (
            "a cut message, its reply and more behind",
            vec![&long[..60_000], &long[60_000..], &short],
        ),
        ("a cut message with more right behind it", vec![&long[..60_000], "held"]),
    ];
    for (what, said) in cases {
        for room in [0, 1, 5000, 16_384] {
            let mut server = in_memory(BothEnds::open(), limits.clone(), of_that_length);
            let line = server.connect();
            line.set_room(room);
            for piece in &said {
                if *piece == "held" {
                    let rest = [&long.as_bytes()[60_000..], short.as_bytes()].concat();
                    server.send(&line, &rest);
                } else {
                    server.send(&line, piece.as_bytes());
                }
            }
            let (held, max) = (server.engine.bytes_buffered(), server.engine.memory_max());
            assert!(held <= max.buffered_per_connection, "{what}: {held} of {max:?}, {limits:?}");
            assert!(held > 0 || room > 0, "{what}: the connection isn't stuck at all");
        }
    }
}

#[test]
fn the_sum_is_what_a_connection_can_keep() {
    let limits =
        Limits { reply_max: 100_000, read_max: 1_024, batch_max: 5_000, ..Limits::default() };
    let ends = BothEnds::open().with_message_max(1_000);
    let mut server = in_memory(&ends, limits, of_that_length);
    let line = server.connect();
    line.set_room(0);
    // A batch that is just not full, a long reply, and the rest of the read.
    let said = [&b"1248\n".repeat(4)[..], b"99980\n", &[b'x'; 998]].concat();
    assert_eq!(said.len(), 1_024);
    server.send(&line, &said);
    let (held, max) = (server.engine.bytes_buffered(), server.engine.memory_max());
    assert!(held <= max.buffered_per_connection, "{held} of {max:?}");
    assert!(held + 1_024 >= max.buffered_per_connection, "{held} of {max:?}");
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap()
}

#[test]
fn a_connection_that_is_not_stuck_keeps_nothing() {
    for framing in Framing::ALL.iter().copied() {
        let mut server = in_memory(BothEnds::open().with_framing(framing), Limits::default(), Echo);
        let lines: Vec<_> = (0..100).map(|_| server.connect()).collect();
        for line in &lines {
            for piece in ["\0\0\0\x06long\r", "\n", "\0\0\0\x02\r\n"] {
                server.send(line, piece.as_bytes());
            }
        }
        assert_eq!(server.engine.bytes_buffered(), 0, "{framing}");
    }
}

#[test]
fn a_length_that_is_only_claimed_takes_no_memory() {
    let protocol = BothEnds::open().with_framing(Framing::Length).with_message_max(1 << 30);
    // Or the limit on what is kept would close the connection, and hide it.
    let limits = Limits { buffered_max: usize::MAX, ..Limits::default() };
    let mut server = in_memory(protocol, limits, Discard);
    for header in [&b"\x3f\xff\xff\xff"[..], b"\xff\xff\xff\xff\0\0\0\0\x3f\xff\xff\xff"] {
        let line = server.connect();
        server.send(&line, header);
        server.send(&line, b"ten bytes.");
        let (held, open) = (server.engine.bytes_buffered(), server.engine.counters().open());
        assert!(held as u64 <= 1024 * open, "{held} bytes");
    }
    assert_eq!(server.engine.counters().open(), 2);
}

/// What the system counts of this process, in bytes.
fn usage(field: &str) -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim_matches([':', '\t', ' ']).split(' ').next().unwrap().parse::<usize>().unwrap() << 10
}

/// Runs a test that measures its whole process.
#[track_caller]
fn measured(test: &str) {
    if !cfg!(target_os = "linux") {
        eprintln!("SKIP {test}: there is no /proc/self/status here");
        return;
    }
    let output = child::command(&[], test).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn the_process_stays_within_the_sum_with_every_peer_stuck() {
    measured("limits::every_peer_is_stuck");
}

#[test]
#[ignore = "needs a process of its own, which the test above gives it"]
fn every_peer_is_stuck() {
    const PEERS: usize = 150;
    if !child::is_child() {
        return;
    }
    let limits = Limits { connections: PEERS, buffered_max: 8 << 20, ..Limits::default() };
    let before = usage("RssAnon");
    let listener =
        ListenerConfig::new(BothEnds::open()).with_limits(limits).bind("127.0.0.1:0").unwrap();
    let mut server = Server::new([listener], of_that_length).unwrap();
    let mut clients = Vec::new();
    for number in 0..PEERS {
        let mut client = Client::connect(server.addresses()[0].ip().unwrap());
        while server.counters().accepted <= number as u64 {
            server.turn(Some(PATIENCE)).unwrap();
        }
        // One half stops short of a message's end, the other takes no reply.
        if number % 2 == 0 {
            client.say(&[b'x'; 65_000]);
        } else {
            client.say(&b"60000\n".repeat(200));
        }
        clients.push(client);
    }
    let wait = Duration::from_millis(100);
    while server.turn(Some(wait)).unwrap() > 0 {}
    let (used, memory) = (usage("RssAnon") - before, server.memory_max());
    let counters = server.counters();
    println!("{used} bytes used of {} {counters:?}", memory.total);
    assert!(counters.open() >= 60, "the peers are gone");
    assert!(used <= memory.total, "{used} bytes are more than {memory:?}");
}

#[test]
fn the_process_stays_within_the_sum_while_peers_fragment_its_memory() {
    measured("limits::peers_fragment_the_memory");
}

/// Peers that say so many bytes of a line each, and don't end it, until little more may be held.
fn hold_partial_messages(server: &mut Server<Discard>, clients: &mut Vec<Client>, length: usize) {
    let buffered_max = server.listeners()[0].limits().buffered_max;
    while server.listeners()[0].bytes_buffered() + 2 * length < buffered_max {
        let mut client = Client::connect(server.addresses()[0].ip().unwrap());
        client.say(&vec![b'x'; length]);
        let read = server.counters().bytes_in + length as u64;
        turn_until(server, |server| server.counters().bytes_in == read);
        clients.push(client);
    }
}

#[test]
#[ignore = "needs a process of its own, which the test above gives it"]
fn peers_fragment_the_memory() {
    if !child::is_child() {
        return;
    }
    rlimit::increase_nofile_limit(12_000).unwrap();
    let limits = Limits { connections: 5_000, buffered_max: 16 << 20, ..Limits::default() };
    let before = usage("RssAnon");
    let listener =
        ListenerConfig::new(BothEnds::open()).with_limits(limits).bind("127.0.0.1:0").unwrap();
    let mut server = Server::new([listener], Discard).unwrap();
    let (mut clients, mut used) = (Vec::new(), 0);
    // Each crowd is of longer lines than the one before it, of which every third stays: buffers of
    // those lengths would find no place between the ones that stay.
    for length in [3_900, 5_000, 7_900, 10_000, 15_900, 20_000, 31_900, 40_000, 60_000] {
        hold_partial_messages(&mut server, &mut clients, length);
        used = used.max(usage("RssAnon") - before);
        let mut number = 0;
        clients.retain(|_| {
            number += 1;
            number % 3 == 0
        });
        turn_until(&mut server, |server| server.counters().open() == clients.len() as u64);
    }
    let memory = server.memory_max();
    println!("{used} bytes used of {} {:?}", memory.total, server.counters());
    assert_eq!(server.counters().closed(CloseReason::Overloaded), 0);
    assert!(used <= memory.total, "{used} bytes are more than {memory:?}");
}

#[test]
fn the_process_stays_within_the_sum_while_rests_of_batches_fragment_its_memory() {
    measured("limits::rests_of_batches_fragment_the_memory");
}

/// Has a peer authenticate, and send a batch of so many bytes that is answered in part: more
/// messages than one visit takes, and no room for the replies.
fn leave_a_batch(server: &mut TestServer<Echo>, ends: &BothEnds, length: usize) -> MemoryPeer {
    let peer = server.connect();
    let mut client = Session::client(other_end(ends), Duration::ZERO, [7; 32]).unwrap();
    let mut out = Vec::new();
    while client.process(Duration::ZERO, &mut &*peer.take(), &mut out).unwrap().is_none() {
        server.send(&peer, &out);
        out.clear();
    }
    server.send(&peer, &out);
    out.clear();
    peer.set_room(0);
    let rest = vec![b'x'; length - 3 * 1025];
    client.send_all([vec![&b""[..]; 1024], vec![&rest]].concat(), &mut out).unwrap();
    // In drops, or what the peer's end needs would count too.
    out.chunks(200).for_each(|drop| server.send(&peer, drop));
    peer
}

#[test]
#[ignore = "needs a process of its own, which the test above gives it"]
fn rests_of_batches_fragment_the_memory() {
    if !child::is_child() {
        return;
    }
    let ends = with_records(speaking(Dialect::Countersign));
    let limits = Limits { connections: 8_000, buffered_max: 16 << 20, ..Limits::default() };
    let before = usage("RssAnon");
    let mut server = in_memory(&ends, limits, Echo);
    let (mut peers, mut used) = (Vec::new(), 0);
    for length in [3_500, 5_500, 9_000, 16_000] {
        while server.engine.bytes_buffered() + 2 * length < 16 << 20 {
            peers.push(leave_a_batch(&mut server, &ends, length));
            assert!(peers.len() < 8_000, "they keep nothing");
        }
        used = used.max(usage("RssAnon") - before);
        let mut number = 0;
        peers.retain(|peer: &MemoryPeer| {
            number += 1;
            let stays = number % 3 == 0;
            if !stays {
                peer.reset();
                server.report(peer, Readiness { failed: true, ..Readiness::default() });
            }
            stays
        });
        server.work();
        assert_eq!(server.engine.counters().open(), peers.len() as u64);
    }
    let memory = server.engine.memory_max();
    println!("{used} bytes used of {} {:?}", memory.total, server.engine.counters());
    assert!(used <= memory.total, "{used} bytes are more than {memory:?}");
}

/// Peers of whom each says half a line, in a service that answers whole ones.
#[test]
fn whoever_was_stuck_longest_makes_room_for_others() {
    let limits = Limits { buffered_max: 256 << 10, ..Limits::default() };
    let mut server = in_memory(BothEnds::open(), limits, Echo);
    let holders: Vec<_> = (0..20)
        .map(|_| {
            let holder = server.connect();
            server.send(&holder, &[b'x'; 16_000]);
            server.pass(Duration::from_millis(1));
            holder
        })
        .collect();
    let overloaded =
        |server: &TestServer<Echo>| server.engine.counters().closed(CloseReason::Overloaded);
    let before = overloaded(&server);
    assert!(before > 0 && server.engine.bytes_buffered() <= 256 << 10);
    let gone = usize::try_from(before).unwrap();
    assert!(holders[..gone].iter().all(MemoryPeer::is_closed), "those who came first have gone");
    assert!(!holders[gone..].iter().any(MemoryPeer::is_closed), "the others have not");
    // More than is free: another holder goes, and nobody who is served.
    for _ in 0..5 {
        let honest = server.connect();
        server.send(&honest, &[b'y'; 16_000]);
        server.pass(Duration::from_millis(1));
        server.send(&honest, b"\n");
        assert_eq!(honest.written().len(), 16_001);
        assert!(!honest.is_closed());
    }
    assert!((before..before + 2).contains(&(overloaded(&server) - 1)), "{}", overloaded(&server));
    // So does a reply that its peer doesn't take.
    let before = overloaded(&server);
    let deaf = server.connect();
    deaf.set_room(0);
    server.send(&deaf, &[&[b'z'; 60_000][..], b"\n"].concat());
    assert!(overloaded(&server) >= before + 3 && !deaf.is_closed());
    assert!(server.engine.bytes_buffered() <= 256 << 10);
}

/// Sets how many bytes a server may buffer.
fn set_buffered_max(server: &mut TestServer<Echo>, buffered_max: usize) {
    let limits = Limits { buffered_max, ..Limits::default() };
    let (id, now) = (server.engine.listeners()[0].id(), server.now);
    server.engine.replace_limits(id, limits, now).unwrap();
}

/// Peers that have said this, one after the other.
fn peers_that_say<const N: usize>(server: &mut TestServer<Echo>, said: &[u8]) -> [MemoryPeer; N] {
    std::array::from_fn(|_| {
        server.pass(Duration::from_millis(1));
        let peer = server.connect();
        server.send(&peer, said);
        peer
    })
}

#[test]
fn as_many_make_room_as_grow_beyond_the_limit_and_no_more() {
    let mut server = in_memory(BothEnds::open(), Limits::default(), Echo);
    let [_small] = peers_that_say(&mut server, b"x");
    let each = server.engine.bytes_buffered();
    let holders: [_; 4] = peers_that_say(&mut server, &[b'x'; 5_000]);
    let all = server.engine.bytes_buffered();
    set_buffered_max(&mut server, all + each);
    let [last] = peers_that_say(&mut server, b"x");
    assert_eq!(server.engine.bytes_buffered(), all + each, "exactly what is allowed");
    assert_eq!(server.engine.counters().closed(CloseReason::Overloaded), 0);
    // What was allowed before may stay.
    set_buffered_max(&mut server, 1);
    let [next] = peers_that_say(&mut server, b"x");
    assert_eq!(server.engine.counters().closed(CloseReason::Overloaded), 1);
    assert!(holders.iter().chain([&last, &next]).all(|peer| !peer.is_closed()));
}

#[test]
fn who_has_said_nothing_makes_no_room_for_who_has() {
    let mut server = in_memory(speaking(Dialect::Raw), Limits::default(), Echo);
    let [silent] = peers_that_say(&mut server, b"");
    let [first] = peers_that_say(&mut server, &[0; 9]);
    let held = server.engine.bytes_buffered();
    set_buffered_max(&mut server, held);
    let [second] = peers_that_say(&mut server, &[0; 9]);
    assert!(second.is_closed() && !silent.is_closed() && !first.is_closed());
    silent.reset();
    server.report(&silent, Readiness { failed: true, ..Readiness::default() });
    let [third] = peers_that_say(&mut server, &[0; 9]);
    assert!(first.is_closed() && !third.is_closed());
}

#[test]
fn the_process_grows_by_nothing_that_is_only_claimed() {
    measured("limits::every_peer_claims_much");
}

#[test]
#[ignore = "needs a process of its own, which the test above gives it"]
fn every_peer_claims_much() {
    const PEERS: usize = 100;
    if !child::is_child() {
        return;
    }
    let protocol = BothEnds::open().with_framing(Framing::Length).with_message_max(64 << 20);
    let limits = Limits { buffered_max: usize::MAX, ..Limits::default() };
    let listener = ListenerConfig::new(protocol).with_limits(limits).bind("127.0.0.1:0").unwrap();
    let mut server = Server::new([listener], Discard).unwrap();
    let before = usage("VmSize");
    let mut clients = Vec::new();
    for number in 0..PEERS {
        let mut client = Client::connect(server.addresses()[0].ip().unwrap());
        client.say(b"\x03\xff\xff\xffand some");
        while server.counters().bytes_in < 12 * (number as u64 + 1) {
            server.turn(Some(PATIENCE)).unwrap();
        }
        clients.push(client);
    }
    let grown = usage("VmSize") - before;
    println!("{grown} bytes");
    assert_eq!(server.counters().open(), PEERS as u64);
    assert!(grown < 32 << 20, "{grown} bytes for {PEERS} claims of 64 MiB");
}

#[test]
fn the_greatest_limits_and_times_are_taken_as_they_are() {
    let most = Duration::MAX;
    let limits = Limits {
        connections: usize::MAX,
        unauthenticated: usize::MAX,
        unauthenticated_per_address: usize::MAX,
        handshake_timeout: most,
        idle_timeout: most,
        message_timeout: most,
        write_timeout: most,
        session_age_max: Some(most),
        drain_timeout: most,
        reply_max: usize::MAX,
        read_max: usize::MAX,
        batch_max: usize::MAX,
        buffered_max: usize::MAX,
        failure_burst: u32::MAX,
        failure_limit: u32::MAX,
        failure_delay: most,
        failure_decay: most,
        failure_networks: usize::MAX,
    };
    let listener =
        ListenerConfig::new(BothEnds::open()).with_limits(limits).with_user_timeout(most);
    let mut server = Server::new([listener.bind("127.0.0.1:0").unwrap()], Echo).unwrap();
    server.set_busy_poll(most);
    let (address, handle) = (server.addresses()[0].to_string(), server.handle());
    let served = std::thread::spawn(move || server.run());
    let mut client =
        countersign::Client::connect_within(&*address, BothEnds::open(), most).unwrap();
    client.set_timeout(Some(most));
    assert_eq!(client.ask(b"a").unwrap(), b"a");
    drop(client);
    handle.drain().unwrap();
    served.join().unwrap().unwrap();
}
