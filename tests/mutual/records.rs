//! Records on a network that drops, doubles, moves, cuts and changes them: what is handed on is the
//! front of what was said, and the end says whether it was all.

use countersign::session::SealError;
use countersign::{CloseReason, Limits, Protection, Refusal, Reply};

use crate::ends::{
    CLIENT_NONCE, End, Heard, SECRET, SERVER_NONCE, ServerOptions, Talk, both, client, in_memory,
    server,
};
use crate::forger::{CLOSE, DATA, Forger, PING, frame};
use crate::keys::call_as;

const MESSAGES: [&[u8]; 4] = [b"one", b"", b"three\n\0\xff", b"four, and a little longer"];

/// A talk with records on their way, to the server or to the client.
struct Sent {
    records: Vec<Vec<u8>>,
    /// Who takes them.
    end: End,
    /// Another session's records under the same key.
    foreign: Vec<Vec<u8>>,
    /// What the taker has said itself.
    own: Vec<u8>,
}

/// In either direction, with tags and sealed.
const WAYS: [(bool, Protection); 4] = [
    (true, Protection::Required),
    (false, Protection::Required),
    (true, Protection::Sealed),
    (false, Protection::Sealed),
];

fn sent((to_server, protection): (bool, Protection)) -> Sent {
    let (client, server) = both(protection);
    let [one, two] = [SERVER_NONCE, [3; 32]].map(|nonce| {
        let mut talk = Talk::new(&client, &server, (CLIENT_NONCE, nonce));
        let from = if to_server { &mut talk.client } else { &mut talk.server };
        let mut records: Vec<_> = MESSAGES.iter().map(|message| from.say(message)).collect();
        records.push(from.finish());
        (talk, records)
    });
    let Talk { client, server, .. } = one.0;
    let (mut end, records) = (if to_server { server } else { client }, one.1);
    let own = end.say(b"mine");
    Sent { records, end, foreign: two.1, own }
}

/// Whether the first so many messages were handed on, and nothing else.
fn check_front(end: &End, count: usize, what: &str) {
    assert_eq!(end.messages(), MESSAGES[..count], "{what}");
}

#[test]
fn all_that_was_said_arrives_and_the_good_bye_says_so() {
    for Sent { records, mut end, .. } in WAYS.map(sent) {
        assert_eq!(end.hear(&records.concat()), []);
        check_front(&end, 4, "whole");
        assert_eq!(end.heard.last(), Some(&Heard::Finished));
        assert_eq!((end.refusal, end.end()), (None, Ok(())));
    }
}

#[test]
fn a_record_that_is_missing_doubled_moved_or_foreign_ends_it_there() {
    for number in 0..MESSAGES.len() + 1 {
        type Attack = fn(&mut Vec<Vec<u8>>, usize, &Sent);
        let attacks: [(&str, Attack); 7] = [
            ("missing", |records, at, _| drop(records.remove(at))),
            ("doubled", |records, at, _| records.insert(at, records[at.saturating_sub(1)].clone())),
            ("swapped", |records, at, _| {
                let other = (at + 1) % records.len();
                records.swap(at, other);
            }),
            ("of another session", |records, at, sent| records[at] = sent.foreign[at].clone()),
            ("another session's before it", |records, at, sent| {
                records.insert(at, sent.foreign[at].clone());
            }),
            ("its own", |records, at, sent| records.insert(at, sent.own.clone())),
            ("without its tag", |records, at, _| {
                let length = records[at].len() - 16;
                records[at].truncate(length);
            }),
        ];
        for (what, attack) in attacks {
            for mut sent in WAYS.map(sent) {
                let mut records = sent.records.clone();
                attack(&mut records, number, &sent);
                sent.end.hear(&records.concat());
                let first = records.iter().zip(&sent.records).take_while(|(a, b)| a == b).count();
                check_front(&sent.end, first.min(4), what);
                let is_end_missing = what == "missing" && number == 4;
                let is_close_cut = what == "without its tag" && number == 4;
                let why = (!is_end_missing && !is_close_cut).then_some(Refusal::BadRecord);
                let is_behind_close = first == 5;
                assert_eq!(sent.end.refusal, why, "{what} at {number}");
                if is_end_missing || is_close_cut {
                    assert_eq!(sent.end.end(), Err(Refusal::Truncated), "{what}");
                }
                assert!(!is_behind_close || sent.end.heard.contains(&Heard::Finished));
            }
        }
    }
}

