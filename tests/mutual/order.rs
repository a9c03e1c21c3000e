//! The right bytes at the wrong time, at the wrong end or from the wrong one: reflected, relayed,
//! replayed, swapped.

use countersign::{Framing, Protection, Refusal};

use crate::ends::{
    CHALLENGE, CLIENT_NONCE, CLIENT_SEED, End, NOW, SECRET, SERVER_NONCE, SERVER_SEED, Talk, both,
    client, client_of, ring, server, server_of,
};
use crate::forger::{DATA, Forger};

const OTHER_NONCE: [u8; 32] = [0x77; 32];

#[test]
fn nobody_talks_to_itself() {
    // Client and server of one program: they share the ring.
    let shared = ring("k1", SECRET, CLIENT_SEED);
    let mut caller = End::client(&client_of(shared.clone()), CLIENT_NONCE);
    let call = caller.hear(&[]);
    let mut listener = End::server(&server_of(shared.clone()), SERVER_NONCE);
    assert_eq!(listener.hear(&call), [], "before the hello there is nothing to reflect");
    assert_eq!(listener.refusal, Some(Refusal::Reflected));
    // A server of the same ring behind a mirror that gives the call another instance, and its
    // answer the old one.
    let mut other = End::server(&server_of(shared), SERVER_NONCE);
    let at = 8 + 4 + 2 + 2 + 4 + 32;
    let mut changed = call.clone();
    changed[at..at + 16].copy_from_slice(&[9; 16]);
    let answer = other.hear(&changed);
    assert_eq!(caller.hear(&answer), []);
    assert_eq!(caller.refusal, Some(Refusal::Reflected));
    // Whatever the key is.
    let unknown = server_of(ring("k2", b"another secret of some length", CLIENT_SEED));
    let mut listener = End::server(&unknown, SERVER_NONCE);
    assert_eq!(listener.hear(&call), []);
    assert_eq!(listener.refusal, Some(Refusal::Reflected));
}

#[test]
fn what_comes_from_the_other_end_is_not_taken_from_this_one() {
    let talk = Talk::with_records();
    let Talk { call, answer, confirm, acceptance, .. } = &talk;
    let to_server: [(&[&[u8]], Refusal); 8] = [
        (&[answer], Refusal::Foreign(countersign::ForeignProtocol::Other)),
        (&[&answer[CHALLENGE..]], Refusal::Foreign(countersign::ForeignProtocol::Other)),
        (&[confirm], Refusal::Foreign(countersign::ForeignProtocol::Other)),
        (&[call, call], Refusal::Malformed),
        (&[call, &answer[CHALLENGE..]], Refusal::Malformed),
        (&[call, acceptance], Refusal::Malformed),
        (&[call, confirm, confirm], Refusal::BadRecord),
        (&[call, confirm, call], Refusal::BadRecord),
    ];
    for (number, (said, why)) in to_server.into_iter().enumerate() {
        let mut listener = End::server(&server(), SERVER_NONCE);
        said.iter().for_each(|said| drop(listener.hear(said)));
        assert_eq!(listener.refusal, Some(why), "to the server, {number}");
        assert_eq!(listener.messages(), [b""; 0]);
    }
    let to_client: [(&[&[u8]], Refusal); 6] = [
        // The nonce is any bytes, so the magic is no fault by itself.
        (&[call], Refusal::Malformed),
        (&[&answer[..CHALLENGE], acceptance], Refusal::Malformed),
        (&[&answer[..CHALLENGE], confirm], Refusal::Malformed),
        (&[answer, &answer[CHALLENGE..]], Refusal::Malformed),
        (&[answer, confirm], Refusal::Malformed),
        (&[answer, acceptance, acceptance], Refusal::BadRecord),
    ];
    for (number, (said, why)) in to_client.into_iter().enumerate() {
        let mut caller = End::client(&client(), CLIENT_NONCE);
        caller.hear(&[]);
        said.iter().for_each(|said| drop(caller.hear(said)));
        assert_eq!(caller.refusal, Some(why), "to the client, {number}");
        assert_eq!(caller.messages(), [b""; 0]);
    }
}

#[test]
fn a_flight_that_was_recorded_opens_nothing_else() {
    for protection in [Protection::Required, Protection::Off] {
        let (client, server) = both(protection);
        let mut talk = Talk::new(&client, &server, (CLIENT_NONCE, SERVER_NONCE));
        let flight = [&talk.call[..], &talk.confirm, &talk.client.say(b"pay")].concat();
        let mut again = End::server(&server, OTHER_NONCE);
        let said = again.hear(&flight);
        assert_eq!(again.refusal, Some(Refusal::WrongProof));
        assert_eq!(again.heard, []);
        assert_eq!(said[said.len() - 5..], [5, 0, 0, 1, 2]);
        // Nor does the server's open another client, nor the same one upon another call.
        for nonce in [OTHER_NONCE, [0; 32]] {
            let mut caller = End::client(&client, nonce);
            caller.hear(&[]);
            assert_eq!(caller.hear(&[&talk.answer[..], &talk.acceptance].concat()), []);
            assert_eq!(caller.refusal, Some(Refusal::WrongProof));
        }
    }
}

