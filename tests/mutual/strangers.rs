//! Who doesn't hold the key learns nothing of who does: an unknown key, one that has run out, one
//! for another service or dialect, and a wrong secret all hear the same.

use std::time::Duration;

use countersign::{
    CloseReason, Dialect, Key, KeyRing, Limits, Protection, Refusal, Reply, RingSecrets,
};

use crate::ends::{
    CHALLENGE, CLIENT_NONCE, CLIENT_SEED, ClientOptions, End, SECRET, SERVER_HELLO, SERVER_NONCE,
    SERVER_SEED, ServerOptions, client_of, connect, in_memory, ring, server_of,
};
use crate::forger::frame;

const OTHER: &[u8] = b"another secret of some length";

fn at(second: u64) -> Duration {
    Duration::from_secs(second)
}

/// A server with a key for every reason to be refused.
fn server() -> ServerOptions {
    let key =
        |id: &str| Key::new(id, format!("the secret of {id}, which is long").as_bytes()).unwrap();
    let mut keys = KeyRing::new(RingSecrets::new(SERVER_SEED));
    let all = [
        Key::new("k1", SECRET).unwrap(),
        key("gone").with_not_after(at(99)),
        key("soon").with_not_before(at(101)),
        key("date").with_audience("date").unwrap(),
        key("raw").with_dialect(Dialect::Raw),
    ];
    all.into_iter().for_each(|key| keys.add(key).unwrap());
    server_of(keys).with_audience("time").with_audience("date")
}

fn secret_of(id: &str) -> Vec<u8> {
    if id == "k1" { SECRET.to_vec() } else { format!("the secret of {id}, which is long").into() }
}

/// Callers by key, secret and audience, and what the log says of them.
fn strangers() -> Vec<(&'static str, Vec<u8>, &'static str, Refusal)> {
    use Refusal::{UnknownKey, WrongAudience, WrongProof};
    vec![
        ("nobody", OTHER.to_vec(), "time", UnknownKey),
        // By the length of the id, not even a key of this length is there.
        ("k", OTHER.to_vec(), "time", UnknownKey),
        ("gone", secret_of("gone"), "time", UnknownKey),
        ("soon", secret_of("soon"), "time", UnknownKey),
        ("raw", secret_of("raw"), "time", UnknownKey),
        ("date", secret_of("date"), "time", WrongAudience),
        ("k1", secret_of("k1"), "shed", WrongAudience),
        ("k1", secret_of("k1"), "tim", WrongAudience),
        ("k1", secret_of("k1"), "time2", WrongAudience),
        ("k1", secret_of("k1"), "Time", WrongAudience),
        ("k1", OTHER.to_vec(), "time", WrongProof),
        ("nobody", OTHER.to_vec(), "shed", UnknownKey),
    ]
}

/// What a listener says to this caller, byte for byte as it comes, with the proof blanked.
fn said_to(
    server: &ServerOptions,
    caller: &ClientOptions,
    confirm: &[u8; 32],
) -> (Vec<Vec<u8>>, Refusal) {
    let mut caller = End::client(caller, CLIENT_NONCE);
    let call = caller.hear(&[]);
    let mut listener = End::server(server, SERVER_NONCE);
    let bytes = [&call[..], &frame(3, confirm), b"behind it"].concat();
    let mut said: Vec<Vec<u8>> = bytes.chunks(1).map(|byte| listener.hear(byte)).collect();
    assert!(!listener.is_open());
    let answer = &mut said[call.len() - 1];
    assert_eq!(answer.len(), CHALLENGE + SERVER_HELLO);
    assert_eq!(caller.hear(answer), [], "the client knows that this is not its server");
    assert_eq!(caller.refusal, Some(Refusal::WrongProof));
    answer.truncate(CHALLENGE + SERVER_HELLO - 32);
    // Where it stands depends on how long the call is, and on nothing else.
    let said = said.split_off(call.len() - 1);
    (said, listener.refusal.unwrap())
}

