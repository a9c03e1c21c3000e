//! Sealed records: who agrees on them, that nobody can talk two ends out of them, and that what
//! holds of tagged records holds of them too.

use countersign::{Framing, Limits, Protection, Refusal, Reply};

use crate::batches::taken;
use crate::ends::{
    CHALLENGE, CLIENT_NONCE, ClientOptions, End, Heard, SECRET, SERVER_HELLO, SERVER_NONCE,
    ServerOptions, Talk, both, client, in_memory, server,
};
use crate::forger::{BATCH, CLOSE, DATA, Forger, PING, PONG, batch, frame};
use crate::keys::call_as;
use crate::records::forged;

/// Both ends, the client's first.
fn sealing() -> (ClientOptions, ServerOptions) {
    both(Protection::Sealed)
}

/// The extension by which both agree.
const EXTENSION: [u8; 5] = [0, 1, 0, 1, 1];

/// A call or an answer of which a part is another: in it, and in the lengths around it.
fn replaced(frame: &[u8], header: usize, from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = frame.windows(from.len()).rposition(|part| part == from).unwrap();
    let mut changed = [&frame[..at], to, &frame[at + from.len()..]].concat();
    let grown = to.len().wrapping_sub(from.len());
    changed[header + 3] = changed[header + 3].wrapping_add(grown.to_le_bytes()[0]);
    changed
}

#[test]
fn both_ends_agree_to_seal_or_there_is_no_conversation() {
    for theirs in Protection::ALL.iter().copied() {
        for ours in Protection::ALL.iter().copied() {
            let mut caller = End::client(&both(theirs).0, CLIENT_NONCE);
            let mut listener = End::server(&both(ours).1, SERVER_NONCE);
            let answer = listener.hear(&caller.hear(&[]));
            let confirm = caller.hear(&answer);
            let what = format!("{theirs:?} {ours:?}");
            match (theirs, ours) {
                (Protection::Sealed, Protection::Sealed) => {
                    caller.hear(&listener.hear(&confirm));
                    assert!(caller.is_open() && listener.is_open(), "{what}");
                }
                // The listener can't tell before that this client insists.
                (Protection::Sealed, Protection::Required | Protection::Allowed) => {
                    assert_eq!(listener.refusal, None, "{what}");
                    assert_eq!((caller.refusal, confirm), (Some(Refusal::Protection), vec![]));
                    assert_eq!(listener.end(), Err(Refusal::Protection), "{what}");
                }
                (Protection::Sealed, _) | (_, Protection::Sealed) => {
                    assert_eq!(listener.refusal, Some(Refusal::Protection), "{what}");
                    assert_eq!(answer[CHALLENGE..], [5, 0, 0, 1, 2], "{what}");
                }
                // As before there was sealing.
                _ => {}
            }
        }
    }
}

#[test]
fn nobody_on_the_way_can_talk_them_out_of_it() {
    let (client, server) = sealing();
    let mut caller = End::client(&client, CLIENT_NONCE);
    let call = caller.hear(&[]);
    assert_eq!(call[call.len() - 7..], [&[0, 5], &EXTENSION[..]].concat());
    let none = replaced(&call, 8, &[&[0, 5], &EXTENSION[..]].concat(), &[0, 0]);
    // The server refuses an offer of which the extension was taken out.
    let mut listener = End::server(&server, SERVER_NONCE);
    listener.hear(&none);
    assert_eq!(listener.refusal, Some(Refusal::Protection));
    // One that doesn't seal answers it, and its proof is of another transcript.
    for ours in [Protection::Required, Protection::Allowed] {
        let mut listener = End::server(&both(ours).1, SERVER_NONCE);
        let answer = listener.hear(&none);
        let put_back = replaced(&answer, CHALLENGE, &[0, 0], &[&[0, 5], &EXTENSION[..]].concat());
        for answer in [answer, put_back] {
            let mut caller = End::client(&client, CLIENT_NONCE);
            caller.hear(&[]);
            assert_eq!(caller.hear(&answer), []);
            assert_eq!(caller.refusal, Some(Refusal::WrongProof), "{ours:?}");
        }
    }
    // Nor can the answer be changed.
    let mut listener = End::server(&server, SERVER_NONCE);
    let answer = listener.hear(&call);
    assert_eq!(answer.len(), CHALLENGE + SERVER_HELLO + EXTENSION.len());
    let extension = [&[0, 5], &EXTENSION[..]].concat();
    for (other, why) in [
        (&[0, 0][..], Refusal::WrongProof),
        (&[0, 5, 0, 1, 0, 1, 2], Refusal::WrongProof),
        (&[0, 5, 0, 2, 0, 1, 1], Refusal::Malformed),
    ] {
        let mut caller = End::client(&client, CLIENT_NONCE);
        caller.hear(&[]);
        assert_eq!(caller.hear(&replaced(&answer, CHALLENGE, &extension, other)), []);
        assert_eq!(caller.refusal, Some(why), "{other:?}");
    }
}

