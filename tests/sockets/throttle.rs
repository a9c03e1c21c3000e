//! Networks that guess: first for nothing, then slowly, then not at all. All of 127.0.0.0/8 is
//! ours, so there are networks enough.

use std::net::SocketAddr;
use std::time::Duration;

use countersign::stats::Counters;
use countersign::{CloseReason, Dialect, Limits, Refusal};

use crate::both_ends::BothEnds;
use crate::common::{CHALLENGE, Client, PATIENCE, bracket, in_memory, now, proof, speaking};
use crate::progress::Progress;
use crate::server_thread::ServerThread;

const LONG: Duration = Duration::from_secs(3600);
const A_MOMENT: Duration = Duration::from_millis(50);
/// The engine counts whole milliseconds.
const GRAIN: Duration = Duration::from_millis(1);

/// Nothing is forgiven while a test runs.
fn limits(free: u32, max: u32, delay: Duration) -> Limits {
    Limits {
        failure_burst: free,
        failure_limit: max,
        failure_delay: delay,
        failure_decay: LONG,
        ..Limits::default()
    }
}

fn start(limits: Limits) -> (ServerThread, BothEnds) {
    let protocol = speaking(Dialect::Raw);
    (ServerThread::start(protocol.clone(), limits, bracket), protocol)
}

/// Comes from 127.0.0.HOST, and proves wrongly once it is greeted.
fn fail(host: u8, address: SocketAddr) {
    let mut client = Client::connect_from(host, address);
    client.hear(CHALLENGE);
    client.say(&[0; 32]);
    assert_eq!(client.hear_all().0, b"");
}

/// Comes from 127.0.0.HOST. Says whether it is greeted.
fn is_greeted(host: u8, address: SocketAddr) -> bool {
    Client::connect_from(host, address).hears_within(PATIENCE) == Some(true)
}

fn throttled(counters: &Counters) -> u64 {
    counters.closed(CloseReason::Refused(Refusal::Throttled))
}

fn converse(client: &mut Client, protocol: &BothEnds) {
    client.prove(protocol);
    client.say(b"in\n");
    client.expect(b"[in]\n");
}

#[test]
fn the_first_failures_are_free_then_newcomers_wait_and_then_they_are_refused() {
    let delay = Duration::from_millis(300);
    let (server, protocol) = start(limits(2, 4, delay));
    for _ in 0..2 {
        fail(2, server.address);
    }
    converse(&mut Client::connect_from(2, server.address), &protocol);
    assert_eq!(server.counted().delayed, 0);
    for failures in 3..=5 {
        fail(2, server.address);
        assert_eq!(server.counted().delayed, failures - 3);
    }
    assert_eq!(Client::connect_from(2, server.address).hear_all().0, b"");
    // The others have nothing to do with it.
    converse(&mut Client::connect_from(3, server.address), &protocol);
    let counters = server.stop();
    assert_eq!((counters.delayed, throttled(&counters)), (2, 1));
    assert_eq!(counters.closed(CloseReason::Refused(Refusal::WrongProof)), 5);
}

#[test]
fn who_is_delayed_is_neither_greeted_nor_read_before_its_time_and_then_served() {
    let delay = Duration::from_millis(400);
    let (server, protocol) = start(limits(0, 99, delay));
    // The address that everybody has is one like any other.
    fail(1, server.address);
    let read = server.counted().bytes_in;
    let began = now();
    let mut early = Client::connect(server.address);
    early.say(b"too early");
    let mut honest = Client::connect(server.address);
    assert_eq!(honest.hears_within(A_MOMENT), None);
    let counters = server.until("delayed", |counters| counters.delayed == 2);
    if began.elapsed() + GRAIN < delay {
        assert_eq!(counters.bytes_in, read);
    }
    converse(&mut honest, &protocol);
    assert!(began.elapsed() + GRAIN > delay);
    early.hear(CHALLENGE);
    early.say(&[b'x'; 32]);
    assert_eq!(early.hear_all().0, b"");
    assert_eq!(server.stop().closed(CloseReason::Refused(Refusal::WrongProof)), 2);
}

#[test]
fn the_time_for_the_handshake_begins_with_the_greeting() {
    let limits = Limits {
        handshake_timeout: Duration::from_secs(1),
        ..limits(0, 99, Duration::from_millis(1200))
    };
    let (server, protocol) = start(limits);
    fail(1, server.address);
    let mut mute = Client::connect(server.address);
    let mut honest = Client::connect(server.address);
    converse(&mut honest, &protocol);
    assert_eq!(mute.hear_all().0.len(), CHALLENGE);
    assert_eq!(server.stop().closed(CloseReason::Refused(Refusal::HandshakeTimeout)), 1);
}

#[test]
fn a_right_proof_is_never_refused_once_it_was_asked_for() {
    let (server, protocol) = start(limits(0, 0, LONG));
    let mut inside = Client::connect_from(2, server.address);
    converse(&mut inside, &protocol);
    let mut greeted = Client::connect_from(2, server.address);
    let proof = greeted.proof(&protocol);
    fail(2, server.address);
    assert!(!is_greeted(2, server.address));
    greeted.say(&proof);
    greeted.say(b"in\n");
    greeted.expect(b"[in]\n");
    inside.say(b"still in\n");
    inside.expect(b"[still in]\n");
    assert!(!is_greeted(2, server.address), "success forgives nothing");
}

