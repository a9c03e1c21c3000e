//! Peers that don't get past the handshake, and what they hear: 32 bytes, and nothing else.

use std::time::Duration;

use countersign::stats::Counters;
use countersign::{CloseReason, Dialect, Limits, Refusal};

use crate::both_ends::BothEnds;
use crate::common::{CHALLENGE, Client, End, bracket, in_memory, proof, ring, speaking};
use crate::server_thread::ServerThread;

const GUARDED: [Dialect; 2] = [Dialect::Raw, Dialect::Hex];

fn refused(counters: &Counters, refusal: Refusal) -> u64 {
    counters.closed(CloseReason::Refused(refusal))
}

/// A server for `protocol`, to be attacked.
fn with_records(protocol: &BothEnds) -> ServerThread {
    ServerThread::start(protocol.clone(), Limits::default(), bracket)
}

#[test]
fn a_proof_and_the_first_message_may_come_in_one_segment() {
    for dialect in GUARDED {
        let protocol = speaking(dialect);
        let server = with_records(&protocol);
        let mut client = Client::connect(server.address);
        let opening = [&client.proof(&protocol), &b"one\ntwo\n"[..]].concat();
        client.say(&opening);
        client.expect(b"[one]\n[two]\n");
    }
}

/// Makes a wrong proof of the challenge, the right one, and that of another key.
type Forgery = fn(&[u8], Vec<u8>, Vec<u8>) -> Vec<u8>;

#[test]
fn a_wrong_proof_hears_nothing() {
    for dialect in GUARDED {
        let protocol = speaking(dialect);
        let server = with_records(&protocol);
        let stranger = BothEnds::new(dialect, ring("another secret of some length"));
        let wrongs: [(&str, Forgery); 8] = [
            ("one bit", |_, mut right, _| {
                right[31] ^= 1;
                right
            }),
            ("the last byte", |_, mut right, _| {
                *right.last_mut().unwrap() ^= 1;
                right
            }),
            ("zeros", |_, right, _| vec![0; right.len()]),
            ("another key", |_, _, stranger| stranger),
            ("the challenge itself", |challenge, right, _| {
                challenge.iter().copied().cycle().take(right.len()).collect()
            }),
            ("a byte too early", |_, right, _| [b"x", &right[..]].concat()),
            // The first, since what follows may begin as the proof ends.
            ("a byte missing", |_, right, _| right[1..].to_vec()),
            ("a line feed before", |_, right, _| [b"\n", &right[..]].concat()),
        ];
        for (what, wrong) in wrongs {
            let mut client = Client::connect(server.address);
            let challenge = client.hear(CHALLENGE);
            let (right, strange) = (proof(&protocol, &challenge), proof(&stranger, &challenge));
            // With data glued to it, which must not be looked at.
            let said = [wrong(&challenge, right, strange), b"message\nmessage\n".to_vec()].concat();
            client.say(&said);
            assert_eq!(client.hear_all().0, b"", "{dialect} {what}");
        }
        let counters = server.stop();
        assert_eq!(refused(&counters, Refusal::WrongProof), wrongs.len() as u64, "{dialect}");
        assert_eq!((counters.authenticated, counters.messages), (0, 0), "{dialect}");
        assert_eq!(counters.bytes_out, (CHALLENGE * wrongs.len()) as u64, "{dialect}");
    }
}

#[test]
fn digits_in_upper_case_are_a_wrong_proof() {
    let protocol = speaking(Dialect::Hex);
    let server = with_records(&protocol);
    let mut client = Client::connect(server.address);
    let upper = client.proof(&protocol).to_ascii_uppercase();
    client.say(&upper);
    assert_eq!(client.hear_all().0, b"");
    assert_eq!(refused(&server.stop(), Refusal::WrongProof), 1);
}

#[test]
fn a_proof_of_the_other_dialect_is_a_wrong_one() {
    for (spoken, served) in [(Dialect::Raw, Dialect::Hex), (Dialect::Hex, Dialect::Raw)] {
        let server = with_records(&speaking(served));
        let mut client = Client::connect(server.address);
        // More than either dialect's proof has, so that the verdict doesn't wait for more.
        let said = [client.proof(&speaking(spoken)), b"message\n".repeat(10)].concat();
        client.say(&said);
        assert_eq!(client.hear_all().0, b"", "{spoken} to {served}");
        assert_eq!(server.stop().authenticated, 0);
    }
}

#[test]
fn a_proof_opens_no_other_connection() {
    for dialect in GUARDED {
        let protocol = speaking(dialect);
        let server = with_records(&protocol);
        let mut spied_on = Client::connect(server.address);
        let mut thief = Client::connect(server.address);
        let stolen = spied_on.proof(&protocol);
        let challenge = thief.hear(CHALLENGE);
        assert_ne!(proof(&protocol, &challenge), stolen, "two challenges are the same");
        thief.say(&stolen);
        assert_eq!(thief.hear_all().0, b"");
        spied_on.say(&stolen);
        spied_on.say(b"mine\n");
        spied_on.expect(b"[mine]\n");
        // Nor is it good a second time, once its own connection is over.
        drop(spied_on);
        let mut late = Client::enter(server.address, &protocol);
        late.say(b"late\n");
        late.expect(b"[late]\n");
        let mut again = Client::connect(server.address);
        again.hear(CHALLENGE);
        again.say(&stolen);
        assert_eq!(again.hear_all().0, b"");
    }
}