#[test]
fn a_proof_is_good_for_its_own_connection_alone() {
    // Two connections of the same two programs at the same time, and the network swaps the proofs.
    let first = Talk::with_records();
    let second = Talk::new(&client(), &server(), (OTHER_NONCE, OTHER_NONCE));
    let mut listener = End::server(&server(), SERVER_NONCE);
    listener.hear(&first.call);
    listener.hear(&second.confirm);
    assert_eq!(listener.refusal, Some(Refusal::WrongProof));
    let mut caller = End::client(&client(), CLIENT_NONCE);
    caller.hear(&[]);
    let crossed =
        [&first.answer[..first.answer.len() - 32], &second.answer[second.answer.len() - 32..]];
    assert_eq!(caller.hear(&crossed.concat()), []);
    assert_eq!(caller.refusal, Some(Refusal::WrongProof));
    // Nor is the server's proof one of the client's.
    let mut listener = End::server(&server(), SERVER_NONCE);
    let answer = listener.hear(&first.call);
    listener.hear(&[&[3, 0, 0, 32], &answer[answer.len() - 32..]].concat());
    assert_eq!(listener.refusal, Some(Refusal::WrongProof));
}

#[test]
fn the_forger_of_these_tests_is_one_of_the_trade() {
    let mut talk = Talk::with_records();
    let mut forger = Forger::new(SECRET, &talk.call, &talk.answer);
    assert_eq!(forger.server_proof, talk.answer[talk.answer.len() - 32..]);
    assert_eq!(forger.confirm, talk.confirm);
    assert_eq!(forger.to_client.record(4, &[0]), talk.acceptance);
    assert_eq!(forger.to_server.record(DATA, b"as said"), talk.client.say(b"as said"));
    assert_eq!(forger.to_client.open(&talk.server.say(b"so")), [(DATA, b"so".to_vec())]);
}

#[test]
fn whoever_relays_records_is_a_wire_and_no_more() {
    let mut talk = Talk::with_records();
    let said = talk.client.say(b"one");
    talk.server.hear(&said);
    assert_eq!(talk.server.messages(), [b"one"]);
    for injected in [&b"two\n"[..], &said, &talk.acceptance, &[0x10, 0, 0, 16], &[0; 20]] {
        let mut talk = Talk::with_records();
        let said = talk.client.say(b"one");
        talk.server.hear(&[&said, injected, &talk.client.say(b"three")[..]].concat());
        assert_eq!(talk.server.messages(), [b"one"]);
        assert_eq!(talk.server.refusal, Some(Refusal::BadRecord));
    }
    // And both have a secret that it hasn't.
    let secret = |end: &End| end.exporter.as_ref().map(|exporter| exporter.secret(b"binding"));
    assert!(secret(&talk.client).is_some());
    assert_eq!(secret(&talk.client), secret(&talk.server));
}

#[test]
fn whoever_relays_a_plain_conversation_owns_it() {
    // What the manual warns of. If this fails, the manual is wrong.
    for (framing, said) in [(Framing::Lines, &b"two\n"[..]), (Framing::Length, b"\0\0\0\x03two")] {
        let (client, server) = both(Protection::Off);
        let (client, server) = (client.with_framing(framing), server.with_framing(framing));
        let mut talk = Talk::new(&client, &server, (CLIENT_NONCE, SERVER_NONCE));
        talk.server.hear(said);
        talk.client.hear(said);
        assert_eq!(talk.server.messages(), [b"two"]);
        assert_eq!(talk.client.messages(), [b"two"]);
    }
}