#[test]
fn only_wrong_proofs_are_failures() {
    let limits = Limits {
        handshake_timeout: Duration::from_millis(500),
        unauthenticated_per_address: 1,
        ..limits(0, 0, LONG)
    };
    let (server, protocol) = start(limits);
    for said in [&b""[..], b"half a proof"] {
        let mut cut = Client::connect_from(2, server.address);
        cut.hear(CHALLENGE);
        cut.say(said);
        cut.finish();
        cut.hear_all();
        let mut late = Client::connect_from(2, server.address);
        late.say(said);
        late.hear_all();
    }
    Client::connect_from(2, server.address).reset();
    server.until("gone", |counters| counters.open() == 0);
    // Two of three at once find no room.
    let mut crowd = [(); 3].map(|()| Client::connect_from(2, server.address));
    for client in &mut crowd {
        client.hear_all();
    }
    let mut client = Client::connect_from(2, server.address);
    client.prove(&protocol);
    server.until("authenticated", |counters| counters.authenticated == 1);
    let counters = server.stop();
    assert!(counters.closed(CloseReason::Refused(Refusal::HandshakeTimeout)) >= 2, "{counters:?}");
    assert_eq!((counters.delayed, throttled(&counters)), (0, 0));
}

#[test]
fn who_is_delayed_is_a_visitor_and_makes_room_for_others() {
    let limits = Limits {
        unauthenticated: 2,
        handshake_timeout: Duration::from_secs(2),
        ..limits(0, 99, LONG)
    };
    let (server, protocol) = start(limits);
    fail(2, server.address);
    let mut delayed = [(); 2].map(|()| Client::connect_from(2, server.address));
    server.until("delayed", |counters| counters.delayed == 2);
    // It has to wait for a tenth of the handshake's time, not for the end of a delay.
    converse(&mut Client::connect_from(3, server.address), &protocol);
    assert_eq!(delayed[0].hear_all().0, b"", "it has waited longest");
    assert_eq!(delayed[1].hears_within(A_MOMENT), None);
    assert_eq!(server.stop().closed(CloseReason::Refused(Refusal::TooManyConnections)), 1);
}

#[test]
fn a_server_that_stops_waits_for_nobodys_delay() {
    let (server, _) = start(limits(0, 99, LONG));
    fail(2, server.address);
    let mut delayed = Client::connect_from(2, server.address);
    server.until("delayed", |counters| counters.delayed == 1);
    let counters = server.stop();
    assert_eq!(delayed.hear_all().0, b"");
    assert_eq!(counters.closed(CloseReason::Stopped), 1);
}

#[test]
fn a_failure_is_forgiven_in_time() {
    let forgiven = Duration::from_millis(300);
    let limits = Limits { failure_decay: forgiven, ..limits(0, 0, LONG) };
    let (server, _) = start(limits);
    let began = now();
    fail(2, server.address);
    let mut progress = Progress::since(());
    while !is_greeted(2, server.address) {
        assert!(progress.continues(()), "it is never forgiven");
    }
    assert!(began.elapsed() + GRAIN > forgiven);
    assert!(throttled(&server.stop()) > 0);
}

#[test]
fn a_burst_of_failures_keeps_its_network_out_for_a_bounded_time() {
    const BURST: usize = 200;
    // One by one, these would be forgiven after 200 s.
    let limits = Limits { failure_decay: Duration::from_secs(1), ..limits(0, 1, LONG) };
    let (server, _) = start(Limits { failure_delay: Duration::ZERO, ..limits });
    let mut burst: Vec<Client> = (0..BURST).map(|_| Client::connect(server.address)).collect();
    burst.iter_mut().for_each(|client| drop(client.hear(CHALLENGE)));
    burst.iter_mut().for_each(|client| client.say(&[0; 32]));
    let wrong = CloseReason::Refused(Refusal::WrongProof);
    server.until("failed", |counters| counters.closed(wrong) == BURST as u64);
    assert!(!is_greeted(1, server.address));
    let began = now();
    while !is_greeted(1, server.address) {
        assert!(began.elapsed() < 3 * PATIENCE, "it is never forgiven");
    }
}

#[test]
fn a_flood_of_networks_does_not_wash_the_worst_away() {
    // One set of places.
    let limits = Limits { failure_networks: 4, ..limits(1, 3, Duration::ZERO) };
    let (server, _) = start(limits);
    for _ in 0..4 {
        fail(2, server.address);
    }
    for host in 3..=200 {
        fail(host, server.address);
    }
    assert!(!is_greeted(2, server.address));
    assert!((3..=200).all(|host| is_greeted(host, server.address)));
    assert_eq!(throttled(&server.stop()), 1);
}

#[test]
fn where_all_is_forgiven_at_once_nobody_is_throttled() {
    let limits = Limits { failure_decay: Duration::ZERO, ..limits(0, 0, LONG) };
    let (server, _) = start(limits);
    for _ in 0..20 {
        fail(1, server.address);
    }
    let counters = server.stop();
    assert_eq!((counters.delayed, throttled(&counters)), (0, 0));
}

#[test]
fn connections_are_counted_by_what_they_wait_for() {
    let ends = speaking(Dialect::Raw);
    let mut server = in_memory(&ends, limits(0, 9, LONG), bracket);
    let from = |host: u8| SocketAddr::from(([127, 0, 0, host], 9));
    let guesser = server.connect_from(from(1), 0);
    server.send(&guesser, &[0; 32]);
    let _delayed = server.connect_from(from(1), 0);
    let [_challenged, open] = [2, 3].map(|host| server.connect_from(from(host), 0));
    server.send(&open, &proof(&ends, &open.take()));
    let stats = server.engine.stats(server.now);
    let now = stats.listeners[0].connections;
    assert_eq!((now.delayed, now.handshake, now.open, now.closing), (1, 1, 1, 0));
    assert!(!stats.is_draining && !server.engine.is_draining());
    server.engine.drain(server.now);
    assert!(server.engine.stats(server.now).is_draining && server.engine.is_draining());
}