#[test]
fn what_is_sealed_can_not_be_read_and_looks_new_each_time() {
    let secret = b"nobody reads this who lacks the key";
    let reads = |bytes: &[u8]| bytes.windows(8).any(|part| part == b"nobody r");
    let mut talk = Talk::with_records();
    assert!(reads(&talk.client.say(secret)), "with tags, everyone reads it");
    let (client, server) = sealing();
    let mut talk = Talk::new(&client, &server, (CLIENT_NONCE, SERVER_NONCE));
    let said = [talk.client.say(secret), talk.client.say(secret), talk.server.say(secret)];
    assert!(said.iter().all(|record| !reads(record)));
    assert!(said[0][4..] != said[1][4..] && said[0][4..] != said[2][4..]);
    assert_eq!(said[0][..4], [DATA, 0, 0, 16 + 35], "type and length can be seen");
    talk.server.hear(&said[..2].concat());
    talk.client.hear(&said[2]);
    assert_eq!(talk.server.messages(), [secret, secret]);
    assert_eq!(talk.client.messages(), [secret]);
    // What was read is gone from memory as soon as it was handed on.
    assert_eq!(talk.server.session.bytes_buffered(), 0);
}

#[test]
fn the_forger_seals_as_both_ends_do() {
    let (client, server) = sealing();
    let mut talk = Talk::new(&client, &server, (CLIENT_NONCE, SERVER_NONCE));
    let mut forger = Forger::new(SECRET, &talk.call, &talk.answer);
    assert_eq!(forger.confirm, talk.confirm);
    // The acceptance has its tag, and the first number.
    assert_eq!(forger.to_client.record(4, &[0]), talk.acceptance);
    assert_eq!(forger.to_server.record(DATA, b"as said"), talk.client.say(b"as said"));
    assert_eq!(forger.to_client.open(&talk.server.say(b"so")), [(DATA, b"so".to_vec())]);
    let said = talk.server.hear(&forger.to_server.record(DATA, b"as said")[..3]);
    assert_eq!(said, []);
}

#[test]
fn right_seals_don_t_help_wrong_forms() {
    let server = sealing().1.with_message_max(2000);
    type Fault = fn(&mut Forger) -> Vec<u8>;
    let faults: [(&str, Fault, Refusal); 11] = [
        ("a ping of 126 bytes", |f| f.to_server.record(PING, &[1; 126]), Refusal::BadRecord),
        ("a close with a payload", |f| f.to_server.record(CLOSE, b"!"), Refusal::BadRecord),
        ("a type above", |f| f.to_server.record(0x15, b""), Refusal::BadRecord),
        ("an acceptance", |f| f.to_server.record(4, &[0]), Refusal::BadRecord),
        ("no room for a tag", |_| frame(DATA, &[0; 15]), Refusal::BadRecord),
        ("a byte too long", |f| f.to_server.record(DATA, &[1; 2001]), Refusal::MessageTooLong),
        ("the server's own", |f| f.to_client.record(DATA, b"x"), Refusal::BadRecord),
        ("an empty batch", |f| f.to_server.record(BATCH, b""), Refusal::BadRecord),
        ("an overrun", |f| f.to_server.record(BATCH, b"\0\0\x02a"), Refusal::BadRecord),
        ("trailing bytes", |f| f.to_server.record(BATCH, b"\0\0\x01a\0"), Refusal::BadRecord),
        ("text that was never sealed", |_| frame(DATA, &[0; 40]), Refusal::BadRecord),
    ];
    for (what, fault, why) in faults {
        let (mut end, mut forger) = forged(&server);
        let first = forger.to_server.record(DATA, b"whole");
        let said = [first, fault(&mut forger), forger.to_server.record(DATA, b"behind")].concat();
        assert_eq!(end.hear(&said), [], "{what}");
        assert_eq!((end.messages(), end.refusal), (vec![&b"whole"[..]], Some(why)), "{what}");
    }
}

