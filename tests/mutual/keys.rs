//! The ring changes while connections live: what is off it lets nobody in, and who is in stays
//! until it is asked to go, or until its key runs out.

use std::time::{Duration, SystemTime};

use countersign::{CloseReason, Key, KeyRing, Limits, Refusal, Reply, RingSecrets, Service};

use crate::ends::{
    CLIENT_NONCE, CLIENT_SEED, ClientOptions, End, SECRET, SERVER_NONCE, SERVER_SEED, client_of,
    connect, in_memory, ring, server,
};
use crate::forger::{CLOSE, DATA, Forger};
use countersign::testing::{MemoryPeer, TestServer};

/// The service of these tests: an echo.
fn echo(message: &[u8], reply: &mut Reply<'_>) {
    reply.message(message);
}

fn caller(id: &str, secret: &[u8]) -> ClientOptions {
    client_of(ring(id, secret, CLIENT_SEED))
}

/// The listener of a server gets other keys.
fn replace_keys<S: Service>(server: &mut TestServer<S>, keys: KeyRing) {
    let id = server.engine.listeners()[0].id();
    server.engine.replace_keys(id, keys).unwrap();
}

/// Calls, and hears the answer.
fn call<S: Service>(server: &mut TestServer<S>, nonce: [u8; 32]) -> (MemoryPeer, Forger) {
    call_as(server, &caller("k1", SECRET), nonce)
}

/// The same as another client.
pub(crate) fn call_as<S: Service>(
    server: &mut TestServer<S>,
    client: &ClientOptions,
    nonce: [u8; 32],
) -> (MemoryPeer, Forger) {
    let line = connect(server, nonce);
    let call = End::client(client, CLIENT_NONCE).hear(&[]);
    server.send(&line, &call);
    let answer = line.take();
    (line, Forger::new(SECRET, &call, &answer))
}

/// Goes through the handshake.
pub(crate) fn enter<S: Service>(
    server: &mut TestServer<S>,
    nonce: [u8; 32],
) -> (MemoryPeer, Forger) {
    let (line, mut forger) = call(server, nonce);
    server.send(&line, &forger.confirm.clone());
    assert_eq!(line.take(), forger.to_client.record(4, &[0]));
    (line, forger)
}

/// Whether it has its messages echoed.
fn is_served<S: Service>(
    server: &mut TestServer<S>,
    line: &MemoryPeer,
    forger: &mut Forger,
) -> bool {
    server.send(line, &forger.to_server.record(DATA, b"there?"));
    let said = line.take();
    !said.is_empty() && forger.to_client.open(&said) == [(DATA, b"there?".to_vec())]
}

#[test]
fn a_key_that_goes_between_hello_and_proof_lets_nobody_in() {
    let others = [
        ("off the ring", ring("k2", b"another secret of some length", SERVER_SEED)),
        ("another secret", ring("k1", b"another secret of some length", SERVER_SEED)),
        ("another name", ring("k2", SECRET, SERVER_SEED)),
        ("an empty ring", KeyRing::new(RingSecrets::new(SERVER_SEED))),
    ];
    for (what, keys) in others {
        let mut server = in_memory(server().build().unwrap(), Limits::default(), echo);
        let (line, forger) = call(&mut server, SERVER_NONCE);
        replace_keys(&mut server, keys);
        server.send(&line, &forger.confirm);
        assert_eq!(line.take(), [5, 0, 0, 1, 2], "{what}");
        server.pass(Limits::default().handshake_timeout);
        let counters = server.engine.counters();
        assert_eq!(counters.closed(CloseReason::Refused(Refusal::UnknownKey)), 1, "{what}");
        assert_eq!(counters.authenticated, 0, "{what}");
    }
    // The same key on another ring is the same.
    let mut server = in_memory(server().build().unwrap(), Limits::default(), echo);
    let (line, mut forger) = call(&mut server, SERVER_NONCE);
    replace_keys(&mut server, ring("k1", SECRET, [77; 48]));
    server.send(&line, &forger.confirm.clone());
    assert_eq!(line.take(), forger.to_client.record(4, &[0]));
    assert!(is_served(&mut server, &line, &mut forger));
}

