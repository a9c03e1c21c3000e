//! The handshake on a network that changes it: no change goes unnoticed, and nobody who hasn't
//! proved itself gets anything but the challenge, the server's hello and a refusal.

use countersign::{Dialect, ForeignProtocol, Protection, Refusal, RefusalCode};

use crate::ends::{
    CHALLENGE, CLIENT_NONCE, End, NOW, SERVER_HELLO, SERVER_NONCE, SERVER_SEED, Talk, both, client,
    ring, server,
};

use Refusal::{Foreign, Malformed, WrongProof};

/// The refusal of this number, as it stands on the wire.
fn refusal(code: u8) -> Vec<u8> {
    vec![5, 0, 0, 1, code]
}

fn flips(bytes: &[u8]) -> impl Iterator<Item = (usize, Vec<u8>)> {
    (0..8 * bytes.len()).map(|at| {
        let mut flipped = bytes.to_vec();
        flipped[at / 8] ^= 0x80 >> (at % 8);
        (at, flipped)
    })
}

/// What a server, or behind it the client, makes of a call with a bit turned over.
#[derive(Debug, PartialEq, Eq)]
enum Call {
    Silence,
    /// The server says no.
    Refused(u8),
    /// It waits for more.
    Waits,
    /// It answers, and the client sees that it was asked something else.
    SeenByClient,
}

/// The same by the page of the protocol: the offsets are those of a key of two bytes, no audience
/// and no extensions.
fn expected_of_call(at: usize, flipped: &[u8]) -> Call {
    let number = |from: usize, to: usize| {
        flipped[from..to].iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
    };
    let whole = flipped.len() as u64 - 12;
    match at / 8 {
        0..8 => Call::Silence,
        8 => Call::Refused(4),
        9..12 if number(9, 12) > 500 || number(9, 12) < whole => Call::Refused(4),
        9..12 => Call::Waits,
        12..14 if flipped[12] > flipped[13] => Call::Refused(4),
        12..14 if !(flipped[12]..=flipped[13]).contains(&1) => Call::Refused(1),
        14..16 if number(14, 16) & 3 == 2 => Call::Refused(4),
        16..20 if number(16, 20) < 1024 => Call::Refused(4),
        // The length of the key's id, of the audience and of the extensions.
        68 | 71 | 72.. => Call::Refused(4),
        _ => Call::SeenByClient,
    }
}

#[test]
fn every_bit_of_a_call_counts() {
    let genuine = Talk::with_records();
    assert_eq!(genuine.call.len(), 74);
    for (at, flipped) in flips(&genuine.call) {
        let mut caller = End::client(&client(), CLIENT_NONCE);
        caller.hear(&[]);
        let mut listener = End::server(&server(), SERVER_NONCE);
        let said = listener.hear(&flipped);
        let verdict = match (listener.refusal, &said[..]) {
            (Some(Foreign(ForeignProtocol::Other)), []) => Call::Silence,
            (Some(_), said) => {
                let code = said[said.len() - 1];
                assert_eq!(said, [&SERVER_NONCE[..], &refusal(code)].concat(), "bit {at}");
                assert_eq!(caller.hear(said), [], "bit {at}");
                assert!(matches!(caller.refusal, Some(Refusal::Rejected(_))), "bit {at}");
                Call::Refused(code)
            }
            (None, []) => Call::Waits,
            (None, said) => {
                assert_eq!(said.len(), CHALLENGE + SERVER_HELLO, "bit {at}");
                assert_eq!(caller.hear(said), [], "bit {at}: a proof is given");
                assert_eq!(caller.refusal, Some(WrongProof), "bit {at}");
                // Not even the genuine proof is good for it.
                assert_eq!(listener.hear(&genuine.confirm), refusal(2), "bit {at}");
                Call::SeenByClient
            }
        };
        assert_eq!(verdict, expected_of_call(at, &flipped), "bit {at} of byte {}", at / 8);
        assert!(!caller.is_open() && !listener.is_open(), "bit {at}");
        assert!(verdict != Call::Waits || listener.end() == Err(Refusal::Truncated), "bit {at}");
    }
}

/// What a client must make of an answer with a bit turned over; none if it waits for more.
fn expected_of_answer(at: usize, flipped: &[u8]) -> Option<Refusal> {
    let frame = &flipped[CHALLENGE..];
    let number = |from: usize, to: usize| {
        frame[from..to].iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
    };
    match (at / 8).checked_sub(CHALLENGE) {
        None => Some(WrongProof),
        Some(0) => Some(Malformed),
        Some(1..4) if (59..=508).contains(&number(1, 4)) => None,
        Some(1..4) => Some(Malformed),
        Some(4) => Some(Refusal::Version),
        Some(5) => Some(Malformed),
        Some(6..8) if number(6, 8) == 0 => Some(Refusal::Protection),
        Some(6..8) => Some(Malformed),
        Some(8..12) if number(8, 12) < 1024 => Some(Malformed),
        Some(28..30) => Some(Malformed),
        Some(_) => Some(WrongProof),
    }
}

#[test]
fn every_bit_of_an_answer_counts() {
    let genuine = Talk::with_records();
    for (at, flipped) in flips(&genuine.answer) {
        let mut caller = End::client(&client(), CLIENT_NONCE);
        caller.hear(&[]);
        assert_eq!(caller.hear(&flipped), [], "bit {at}: a proof is given");
        assert_eq!(caller.refusal, expected_of_answer(at, &flipped), "bit {at}");
        assert!(!caller.is_open(), "bit {at}");
        assert!(caller.refusal.is_some() || caller.end() == Err(Refusal::Truncated), "bit {at}");
    }
}