#[test]
fn tags_where_records_are_sealed_are_no_seals_and_the_other_way_round() {
    for (ours, theirs) in
        [(Protection::Sealed, Protection::Required), (Protection::Required, Protection::Sealed)]
    {
        let (mut end, _) = forged(&both(ours).1);
        let (_, mut forger) = forged(&both(theirs).1);
        end.hear(&forger.to_server.record(DATA, b"x"));
        assert_eq!((end.messages().len(), end.refusal), (0, Some(Refusal::BadRecord)), "{ours:?}");
    }
}

#[test]
fn every_cut_of_sealed_records_gives_the_same_messages() {
    let server = sealing().1;
    let (mut end, mut forger) = forged(&server);
    let whole = [
        forger.to_server.record(DATA, b"one"),
        forger.to_server.record(BATCH, &batch(&[&b"two"[..], b"", &[b'4'; 1200]])),
        forger.to_server.record(PING, b"ping"),
        forger.to_server.record(DATA, &[b'5'; 1200]),
        forger.to_server.record(CLOSE, b""),
    ]
    .concat();
    let said = end.hear(&whole);
    forger.to_client.next = 1;
    assert_eq!(forger.to_client.open(&said), [(PONG, b"ping".to_vec())]);
    let expected = end.heard;
    assert_eq!(expected.len(), 1 + 1 + 3 + 1 + 1 + 1);
    assert_eq!(expected.last(), Some(&Heard::Finished));
    for cut in (0..=whole.len()).step_by(3) {
        let (mut end, _) = forged(&server);
        end.hear(&whole[..cut]);
        end.hear(&whole[cut..]);
        assert_eq!((end.heard, end.refusal), (expected.clone(), None), "cut at {cut}");
        assert_eq!(end.session.bytes_buffered(), 0, "cut at {cut}");
    }
}

#[test]
fn a_sealed_batch_can_be_taken_in_parts() {
    let server = sealing().1;
    let said = [&b"one"[..], b"", b"three", b"4", &[b'5'; 6000], b"six"];
    for most in [1, 2, 10] {
        let (_, mut forger) = forged(&server);
        let records = [DATA, BATCH, BATCH].map(|kind| match kind {
            DATA => forger.to_server.record(DATA, b"zero"),
            _ => forger.to_server.record(BATCH, &batch(&said)),
        });
        let whole = records.concat();
        for cut in (0..whole.len()).step_by(97) {
            let (End { session, config, .. }, _) = forged(&server);
            let (front, back) = whole.split_at(cut);
            let taken = taken(&mut session.into_core(), &config, &[front, back], most);
            assert_eq!(taken, [&[&b"zero"[..]], &said[..], &said].concat(), "cut at {cut}");
        }
    }
}

#[test]
fn a_server_answers_sealed_batches_with_sealed_batches() {
    const MESSAGES: usize = 5_000;
    let echo = |message: &[u8], reply: &mut Reply<'_>| reply.message(message);
    let (client, server) = sealing();
    let mut server = in_memory(server.build().unwrap(), Limits::default(), echo);
    let (peer, mut forger) = call_as(&mut server, &client, SERVER_NONCE);
    server.send(&peer, &forger.confirm.clone());
    assert_eq!(peer.take(), forger.to_client.record(4, &[0]));
    let said: Vec<Vec<u8>> = (0..MESSAGES).map(|number| number.to_string().into()).collect();
    peer.set_room(0);
    server.send(&peer, &forger.to_server.record(BATCH, &batch(&said)));
    let (mut heard, max) = (Vec::new(), server.engine.memory_max().buffered_per_connection);
    loop {
        assert!(server.engine.bytes_buffered() <= max);
        server.make_room(&peer, 900);
        match peer.take() {
            part if part.is_empty() => break,
            part => heard.extend(part),
        }
    }
    assert_eq!(forger.to_client.messages(&heard), said);
    assert_eq!(server.engine.bytes_buffered(), 0);
}

#[test]
fn chunks_can_be_sealed_and_are_never_plain() {
    let chunks =
        |records| client().with_records(records).with_framing(Framing::Chunks).build().is_ok();
    assert!(chunks(Protection::Sealed) && !chunks(Protection::Off));
    assert_eq!(
        server().build().unwrap().protection(),
        Protection::Required,
        "unless told otherwise"
    );
}