#[test]
fn a_bit_that_is_turned_over_anywhere_is_seen() {
    let mut flips = 0;
    for way in WAYS {
        let records = sent(way).records;
        let bytes = records.concat();
        for bit in 0..bytes.len() * 8 {
            let end = &mut sent(way).end;
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 0x80 >> (bit % 8);
            end.hear(&flipped);
            let mut start = 0;
            let before = records.iter().take_while(|record| {
                start += record.len();
                start <= bit / 8
            });
            check_front(end, before.count().min(4), "flipped");
            // A length that grew waits for what never comes.
            let ended = end.refusal.map_or_else(|| end.end(), Err);
            let known = [Refusal::BadRecord, Refusal::MessageTooLong, Refusal::Truncated];
            assert!(ended.is_err_and(|why| known.contains(&why)), "bit {bit}: {ended:?}");
            flips += 1;
        }
    }
    assert!(flips > 1000);
}

#[test]
fn a_stream_that_ends_anywhere_but_behind_the_good_bye_is_cut() {
    let lengths: Vec<usize> = sent(WAYS[0]).records.iter().map(Vec::len).collect();
    let total: usize = lengths.iter().sum();
    for length in 0..=total {
        for Sent { records, mut end, .. } in WAYS.map(sent) {
            end.hear(&records.concat()[..length]);
            let mut left = length;
            let whole = lengths.iter().take_while(|&&record| {
                let fits = left >= record;
                left = left.saturating_sub(record);
                fits
            });
            check_front(&end, whole.count().min(4), "cut");
            assert_eq!(end.refusal, None);
            let expected = if length == total { Ok(()) } else { Err(Refusal::Truncated) };
            assert_eq!(end.end(), expected, "{length} of {total} bytes");
        }
    }
}

/// A server with a forger that was let in.
pub(crate) fn forged(server: &ServerOptions) -> (End, Forger) {
    let protection = server.clone().build().unwrap().protection();
    let client = client().with_records(protection);
    let talk = Talk::new(&client, server, (CLIENT_NONCE, SERVER_NONCE));
    let mut forger = Forger::new(SECRET, &talk.call, &talk.answer);
    forger.to_client.next = 1;
    (talk.server, forger)
}

#[test]
fn right_tags_don_t_help_wrong_forms() {
    type Fault = fn(&mut Forger) -> Vec<u8>;
    let faults: [(&str, Fault, Refusal); 13] = [
        ("a ping of 126 bytes", |f| f.to_server.record(PING, &[1; 126]), Refusal::BadRecord),
        ("a pong of 126 bytes", |f| f.to_server.record(0x12, &[1; 126]), Refusal::BadRecord),
        ("a close with a payload", |f| f.to_server.record(CLOSE, b"!"), Refusal::BadRecord),
        ("a type below", |f| f.to_server.record(0x0f, b""), Refusal::BadRecord),
        ("a type above", |f| f.to_server.record(0x15, b""), Refusal::BadRecord),
        ("an acceptance", |f| f.to_server.record(4, &[0]), Refusal::BadRecord),
        ("a proof", |f| f.to_server.record(3, &[0; 16]), Refusal::BadRecord),
        ("a refusal", |_| frame(5, &[2]), Refusal::BadRecord),
        ("no room for a tag", |_| frame(DATA, &[0; 15]), Refusal::BadRecord),
        ("no length", |_| frame(DATA, &[]), Refusal::BadRecord),
        ("a byte too long", |f| f.to_server.record(DATA, &[1; 2001]), Refusal::MessageTooLong),
        ("a length alone", |_| vec![DATA, 0xff, 0xff, 0xff], Refusal::MessageTooLong),
        ("the server's own", |f| f.to_client.record(DATA, b"x"), Refusal::BadRecord),
    ];
    for (what, fault, why) in faults {
        let (mut end, mut forger) = forged(&server().with_message_max(2000));
        let first = forger.to_server.record(DATA, &[b'x'; 2000]);
        let said = [first, fault(&mut forger), forger.to_server.record(DATA, b"behind")].concat();
        assert_eq!(end.hear(&said), [], "{what}");
        assert_eq!(end.messages(), [[b'x'; 2000]], "{what}");
        assert_eq!(end.refusal, Some(why), "{what}");
        assert!(end.session.bytes_buffered() < 100, "{what}");
    }
}