#[test]
fn every_bit_of_a_proof_counts() {
    let genuine = Talk::with_records();
    for (at, flipped) in flips(&genuine.confirm) {
        let mut listener = End::server(&server(), SERVER_NONCE);
        assert_eq!(listener.hear(&genuine.call), genuine.answer);
        // With a record behind it that the right proof would let in.
        let said = [&flipped[..], &Talk::with_records().client.say(b"too early")].concat();
        let (code, why) = if at / 8 < 4 { (4, Malformed) } else { (2, WrongProof) };
        assert_eq!(listener.hear(&said), refusal(code), "bit {at}");
        assert_eq!(listener.refusal, Some(why), "bit {at}");
        assert_eq!(listener.heard, [], "bit {at}");
    }
}

#[test]
fn every_bit_of_an_acceptance_counts() {
    for protection in [Protection::Required, Protection::Off] {
        let (client, server) = both(protection);
        let genuine = Talk::new(&client, &server, (CLIENT_NONCE, SERVER_NONCE));
        for (at, flipped) in flips(&genuine.acceptance) {
            let mut caller = End::client(&client, CLIENT_NONCE);
            caller.hear(&[]);
            assert_eq!(caller.hear(&genuine.answer), genuine.confirm);
            let why = if at / 8 < 5 { Malformed } else { Refusal::BadRecord };
            assert_eq!(caller.hear(&[&flipped[..], b"message\n"].concat()), [], "bit {at}");
            assert_eq!(caller.refusal, Some(why), "bit {at}");
            assert_eq!(caller.messages(), [b""; 0], "bit {at}");
        }
    }
}

#[test]
fn a_stream_that_ends_within_the_handshake_is_cut() {
    for protection in [Protection::Required, Protection::Off] {
        let (client, server) = both(protection);
        let talk = Talk::new(&client, &server, (CLIENT_NONCE, SERVER_NONCE));
        let is_plain = protection == Protection::Off;
        let flight = [&talk.call[..], &talk.confirm].concat();
        for length in 0..=flight.len() {
            let mut listener = End::server(&server, SERVER_NONCE);
            let said = listener.hear(&flight[..length]);
            let expected = match length {
                _ if length < talk.call.len() => 0,
                _ if length < flight.len() => talk.answer.len(),
                _ => talk.answer.len() + talk.acceptance.len(),
            };
            assert_eq!(said.len(), expected, "{length} bytes");
            // Who leaves upon our proof has another key, and has seen it first.
            let end = match length {
                _ if length == talk.call.len() => Err(Refusal::WrongProof),
                _ if is_plain && length == flight.len() => Ok(()),
                _ => Err(Refusal::Truncated),
            };
            assert_eq!(listener.end(), end, "{length} bytes");
        }
        let flight = [&talk.answer[..], &talk.acceptance].concat();
        for length in 0..=flight.len() {
            let mut caller = End::client(&client, CLIENT_NONCE);
            assert_eq!(caller.hear(&[]), talk.call);
            let said = caller.hear(&flight[..length]);
            let expected = if length < talk.answer.len() { &[][..] } else { &talk.confirm };
            assert_eq!(said, expected, "{length} bytes");
            let end =
                if is_plain && length == flight.len() { Ok(()) } else { Err(Refusal::Truncated) };
            assert_eq!(caller.end(), end, "{length} bytes");
        }
    }
}

#[test]
fn a_refusal_is_told_to_a_client_wherever_it_may_stand_and_nowhere_else() {
    let talk = Talk::with_records();
    let reasons = [
        (1, RefusalCode::Version),
        (2, RefusalCode::Refused),
        (3, RefusalCode::Busy),
        (4, RefusalCode::Malformed),
        (5, RefusalCode::TimedOut),
        (0, RefusalCode::Other(0)),
        (77, RefusalCode::Other(77)),
    ];
    for (code, reason) in reasons {
        let rejected = Some(Refusal::Rejected(reason));
        let mut caller = End::client(&client(), CLIENT_NONCE);
        caller.hear(&[]);
        caller.hear(&[&talk.answer[..CHALLENGE], &refusal(code)].concat());
        assert_eq!((caller.refusal, caller.is_open()), (rejected, false));
        let mut caller = End::client(&client(), CLIENT_NONCE);
        caller.hear(&[]);
        caller.hear(&[&talk.answer[..], &refusal(code)].concat());
        assert_eq!(caller.refusal, rejected);
        // None stands in place of the nonce, and none behind the acceptance.
        let mut caller = End::client(&client(), CLIENT_NONCE);
        caller.hear(&[]);
        caller.hear(&[&refusal(code), &[0; 64][..]].concat());
        assert_eq!(caller.refusal, Some(Malformed));
        let mut caller = Talk::with_records().client;
        caller.hear(&[&refusal(code), &[0; 64][..]].concat());
        assert_eq!(caller.refusal, Some(Refusal::BadRecord));
    }
}

#[test]
fn a_session_says_where_it_stands() {
    let mut listener = End::server(&server(), SERVER_NONCE);
    let mut caller = End::client(&client(), CLIENT_NONCE);
    let call = caller.hear(&[]);
    assert!(listener.session.credential().is_none() && !listener.session.is_partial());
    let front = listener.hear(&call[..20]);
    assert!(front.is_empty() && listener.session.is_partial() && !listener.session.is_due());
    let answer = listener.hear(&call[20..]);
    listener.hear(&caller.hear(&answer));
    assert!(listener.is_open() && !listener.session.is_partial());
    let credential = listener.session.credential().unwrap();
    assert_eq!(credential.dialect, Dialect::Countersign);
    let keys = listener.config.keys().unwrap().clone();
    assert!(!listener.session.is_revoked(&keys, NOW));
    let mut other = ring("k1", b"another secret of some length", SERVER_SEED);
    other.inherit(&keys);
    assert!(listener.session.is_revoked(&other, NOW));
}
