//! Many at once: caps on connections and on those who haven't proved themselves, and fair turns.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use countersign::services::Echo;
use countersign::{CloseReason, Dialect, Limits, ListenerConfig, Refusal, Reply, Server};

use crate::both_ends::BothEnds;
use crate::common::{CHALLENGE, Client, IN_LINES, PATIENCE, bracket, speaking};
use crate::server_thread::ServerThread;

const A_MOMENT: Duration = Duration::from_millis(150);

fn too_many(server: &ServerThread) -> u64 {
    server.counted().closed(CloseReason::Refused(Refusal::TooManyConnections))
}

#[test]
fn while_the_server_is_full_the_next_one_waits_and_is_then_served() {
    for dialect in IN_LINES {
        let protocol = speaking(dialect);
        let limits = Limits { connections: 2, ..Limits::default() };
        let server = ServerThread::start(protocol.clone(), limits, bracket);
        let mut inside: Vec<Client> = (0..2)
            .map(|_| {
                let mut client = Client::enter(server.address, &protocol);
                client.say(b"a\n");
                client.expect(b"[a]\n");
                client
            })
            .collect();
        let mut next = Client::connect(server.address);
        if dialect == Dialect::Open {
            next.say(b"b\n");
        }
        assert_eq!(next.hears_within(A_MOMENT), None, "{dialect}: the server is full");
        for client in &mut inside {
            client.say(b"c\n");
            client.expect(b"[c]\n");
        }
        inside.pop();
        next.prove(&protocol);
        next.say(b"d\n");
        let expected = if dialect == Dialect::Open { "[b]\n[d]\n" } else { "[d]\n" };
        next.expect(expected.as_bytes());
    }
}

#[test]
fn the_honest_are_served_while_one_address_floods_and_the_flood_is_gone_at_the_deadline() {
    let protocol = speaking(Dialect::Hex);
    let limits = Limits {
        unauthenticated: 40,
        unauthenticated_per_address: 20,
        handshake_timeout: Duration::from_secs(1),
        ..Limits::default()
    };
    let server = ServerThread::start(protocol.clone(), limits, bracket);
    let flood: Vec<Client> = (0..100)
        .map(|_| {
            let mut dripper = Client::connect(server.address);
            dripper.try_to_say(b"0");
            dripper
        })
        .collect();
    for number in 0..50_u8 {
        let mut honest = Client::connect_from(2 + number % 4, server.address);
        honest.prove(&protocol);
        honest.say(b"here\n");
        honest.expect(b"[here]\n");
    }
    let counters = server.until("all drippers gone", |counters| {
        let timeouts = counters.closed(CloseReason::Refused(Refusal::HandshakeTimeout));
        timeouts + counters.closed(CloseReason::Refused(Refusal::TooManyConnections)) == 100
    });
    assert_eq!(counters.authenticated, 50, "{counters:?}");
    for mut dripper in flood {
        assert!(dripper.hear_all().0.len() <= CHALLENGE);
    }
}

#[test]
fn a_flood_from_many_addresses_gives_way_to_the_honest() {
    let protocol = speaking(Dialect::Raw);
    let limits = Limits {
        unauthenticated: 20,
        // Far off: only displacement can help here.
        handshake_timeout: Duration::from_secs(2),
        ..Limits::default()
    };
    let server = ServerThread::start(protocol.clone(), limits, bracket);
    let _flood: Vec<Client> =
        (0..60).map(|number| Client::connect_from(10 + number % 30, server.address)).collect();
    let mut honest = Client::connect(server.address);
    honest.prove(&protocol);
    honest.say(b"at last\n");
    honest.expect(b"[at last]\n");
    assert!(too_many(&server) > 0);
}

#[test]
fn an_address_that_has_too_many_waiting_displaces_its_own() {
    let protocol = speaking(Dialect::Raw);
    let limits = Limits {
        unauthenticated_per_address: 2,
        handshake_timeout: Duration::from_secs(30),
        ..Limits::default()
    };
    let server = ServerThread::start(protocol.clone(), limits, bracket);
    let mut waiting: Vec<Client> = (0..2).map(|_| Client::connect(server.address)).collect();
    waiting.iter_mut().for_each(|client| drop(client.hear(CHALLENGE)));
    // Nobody is displaced so early, so the third is turned away, without a challenge.
    assert_eq!(Client::connect(server.address).hear_all().0, b"");
    assert_eq!(too_many(&server), 1);
    // Other addresses don't notice.
    let mut other = Client::connect_from(2, server.address);
    other.prove(&protocol);
    other.say(b"a\n");
    other.expect(b"[a]\n");
    // The first can still prove itself, and the place is free again.
    let mut third = Client::connect_from(2, server.address);
    third.prove(&protocol);
    drop(waiting.pop());
    server.until("one less", |counters| counters.closed(CloseReason::Truncated) == 1);
    Client::connect(server.address).hear(CHALLENGE);
}