#[test]
fn any_record_behind_a_close_is_a_fault() {
    for kind in [DATA, PING, 0x12, CLOSE] {
        let (mut end, mut forger) = forged(&server());
        end.hear(&forger.to_server.record(CLOSE, b""));
        assert_eq!((end.refusal, end.heard.last()), (None, Some(&Heard::Finished)));
        assert_eq!(end.hear(&forger.to_server.record(kind, b"")), []);
        assert_eq!(end.refusal, Some(Refusal::BadRecord), "{kind:x}");
    }
}

#[test]
fn a_claimed_length_keeps_no_more_than_what_has_come() {
    let (mut end, _) = forged(&server().with_message_max(1 << 23));
    end.hear(&[DATA, 0x7f, 0xff, 0xff]);
    end.hear(b"ten bytes.");
    assert_eq!(end.refusal, None);
    // One block, and what leads to it.
    assert!(end.session.bytes_buffered() < 1500, "{} bytes", end.session.bytes_buffered());
}

#[test]
fn what_the_other_end_does_not_take_is_not_sent() {
    // The least that an end may take: 1,024 bytes, of which 16 are the tag.
    let small = client().with_message_max(1);
    let talk = Talk::new(&small, &server(), (CLIENT_NONCE, SERVER_NONCE));
    assert!(talk.server.session.takes(1008) && !talk.server.session.takes(1009));
    let mut out = Vec::new();
    let mut session = talk.server.session.into_core();
    let form = session.form(&talk.server.config);
    for length in [3, 1008, 1009, 5] {
        form.frame(&vec![b'x'; length], &mut out);
    }
    let sealed = session.seal(&mut out);
    let ready = 3 + 1008 + 2 * 20;
    let ready_before = sealed.map_err(|SealError { ready, .. }| ready);
    assert_eq!(ready_before, Err(ready), "what stands before the one that is too long");
    out.truncate(ready);
    let mut forger = Forger::new(SECRET, &talk.call, &talk.answer);
    forger.to_client.next = 1;
    let lengths: Vec<_> = forger.to_client.open(&out).iter().map(|(_, data)| data.len()).collect();
    assert_eq!(lengths, [3, 1008]);
    // A limit that no length can tell means the longest that it can.
    let huge = client().with_message_max(1 << 30);
    let talk = Talk::new(&huge, &server(), (CLIENT_NONCE, SERVER_NONCE));
    assert_eq!(talk.call[16..20], 0x00ff_ffff_u32.to_be_bytes());
    assert!(
        talk.server.session.takes((1 << 24) - 17) && !talk.server.session.takes((1 << 24) - 16)
    );
}

#[test]
fn a_reply_that_no_record_can_hold_ends_the_connection_and_nothing_else() {
    // With more in front than the request has, as by the time.
    let longer = |message: &[u8], reply: &mut Reply<'_>| {
        reply.push(&[b'x'; 20]);
        reply.message(message);
    };
    let limits = Limits { reply_max: 17 << 20, ..Limits::default() };
    let protocol = server().with_message_max(1 << 24);
    let mut server = in_memory(protocol.build().unwrap(), limits, longer);
    let longest = client().with_message_max(1 << 24);
    let (peer, mut forger) = call_as(&mut server, &longest, SERVER_NONCE);
    server.send(&peer, &forger.confirm.clone());
    assert_eq!(peer.take(), forger.to_client.record(4, &[0]));
    let said = [&b"one"[..], &vec![0xff; (1 << 24) - 17]].map(|m| forger.to_server.record(DATA, m));
    server.send(&peer, &said.concat());
    assert_eq!(forger.to_client.open(&peer.take())[0].1.len(), 23);
    peer.finish();
    server.finish(&peer);
    assert_eq!(server.engine.counters().closed(CloseReason::ReplyTooLong), 1);
}

#[test]
fn an_end_takes_what_it_has_told_the_other_that_it_takes() {
    for message_max in [1, 1007, 1008, 1009, 5000] {
        let (mut end, mut forger) = forged(&server().with_message_max(message_max));
        let most = message_max.max(1008);
        end.hear(&forger.to_server.record(DATA, &vec![b'x'; most]));
        assert_eq!((end.messages().len(), end.refusal), (1, None), "{message_max}");
        end.hear(&forger.to_server.record(DATA, &vec![b'x'; most + 1])[..4]);
        assert_eq!(end.refusal, Some(Refusal::MessageTooLong), "{message_max}");
    }
}