#[test]
fn those_whose_key_was_taken_go_when_asked_and_the_others_stay() {
    let mut keys = ring("k1", SECRET, SERVER_SEED);
    keys.add(Key::new("k2", b"another secret of some length").unwrap()).unwrap();
    let mut server = in_memory(keys, Limits::default(), echo);
    let mut ones: Vec<_> = (0..5).map(|number| enter(&mut server, [number; 32])).collect();
    let mut two = End::client(&caller("k2", b"another secret of some length"), CLIENT_NONCE);
    let line = connect(&mut server, [99; 32]);
    server.send(&line, &two.hear(&[]));
    let confirm = two.hear(&line.take());
    server.send(&line, &confirm);
    two.hear(&line.take());
    let visitor = call(&mut server, [100; 32]);
    replace_keys(&mut server, ring("k2", b"another secret of some length", SERVER_SEED));
    for (line, forger) in &mut ones {
        assert!(is_served(&mut server, line, forger), "those who are in stay");
    }
    // Half a record lies there; nobody waits for the rest.
    let half = ones[0].1.to_server.record(DATA, b"half");
    server.send(&ones[0].0, &half[..9]);
    assert_eq!(server.engine.close_revoked(server.now, server.wall), 5);
    for (line, forger) in &mut ones {
        assert_eq!(forger.to_client.open(&line.take()), [(CLOSE, Vec::new())]);
        assert!(line.is_shut());
        // What it says now is read and not served.
        let late = forger.to_server.record(DATA, b"late");
        server.send(line, &late);
        assert_eq!(line.take(), []);
    }
    assert_eq!(server.engine.close_revoked(server.now, server.wall), 0, "once is enough");
    server.send(&line, &two.say(b"there?"));
    two.hear(&line.take());
    assert_eq!(two.messages(), [b"there?"]);
    server.send(&visitor.0, &visitor.1.confirm);
    assert_eq!(visitor.0.take(), [5, 0, 0, 1, 2]);
    for (line, _) in &ones {
        line.finish();
        let ready =
            countersign::engine::Readiness { readable: true, ended: true, ..Default::default() };
        server.report(line, ready);
    }
    server.work();
    assert_eq!(server.engine.counters().closed(CloseReason::Revoked), 5);
    assert_eq!(server.engine.counters().messages, 6);
}

#[test]
fn a_thousand_rings_lose_nothing() {
    let mut server = in_memory(server().build().unwrap(), Limits::default(), echo);
    let mut inside: Vec<_> = (0..8).map(|number| enter(&mut server, [number; 32])).collect();
    let other = |number: u32| {
        Key::new(&format!("k{number}"), format!("secret number {number}, long enough").as_bytes())
    };
    let mut entering = None;
    for round in 0..1000_u32 {
        let mut keys = KeyRing::new(RingSecrets::new(SERVER_SEED));
        // The key stands anywhere among others that come and go.
        (0..round % 3).for_each(|at| keys.add(other(round + at + 2).unwrap()).unwrap());
        keys.add(Key::new("k1", SECRET).unwrap()).unwrap();
        replace_keys(&mut server, keys);
        assert_eq!(server.engine.close_revoked(server.now, server.wall), 0);
        let at = round as usize % inside.len();
        let (line, forger) = &mut inside[at];
        assert!(is_served(&mut server, line, forger), "round {round}");
        // A handshake goes over two rings.
        match entering.take() {
            None => entering = Some(call(&mut server, [u8::try_from(round % 251).unwrap(); 32])),
            Some((line, mut forger)) => {
                server.send(&line, &forger.confirm.clone());
                assert_eq!(line.take(), forger.to_client.record(4, &[0]), "round {round}");
                if inside.len() < 40 {
                    inside.push((line, forger));
                }
            }
        }
    }
    let counters = server.engine.counters();
    assert_eq!((counters.messages, counters.authenticated), (1000, 508));
    assert_eq!(counters.closed(CloseReason::Refused(Refusal::UnknownKey)), 0);
    // Those who know one another by the ring still do.
    let line = connect(&mut server, [255; 32]);
    server.send(
        &line,
        &End::client(&client_of(ring("k1", SECRET, SERVER_SEED)), CLIENT_NONCE).hear(&[]),
    );
    assert_eq!(line.take(), []);
    assert_eq!(server.engine.counters().closed(CloseReason::Refused(Refusal::Reflected)), 1);
}

