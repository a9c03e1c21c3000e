//! Calls of `countersign/1` that come to nothing, and what the caller is told.

use std::thread;
use std::time::Duration;

use countersign::session::SessionCore;
use countersign::{ClientError, CloseReason, Dialect, Limits, Refusal, RefusalCode};

use crate::both_ends::BothEnds;
use crate::caller::{Caller, Heard, with_records};
use crate::common::{CHALLENGE, Client, End, bracket, in_memory, other_end, ring, speaking};
use crate::server_thread::ServerThread;

fn protocol() -> BothEnds {
    with_records(speaking(Dialect::Countersign))
}

/// The magic and a hello that is none.
const BAD_CALL: &[u8] = b"\x9ecsgn/1\n\x01\x00\x00\x02\x01\x01";

/// The bytes of a good one, with the key of these tests.
const CALL: u64 = 75;

fn refused(server: &ServerThread, refusal: Refusal) -> u64 {
    server.until("closed", |counters| counters.open() == 0).closed(CloseReason::Refused(refusal))
}

/// What stands behind the nonce.
#[track_caller]
fn expect_refusal(client: &mut Client, code: u8) {
    let (heard, end) = client.hear_all();
    assert_eq!(heard.len(), CHALLENGE + 5, "{heard:?}");
    assert_eq!((&heard[CHALLENGE..], end), (&[5, 0, 0, 1, code][..], End::Fin));
}

#[test]
fn a_listener_is_silent_until_it_is_called() {
    let wait = Limits { handshake_timeout: Duration::from_millis(300), ..Limits::default() };
    let server = ServerThread::start(protocol(), wait.clone(), bracket);
    let mut client = Client::connect(server.address);
    assert_eq!(client.hear_all().0, b"");
    let mut client = Client::connect(server.address);
    client.say(&BAD_CALL[..7]);
    assert_eq!(client.hear_all().0, b"");
    assert_eq!(refused(&server, Refusal::HandshakeTimeout), 2);
    // Where raw is served beside it, the nonce comes at once.
    let server = ServerThread::start(protocol().with_raw(), wait, bracket);
    let mut client = Client::connect(server.address);
    let nonce = client.hear(CHALLENGE);
    let mut other = Client::connect(server.address);
    assert_ne!(nonce, other.hear(CHALLENGE));
    assert_eq!(client.hear_all().0, b"", "and nothing else");
    let mut raw = Client::enter(server.address, &speaking(Dialect::Raw));
    raw.say(b"line\n");
    raw.expect(b"[line]\n");
    let mut caller = Caller::enter(server.address, &protocol());
    caller.say(b"record");
    caller.expect(b"[record]");
    // To a foreigner, nothing more.
    for opening in [&b"GET / HTTP/1.1\r\nHost: time.example\r\n\r\n"[..], &[0x16; 40]] {
        let mut client = Client::connect(server.address);
        client.hear(CHALLENGE);
        client.say(opening);
        assert_eq!(client.hear_all().0, b"");
    }
}

#[test]
fn who_falls_silent_behind_the_magic_is_told_that_it_took_too_long() {
    let wait = Duration::from_millis(300);
    let limits = Limits { handshake_timeout: wait, ..Limits::default() };
    let server = ServerThread::start(protocol(), limits, bracket);
    for length in [8, 9, 12, 13] {
        let mut client = Client::connect(server.address);
        client.say(&BAD_CALL[..length]);
        expect_refusal(&mut client, 5);
    }
    let mut caller = Caller::call(server.address, &protocol());
    caller.wire.hear(94);
    assert_eq!(caller.wire.hear_all(), (vec![5, 0, 0, 1, 5], End::Fin));
    // Dripping moves nothing.
    let mut client = Client::connect(server.address);
    client.say(&BAD_CALL[..8]);
    let ended = [1, 0, 1, 0, 1, 1].iter().chain(&[0; 200]).find_map(|byte| {
        client.try_to_say(&[*byte]);
        client.hears_within(Duration::from_millis(40))
    });
    assert_eq!(ended, Some(true));
    drop((client, caller));
    assert_eq!(refused(&server, Refusal::HandshakeTimeout), 6);
}

#[test]
fn a_refusal_arrives_however_much_the_caller_goes_on_to_say() {
    let server = ServerThread::start(protocol(), Limits::default(), bracket);
    // In one piece with the call, and in drops behind it while the refusal is on its way.
    for behind in [0, 1, 3000] {
        let mut client = Client::connect(server.address);
        client.say(&[BAD_CALL, &vec![b'x'; behind]].concat());
        expect_refusal(&mut client, 4);
    }
    let mut client = Client::connect(server.address);
    client.say(BAD_CALL);
    for _ in 0..20 {
        thread::park_timeout(Duration::from_millis(10));
        assert!(client.try_to_say(&[b'x'; 100]), "the connection is broken");
    }
    expect_refusal(&mut client, 4);
    drop(client);
    assert_eq!(refused(&server, Refusal::Malformed), 4);
    // Without end, it is heard no longer than it takes.
    let mut client = Client::connect(server.address);
    client.say(BAD_CALL);
    let mut twin = client.twin();
    let flood = thread::spawn(move || while twin.try_to_say(&[b'x'; 1 << 16]) {});
    let heard = client.hear(CHALLENGE + 5);
    assert_eq!(heard[CHALLENGE..], [5, 0, 0, 1, 4]);
    flood.join().unwrap();
}