#[test]
fn one_that_has_waited_long_gives_way_to_a_newcomer_from_its_address() {
    let limits = Limits {
        unauthenticated_per_address: 2,
        handshake_timeout: Duration::from_secs(5),
        ..Limits::default()
    };
    let server = ServerThread::start(speaking(Dialect::Raw), limits, bracket);
    let mut oldest = Client::connect(server.address);
    oldest.hear(CHALLENGE);
    let mut second = Client::connect(server.address);
    second.hear(CHALLENGE);
    // A tenth of the handshake's time is everyone's; after it, who asks again finds a place.
    let mut newcomer = (0..20).find_map(|_| {
        assert_eq!(second.hears_within(A_MOMENT), None, "the second was displaced");
        let mut client = Client::connect(server.address);
        (client.hears_within(PATIENCE) == Some(true)).then_some(client)
    });
    assert!(newcomer.is_some(), "nobody was let in");
    assert_eq!(oldest.hear_all().0, b"", "the oldest was displaced");
    assert_eq!(second.hears_within(Duration::from_millis(10)), None, "the second was as well");
    assert_eq!(newcomer.as_mut().unwrap().hear(CHALLENGE - 1).len(), CHALLENGE - 1);
}

#[test]
fn a_firehose_gets_no_more_than_its_turn() {
    let count = |message: &[u8], reply: &mut Reply<'_>| reply.message(message);
    let mut server = Server::bind("127.0.0.1:0", BothEnds::open(), count).unwrap();
    let mut firehose = Client::connect(server.addresses()[0].ip().unwrap());
    let mut polite = Client::connect(server.addresses()[0].ip().unwrap());
    let served = |server: &mut Server<_>, connections| {
        while server.counters().authenticated < connections {
            server.turn(Some(PATIENCE)).unwrap();
        }
    };
    served(&mut server, 2);
    // As much as the system takes, a byte a message, and all of it before the polite one speaks.
    firehose.say(&b"\n".repeat(20_000));
    while server.counters().messages == 0 {
        server.turn(Some(PATIENCE)).unwrap();
    }
    polite.say(b"please\n");
    for _ in 0..2 {
        server.turn(Some(Duration::ZERO)).unwrap();
    }
    polite.expect(b"please\n");
    let messages = server.counters().messages;
    assert!(messages < 5000, "{messages} messages were answered first");
    while server.counters().messages < 20_001 {
        server.turn(Some(PATIENCE)).unwrap();
    }
    firehose.expect(&b"\n".repeat(20_000));
}

#[test]
fn the_polite_are_served_beside_a_firehose() {
    let protocol = speaking(Dialect::Raw);
    let server = ServerThread::start(protocol.clone(), Limits::default(), Echo);
    let mut drain = Client::enter(server.address, &protocol);
    let mut firehose = drain.twin();
    let enough = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&enough);
    let sender = thread::spawn(move || {
        let burst = b"a firehose of lines\n".repeat(1000);
        let mut said = 0;
        while !stop.load(Ordering::Relaxed) {
            firehose.say(&burst);
            said += burst.len();
        }
        firehose.finish();
        said
    });
    let reader = thread::spawn(move || drain.hear_all().0.len());
    let mut polite: Vec<Client> =
        (0..20).map(|_| Client::enter(server.address, &protocol)).collect();
    for round in 0..50 {
        for client in &mut polite {
            client.say(format!("{round}\n").as_bytes());
        }
        for client in &mut polite {
            client.expect(format!("{round}\n").as_bytes());
        }
    }
    enough.store(true, Ordering::Relaxed);
    assert_eq!(sender.join().unwrap(), reader.join().unwrap());
}

#[test]
fn a_flood_at_one_listener_keeps_nobody_at_another_waiting() {
    let listener = ListenerConfig::new(BothEnds::open());
    let listener = listener.bind("127.0.0.1:0").unwrap().bind("127.0.0.1:0").unwrap();
    let mut server = Server::new([listener], Echo).unwrap();
    let (flooded, quiet) =
        (server.addresses()[0].ip().unwrap(), server.addresses()[1].ip().unwrap());
    let _flood: Vec<Client> = (0..1500).map(|_| Client::connect(flooded)).collect();
    let mut honest = Client::connect(quiet);
    honest.say(b"hello\n");
    // Fewer turns than the flood alone would take.
    for _ in 0..3 {
        server.turn(Some(Duration::ZERO)).unwrap();
    }
    assert!(server.counters().accepted < 1500, "the flood is over already");
    honest.expect(b"hello\n");
}

#[test]
fn a_burst_of_connections_is_served() {
    let protocol = speaking(Dialect::Raw);
    let server = ServerThread::start(protocol.clone(), Limits::default(), bracket);
    let mut clients: Vec<Client> = (0..600).map(|_| Client::connect(server.address)).collect();
    clients.iter_mut().for_each(|client| client.prove(&protocol));
    clients.iter_mut().for_each(|client| client.say(b"a\n"));
    clients.iter_mut().for_each(|client| client.expect(b"[a]\n"));
    assert_eq!(server.stop().accepted, 600);
}