#[test]
fn a_challenge_is_never_sent_twice() {
    let server = with_records(&speaking(Dialect::Raw));
    let mut seen: Vec<Vec<u8>> =
        (0..300).map(|_| Client::connect(server.address).hear(CHALLENGE)).collect();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 300);
}

#[test]
fn who_drips_a_proof_is_gone_at_the_deadline() {
    for dialect in GUARDED {
        let protocol = speaking(dialect);
        let wait = Duration::from_millis(200);
        let limits = Limits { handshake_timeout: wait, ..Limits::default() };
        let server = ServerThread::start(protocol.clone(), limits, bracket);
        let mut client = Client::connect(server.address);
        let proof = client.proof(&protocol);
        // Never far apart, and far more time in all than the deadline gives.
        let ended = proof[..proof.len() - 1].iter().find_map(|byte| {
            client.try_to_say(&[*byte]);
            client.hears_within(Duration::from_millis(40))
        });
        assert_eq!(ended, Some(false), "{dialect}: the deadline has moved");
        let counters = server.until("closed", |counters| counters.open() == 0);
        assert_eq!(refused(&counters, Refusal::HandshakeTimeout), 1, "{dialect}");
    }
}

#[test]
fn who_says_nothing_is_gone_at_the_deadline() {
    let wait = Duration::from_millis(200);
    let limits = Limits { handshake_timeout: wait, ..Limits::default() };
    let server = ServerThread::start(speaking(Dialect::Raw), limits, bracket);
    let mut client = Client::connect(server.address);
    assert_eq!(client.hear_all().0.len(), CHALLENGE);
    assert_eq!(refused(&server.stop(), Refusal::HandshakeTimeout), 1);
}

#[test]
fn who_waits_behind_a_proof_with_md5_is_told_apart_at_the_deadline_alone() {
    for (dialect, length) in [(Dialect::Raw, 16), (Dialect::Hex, 32)] {
        let limits = Limits { connections: 1, ..Limits::default() };
        let timeout = limits.handshake_timeout;
        let mut server = in_memory(speaking(dialect), limits, bracket);
        let waits = server.connect();
        server.send(&waits, &b"c3".repeat(length)[..length]);
        server.pass(timeout / 2);
        // Who has to make room for another has not had all of its time.
        let late = server.connect();
        assert!(waits.is_closed());
        server.send(&late, &b"c3".repeat(length)[..length]);
        server.pass(timeout);
        let counters = server.engine.counters();
        assert_eq!(refused(&counters, Refusal::TooManyConnections), 1, "{dialect}");
        assert_eq!(refused(&counters, Refusal::OtherDigest), 1, "{dialect}");
    }
}

#[test]
fn a_stream_may_end_at_any_byte() {
    for dialect in GUARDED {
        let protocol = speaking(dialect);
        let server = with_records(&protocol);
        let length = if dialect == Dialect::Raw { 32 } else { 64 };
        for cut in 0..=length + 6 {
            let mut client = Client::connect(server.address);
            let said = [&client.proof(&protocol), &b"hello\n"[..]].concat();
            client.say(&said[..cut]);
            client.finish();
            let expected = match cut.saturating_sub(length) {
                0 => String::new(),
                6 => "[hello]\n".to_owned(),
                some => format!("[{}]", &"hello"[..some]),
            };
            assert_eq!(client.hear_all(), (expected.into(), End::Fin), "{dialect} {cut} bytes");
        }
        let counters = server.until("closed", |counters| counters.open() == 0);
        // Half of it is as long as an HMAC-MD5.
        assert_eq!(counters.closed(CloseReason::Truncated), length as u64 - 1, "{dialect}");
        assert_eq!(counters.closed(CloseReason::Refused(Refusal::OtherDigest)), 1, "{dialect}");
        assert_eq!(counters.closed(CloseReason::Finished), 7, "{dialect}");
    }
}

#[test]
fn a_connection_may_break_at_any_byte() {
    for dialect in GUARDED {
        let protocol = speaking(dialect);
        let server = with_records(&protocol);
        let length = if dialect == Dialect::Raw { 32 } else { 64 };
        for cut in 0..=length + 6 {
            let mut client = Client::connect(server.address);
            let said = [&client.proof(&protocol), &b"hello\n"[..]].concat();
            client.say(&said[..cut]);
            client.reset();
            // And at once, before anything was read.
            Client::connect(server.address).reset();
        }
        let mut honest = Client::enter(server.address, &protocol);
        honest.say(b"still there?\n");
        honest.expect(b"[still there?]\n");
        let counters = server.until("one alone", |counters| counters.open() == 1);
        let broken = counters.closed(CloseReason::Reset) + counters.accept_failures;
        // A connection that broke in the queue may be accepted, fail to be, or not be seen.
        assert!(broken >= length as u64 + 7, "{dialect} {counters:?}");
    }
}