#[test]
fn the_reason_is_told_and_the_key_is_none_of_it() {
    let server = ServerThread::start(protocol(), Limits::default(), bracket);
    let stranger =
        with_records(BothEnds::new(Dialect::Countersign, ring("another secret of some length")));
    let mut caller = Caller::call(server.address, &stranger);
    let answer = caller.wire.hear(94);
    assert_eq!(answer[CHALLENGE..][..4], [2, 0, 0, 58]);
    caller.wire.say(&[&[3, 0, 0, 32], &[0; 32][..]].concat());
    assert_eq!(caller.wire.hear_all(), (vec![5, 0, 0, 1, 2], End::Fin));
    drop(caller);
    assert_eq!(refused(&server, Refusal::WrongProof), 1);
    let plain = speaking(Dialect::Countersign);
    let mut caller = Caller::call(server.address, &plain);
    assert_eq!(caller.hear(), Heard::Refused(Refusal::Rejected(RefusalCode::Refused)));
    drop(caller);
    assert_eq!(refused(&server, Refusal::Protection), 1);
}

#[test]
fn a_stop_in_the_middle_of_a_handshake_is_told() {
    let server = ServerThread::start(protocol(), Limits::default(), bracket);
    let mut silent = Client::connect(server.address);
    let mut foreign = Client::connect(server.address);
    foreign.say(&BAD_CALL[..5]);
    let mut calling = Client::connect(server.address);
    calling.say(&BAD_CALL[..12]);
    let mut answered = Caller::call(server.address, &protocol());
    answered.wire.hear(94);
    server.until("read", |counters| counters.bytes_in == 5 + 12 + CALL);
    server.handle.drain().unwrap();
    assert_eq!(silent.hear_all().0, b"");
    assert_eq!(foreign.hear_all().0, b"");
    expect_refusal(&mut calling, 3);
    assert_eq!(answered.wire.hear_all(), (vec![5, 0, 0, 1, 3], End::Fin));
    drop((calling, answered));
    let counters = server.stop();
    assert_eq!((counters.closed(CloseReason::Stopped), counters.authenticated), (4, 0));
}

#[test]
fn an_evicted_caller_is_told_that_there_is_no_room() {
    let limits = Limits {
        unauthenticated_per_address: 2,
        handshake_timeout: Duration::from_secs(5),
        ..Limits::default()
    };
    let mut server = in_memory(protocol(), limits, bracket);
    let oldest = server.connect();
    server.send(&oldest, &BAD_CALL[..10]);
    server.pass(Duration::from_millis(1));
    let second = server.connect();
    // A tenth of the handshake's time is everyone's.
    server.pass(Duration::from_millis(498));
    assert!(server.connect().is_closed(), "there was no room");
    assert!(!oldest.is_shut());
    server.pass(Duration::from_millis(1));
    let newest = server.connect();
    assert_eq!(oldest.take()[CHALLENGE..], [5, 0, 0, 1, 3]);
    assert!(oldest.is_closed() && !second.is_shut() && !newest.is_shut());
    let client = other_end(&protocol());
    let mut session = SessionCore::client(&client, Duration::ZERO, [7; 32]).unwrap();
    let mut said = Vec::new();
    session.next(&client, Duration::ZERO, &mut &[][..], &mut said).unwrap();
    server.send(&newest, &std::mem::take(&mut said));
    session.next(&client, Duration::ZERO, &mut &newest.take()[..], &mut said).unwrap();
    server.send(&newest, &said);
    let counters = server.engine.counters();
    let evicted = counters.closed(CloseReason::Refused(Refusal::TooManyConnections));
    assert_eq!((counters.authenticated, evicted), (1, 2));
}

#[test]
fn a_server_does_not_call_itself() {
    let shared = protocol();
    let server = ServerThread::start(shared.clone(), Limits::default(), bracket);
    // The ring is the server's own, seed and all.
    server.counted();
    let error = countersign::Client::connect(server.address, shared).unwrap_err();
    assert!(matches!(error, ClientError::SameRing), "{error:?}");
    assert_eq!(refused(&server, Refusal::Reflected), 1);
    assert_eq!(server.stop().bytes_out, 0);
}