#[test]
fn a_key_that_runs_out_lets_nobody_in_any_more_and_those_who_are_in_go() {
    let until = Duration::from_secs;
    let key = Key::new("k1", SECRET).unwrap();
    let key = key.with_not_before(until(10)).with_not_after(until(20));
    let keys = KeyRing::new(RingSecrets::new(SERVER_SEED)).with(key).unwrap();
    let limits = Limits { idle_timeout: Duration::from_secs(3600), ..Limits::default() };
    let mut server = in_memory(keys, limits, echo);
    let knock = |server: &mut TestServer<_>, nonce: u8| {
        let (line, mut forger) = call(server, [nonce; 32]);
        server.send(&line, &forger.confirm.clone());
        let said = line.take();
        let is_in = said == forger.to_client.record(4, &[0]);
        assert!(is_in || said == [5, 0, 0, 1, 2], "{said:?}");
        is_in.then_some((line, forger))
    };
    server.pass(Duration::from_secs(9));
    assert!(knock(&mut server, 1).is_none(), "it is not taken yet");
    server.pass(Duration::from_secs(1));
    let (line, mut forger) = knock(&mut server, 2).unwrap();
    server.pass(Duration::from_secs(9));
    let (late, mut later) = knock(&mut server, 3).unwrap();
    assert!(is_served(&mut server, &line, &mut forger));
    let pending = call(&mut server, [6; 32]);
    assert_eq!(
        server.engine.deadline(),
        Some(server.now + Duration::from_secs(1)),
        "it is due then"
    );
    server.pass(Duration::from_secs(1));
    for (line, forger) in [(&line, &mut forger), (&late, &mut later)] {
        assert_eq!(forger.to_client.open(&line.take()), [(CLOSE, Vec::new())], "nobody has asked");
    }
    // Its call came in time, and its proof doesn't.
    server.send(&pending.0, &pending.1.confirm);
    assert_eq!(pending.0.take(), [5, 0, 0, 1, 2]);
    assert!(knock(&mut server, 4).is_none(), "it has run out");
    // The clock goes back, and it is taken again, until it runs out again.
    server.wall = SystemTime::UNIX_EPOCH + until(15);
    let (line, mut forger) = knock(&mut server, 5).unwrap();
    // Whoever sets the clock tells nobody, and yet nothing is served that arrives from now on.
    server.wall = SystemTime::UNIX_EPOCH + until(3600);
    server.send(&line, &forger.to_server.record(DATA, b"late"));
    assert_eq!(forger.to_client.open(&line.take()), [(CLOSE, Vec::new())]);
    server.pass(Duration::from_secs(3600));
    let counters = server.engine.counters();
    assert_eq!(counters.closed(CloseReason::Refused(Refusal::UnknownKey)), 3);
    assert_eq!((counters.closed(CloseReason::Revoked), counters.messages), (3, 1));
}

#[test]
fn who_is_in_stays_past_the_end_of_its_key_where_the_host_says_so() {
    let end = Duration::from_secs(20);
    let key = Key::new("k1", SECRET).unwrap().with_not_after(end);
    let keys = KeyRing::new(RingSecrets::new(SERVER_SEED)).with(key).unwrap();
    let limits = Limits { idle_timeout: Duration::from_secs(3600), ..Limits::default() };
    let mut server = in_memory(keys, limits, echo);
    server.engine.set_close_expired(false);
    server.work();
    let (line, mut forger) = enter(&mut server, [1; 32]);
    server.pass(Duration::from_secs(100));
    assert!(is_served(&mut server, &line, &mut forger));
    let stats = server.engine.stats(server.now);
    assert_eq!(stats.listeners[0].keys[0].open, 1);
    // What is over is over, until somebody asks who it is.
    server.engine.set_close_expired(true);
    server.work();
    assert!(is_served(&mut server, &line, &mut forger));
    assert_eq!(server.engine.close_revoked(server.now, server.wall), 1);
    assert_eq!(forger.to_client.open(&line.take()), [(CLOSE, Vec::new())]);
}