#[test]
fn whoever_relays_an_offer_changes_nothing_of_it() {
    // Both would do without records, and don't: the flag can't be taken out on the way.
    let (client, server) = both(Protection::Allowed);
    let mut caller = End::client(&client, CLIENT_NONCE);
    let mut call = caller.hear(&[]);
    assert_eq!(call[14..16], [0, 1]);
    call[15] = 0;
    let mut listener = End::server(&server, SERVER_NONCE);
    let mut answer = listener.hear(&call);
    let flags = CHALLENGE + 4 + 2;
    assert_eq!(answer[flags..flags + 2], [0, 0]);
    assert_eq!(caller.hear(&answer), []);
    assert_eq!(caller.refusal, Some(Refusal::WrongProof));
    answer[flags + 1] = 1;
    let mut caller = End::client(&client, CLIENT_NONCE);
    caller.hear(&[]);
    assert_eq!(caller.hear(&answer), []);
    assert_eq!(caller.refusal, Some(Refusal::WrongProof));
    // What they agree on by themselves, each of the nine ways.
    use Protection::{Allowed, Off, Required};
    for theirs in [Required, Allowed, Off] {
        for ours in [Required, Allowed, Off] {
            let mut caller = End::client(&both(theirs).0, CLIENT_NONCE);
            let mut listener = End::server(&both(ours).1, SERVER_NONCE);
            let answer = listener.hear(&caller.hear(&[]));
            let agree = !matches!((theirs, ours), (Required, Off) | (Off, Required));
            let why = (!agree).then_some(Refusal::Protection);
            assert_eq!(listener.refusal, why, "{theirs:?} {ours:?}");
            assert_eq!(!caller.hear(&answer).is_empty(), agree, "{theirs:?} {ours:?}");
        }
    }
}

#[test]
fn a_call_and_a_foreseen_proof_in_one_segment_are_answered_together() {
    // Who holds the key and has seen the server before can foresee all but the nonce, and the nonce
    // too where raw is served beside it.
    let server = server().with_raw();
    let mut caller = End::client(&client(), CLIENT_NONCE);
    let call = caller.hear(&[]);
    let mut first = End::server(&server, SERVER_NONCE);
    let nonce = first.hear(&[]);
    assert_eq!(nonce, SERVER_NONCE);
    let hello = first.hear(&call);
    let mut forger = Forger::new(SECRET, &call, &[&nonce[..], &hello].concat());
    let mut listener = End::server(&server, SERVER_NONCE);
    listener.hear(&[]);
    let record = forger.to_server.record(DATA, b"at once");
    let said = listener.hear(&[&call[..], &forger.confirm, &record].concat());
    assert_eq!(said, [&hello[..], &forger.to_client.record(4, &[0])].concat());
    assert_eq!(listener.messages(), [b"at once"]);
    let reply = listener.say(b"and so");
    assert_eq!(forger.to_client.open(&reply), [(DATA, b"and so".to_vec())]);
    // At the other end: the server's answer is there before the client has called.
    let mut listener = End::server(&server, SERVER_NONCE);
    listener.hear(&[]);
    let answer = [&nonce[..], &listener.hear(&call)].concat();
    let mut caller = End::client(&client(), CLIENT_NONCE);
    let said = caller.hear(&answer);
    assert_eq!(said, [&call[..], &forger.confirm].concat());
    let said = caller.say(b"at once");
    assert_eq!(said, record);
}

#[test]
fn a_shared_port_is_never_raw_again_behind_the_magic() {
    let key = countersign::Key::new("k1", SECRET).unwrap();
    let key = key.with_dialect(countersign::Dialect::Countersign);
    let keys = countersign::KeyRing::new(countersign::RingSecrets::new(SERVER_SEED));
    let keys = keys.with(key.with_dialect(countersign::Dialect::Raw)).unwrap();
    let server = server_of(keys.clone()).with_raw();
    let talk = Talk::with_records();
    let mut raw = Vec::new();
    let signer = countersign::ClientConfig::builder(countersign::Dialect::Raw);
    let signer = signer.with_keys(keys).build().unwrap();
    let mut session = countersign::Session::client(signer, NOW, CLIENT_NONCE).unwrap();
    session.process(NOW, &mut &SERVER_NONCE[..], &mut raw).unwrap();
    // A right proof is let in, and one that begins with the magic would be a call.
    let mut listener = End::server(&server, SERVER_NONCE);
    listener.hear(&[]);
    assert_eq!(listener.hear(&raw), []);
    assert!(listener.is_open());
    for length in 8..talk.call.len() {
        let mut listener = End::server(&server, SERVER_NONCE);
        listener.hear(&[]);
        let said = listener.hear(&[&talk.call[..length], &raw[..]].concat());
        assert!(!listener.is_open(), "{length} bytes of a call");
        assert!(listener.refusal != Some(Refusal::WrongProof) || said.ends_with(&[5, 0, 0, 1, 2]));
    }
    // Seven bytes of it are none, and the verdict waits for the eighth.
    let mut listener = End::server(&server, SERVER_NONCE);
    listener.hear(&[]);
    listener.hear(&talk.call[..7]);
    assert_eq!(listener.refusal, None);
    assert_eq!(listener.hear(&[&raw[..], &raw].concat()), []);
    assert_eq!(listener.refusal, Some(Refusal::WrongProof));
}