#[test]
fn every_stranger_hears_the_same_and_the_log_says_the_truth() {
    let mut all = Vec::new();
    for protection in [Protection::Required, Protection::Allowed, Protection::Off] {
        let server = server().with_records(protection);
        for (id, secret, audience, why) in strangers() {
            let keys = ring(id, &secret, CLIENT_SEED);
            let caller = client_of(keys).with_audience(audience).with_records(protection);
            for confirm in [[0; 32], [0xff; 32]] {
                let (said, refusal) = said_to(&server, &caller, &confirm);
                assert_eq!(refusal, why, "{id} {audience}");
                all.push((protection, said));
            }
        }
    }
    for pair in all.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
        assert_eq!(pair[0].1, pair[1].1);
    }
    // The refusal stands where the last byte of the proof was heard, and nothing follows.
    let said = &all[0].1;
    assert_eq!(said[36], [5, 0, 0, 1, 2]);
    assert!(said[1..36].iter().chain(&said[37..]).all(Vec::is_empty));
}

#[test]
fn a_decoy_is_as_steady_as_a_key() {
    // Asked the same twice, with the same nonce, a server that has the key proves the same twice.
    let answer = |server: &ServerOptions, id: &str, nonce: [u8; 32]| {
        let caller = client_of(ring(id, OTHER, CLIENT_SEED));
        let call = End::client(&caller, CLIENT_NONCE).hear(&[]);
        End::server(server, nonce).hear(&call)
    };
    let server = server_of(ring("k1", SECRET, SERVER_SEED));
    for id in ["k1", "nobody"] {
        assert_eq!(answer(&server, id, SERVER_NONCE), answer(&server, id, SERVER_NONCE));
        assert_ne!(answer(&server, id, SERVER_NONCE), answer(&server, id, [9; 32]));
    }
    assert_ne!(
        answer(&server, "nobody", SERVER_NONCE)[62..],
        answer(&server, "no-one", SERVER_NONCE)[62..]
    );
    // Another process, and a ring that takes this one's place.
    let mut seed = SERVER_SEED;
    seed[47] = 9;
    let other = server_of(ring("k1", SECRET, seed));
    assert_ne!(answer(&server, "nobody", SERVER_NONCE), answer(&other, "nobody", SERVER_NONCE));
    assert_eq!(answer(&server, "k1", SERVER_NONCE), answer(&other, "k1", SERVER_NONCE));
}

#[test]
fn all_that_is_refused_before_the_hello_is_so_whatever_the_key() {
    let faults: [(&str, usize, u8); 5] = [
        ("the offer", 15, 0),
        ("the flags", 15, 2),
        ("the version", 12, 9),
        ("the length of a record", 17, 0),
        ("the audience's length", 70, 65),
    ];
    for (what, at, byte) in faults {
        let mut all = Vec::new();
        for (id, secret, audience, _) in strangers() {
            let caller = client_of(ring(id, &secret, CLIENT_SEED)).with_audience(audience);
            let mut call = End::client(&caller, CLIENT_NONCE).hear(&[]);
            let at = if at == 70 { 69 + id.len() } else { at };
            call[at] = byte;
            let mut listener = End::server(&server(), SERVER_NONCE);
            all.push((listener.hear(&call), listener.refusal));
        }
        assert!(all[0].1.is_some(), "{what}");
        assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "{what}: {all:?}");
    }
}

#[test]
fn who_makes_room_for_itself_has_failed_all_the_same() {
    // A guesser displaces its own last guess, which still lingers behind its refusal.
    let limits = Limits {
        unauthenticated_per_address: 1,
        handshake_timeout: Duration::from_millis(100),
        ..Limits::default()
    };
    let echo = |message: &[u8], reply: &mut Reply<'_>| reply.message(message);
    let mut server = in_memory(ring("k1", SECRET, SERVER_SEED), limits, echo);
    for guess in 0..5 {
        let line = connect(&mut server, [guess; 32]);
        let call = End::client(&crate::ends::client(), CLIENT_NONCE).hear(&[]);
        server.send(&line, &call);
        server.send(&line, &frame(3, &[guess; 32]));
        assert!(line.written().ends_with(&[5, 0, 0, 1, 2]));
        // All but the last have made room.
        let failed = server.engine.counters().closed(CloseReason::Refused(Refusal::WrongProof));
        assert_eq!(failed, guess.into());
        server.pass(Duration::from_millis(20));
    }
}
