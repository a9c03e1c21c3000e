//! Batches: several messages in one record, which arrive as if each had come alone, or not at all.

use std::ops::ControlFlow;

use countersign::config::SessionConfig;
use countersign::session::{Event, SendError, SessionCore};
use countersign::testing::{MemoryPeer, TestServer};
use countersign::{CloseReason, Exchange, Limits, Refusal, Reply};
use proptest::collection::vec;
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

use crate::ends::{
    CLIENT_NONCE, ClientOptions, End, Heard, NOW, SECRET, SERVER_NONCE, Talk, client, in_memory,
    server,
};
use crate::forger::{BATCH, CLOSE, DATA, Direction, Forger, PING, PONG, batch, frame};
use crate::keys::enter;
use crate::records::forged;

const NONCES: ([u8; 32], [u8; 32]) = (CLIENT_NONCE, SERVER_NONCE);

impl Direction {
    /// The messages in these records, which are data and batches alone.
    pub(crate) fn messages(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut messages = Vec::new();
        for (kind, payload) in self.open(bytes) {
            if kind == DATA {
                messages.push(payload);
                continue;
            }
            assert_eq!(kind, BATCH);
            let mut rest = &payload[..];
            while let [a, b, c, behind @ ..] = rest {
                let (message, behind) =
                    behind.split_at(u32::from_be_bytes([0, *a, *b, *c]).try_into().unwrap());
                messages.push(message.to_vec());
                rest = behind;
            }
            assert_eq!(rest, b"");
        }
        messages
    }
}

fn echo(message: &[u8], reply: &mut Reply<'_>) {
    reply.message(message);
}

/// What a server in memory has sent, which the peer reads a little at a time.
fn read_slowly(
    server: &mut TestServer<impl countersign::Service>,
    peer: &MemoryPeer,
    step: usize,
) -> Vec<u8> {
    let max = server.engine.memory_max().buffered_per_connection;
    let mut heard = peer.take();
    loop {
        assert!(server.engine.bytes_buffered() <= max, "{}", server.engine.bytes_buffered());
        server.make_room(peer, step);
        let said = peer.take();
        if said.is_empty() {
            return heard;
        }
        heard.extend(said);
    }
}

#[test]
fn every_cut_of_batches_and_records_gives_the_same_messages() {
    let stream = |forger: &mut Forger| {
        [
            forger.to_server.record(BATCH, &batch(&[&b"one"[..], b"", b"three"])),
            forger.to_server.record(DATA, b"four"),
            forger.to_server.record(BATCH, &batch(&[b"five"])),
            forger.to_server.record(PING, b"ping"),
            forger.to_server.record(BATCH, &batch(&[&[b'6'; 200][..], b"\xff\0"])),
            forger.to_server.record(BATCH, &batch(&[b"", b"", b""])),
            forger.to_server.record(CLOSE, b""),
        ]
        .concat()
    };
    let (mut end, mut forger) = forged(&server());
    let whole = stream(&mut forger);
    end.hear(&whole);
    let expected = end.heard;
    assert_eq!(expected.len(), 1 + 3 + 1 + 1 + 1 + 2 + 3 + 1);
    for cut in 0..=whole.len() {
        let (mut end, _) = forged(&server());
        end.hear(&whole[..cut]);
        end.hear(&whole[cut..]);
        assert_eq!((end.heard, end.refusal), (expected.clone(), None), "cut at {cut}");
        assert_eq!(end.session.bytes_buffered(), 0);
    }
    let (mut end, _) = forged(&server());
    whole.chunks(1).for_each(|byte| drop(end.hear(byte)));
    assert_eq!((end.heard, end.refusal), (expected, None), "byte by byte");
}

/// Takes the messages of these pieces, at most so many in a call.
pub(crate) fn taken(
    session: &mut SessionCore,
    config: &SessionConfig,
    pieces: &[&[u8]],
    most: usize,
) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    for mut piece in pieces.iter().copied() {
        while !piece.is_empty() || session.is_due() {
            let mut left = most;
            let step = session.process_messages(config, &mut piece, &mut Vec::new(), |message| {
                messages.push(message.bytes.to_vec());
                left -= 1;
                if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            step.unwrap();
            session.release();
        }
        assert!(session.is_partial() || session.bytes_buffered() == 0);
    }
    messages
}

#[test]
fn a_batch_can_be_taken_in_parts_wherever_it_was_cut() {
    let said = [&b"one"[..], b"", b"three", b"4", &[b'5'; 6000], b"six"];
    for most in [1, 2, 3, 10] {
        let (_, mut forger) = forged(&server());
        let whole = [
            forger.to_server.record(BATCH, &batch(&said)),
            forger.to_server.record(DATA, b"seven"),
            forger.to_server.record(BATCH, &batch(&said)),
        ]
        .concat();
        let expected = [&said[..], &[b"seven"], &said].concat();
        for cut in (0..whole.len()).step_by(37) {
            let (End { session, config, .. }, _) = forged(&server());
            let (front, back) = whole.split_at(cut);
            let taken = taken(&mut session.into_core(), &config, &[front, back], most);
            assert_eq!(taken, expected, "{most} at once, cut at {cut}");
        }
    }
}

proptest! {
    #[test]
    fn any_batches_in_any_parts_are_their_messages(
        batches in vec(vec(vec(any::<u8>(), 0..40), 1..20), 1..6),
        cut in any::<proptest::sample::Index>(),
        most in 1..9_usize,
    ) {
        let (End { session, config, .. }, mut forger) = forged(&server());
        let stream: Vec<u8> = batches
            .iter()
            .flat_map(|messages| forger.to_server.record(BATCH, &batch(messages)))
            .collect();
        let (front, back) = stream.split_at(cut.index(stream.len() + 1));
        let taken = taken(&mut session.into_core(), &config, &[front, back], most);
        prop_assert_eq!(taken, batches.concat());
    }
}

/// Has a server seal these messages, and a pong behind each empty one, all at once.
fn sealed(messages: &[Vec<u8>], client: &ClientOptions) -> (Vec<(u8, Vec<u8>)>, usize) {
    let talk = Talk::new(client, &server(), (CLIENT_NONCE, SERVER_NONCE));
    let mut forger = Forger::new(SECRET, &talk.call, &talk.answer);
    forger.to_client.next = 1;
    let mut out = Vec::new();
    let mut session = talk.server.session.into_core();
    let form = session.form(&talk.server.config);
    for message in messages {
        form.frame(message, &mut out);
        if message.is_empty() {
            out.extend(frame(PONG, &[0; 16]));
        }
    }
    let ready = session.seal(&mut out).unwrap();
    (forger.to_client.open(&out[..ready]), ready)
}

#[test]
fn what_is_sealed_together_is_sent_together() {
    let message = |length: usize| vec![b'x'; length];
    let kinds = |lengths: &[usize], most: usize| -> Vec<u8> {
        let messages: Vec<_> = lengths.iter().copied().map(message).collect();
        let (records, _) = sealed(&messages, &client().with_message_max(most));
        records.iter().map(|(kind, _)| *kind).collect()
    };
    assert_eq!(kinds(&[5], 1008), [DATA]);
    assert_eq!(kinds(&[5, 6], 1008), [BATCH]);
    assert_eq!(kinds(&[5, 0, 6, 7, 8], 1008), [BATCH, PONG, BATCH]);
    assert_eq!(kinds(&[0, 6, 0], 1008), [DATA, PONG, BATCH, PONG]);
    // As much as the peer accepts, and one byte more.
    assert_eq!(kinds(&[500, 502], 1008), [BATCH]);
    assert_eq!(kinds(&[500, 503], 1008), [DATA, DATA]);
    assert_eq!(kinds(&[1008, 5, 5, 1008], 1008), [DATA, BATCH, DATA]);
    // As much as a receiver should have to wait for.
    assert_eq!(kinds(&[8_000, 8_362], 60_000), [BATCH]);
    assert_eq!(kinds(&[8_000, 8_363], 60_000), [DATA, DATA]);
    assert_eq!(kinds(&[20_000, 1, 1], 60_000), [DATA, BATCH]);
}

proptest! {
    #[test]
    fn any_messages_arrive_in_batches_as_they_were_sent(
        messages in vec(vec(any::<u8>(), 0..300), 1..200),
    ) {
        let (records, ready) = sealed(&messages, &client().with_message_max(1008));
        let mut talk = Talk::new(&client(), &server(), (CLIENT_NONCE, SERVER_NONCE));
        let mut forger = Forger::new(SECRET, &talk.call, &talk.answer);
        forger.to_client.next = 1;
        let again = records.iter().map(|(kind, payload)| forger.to_client.record(*kind, payload));
        let stream: Vec<u8> = again.flatten().collect();
        prop_assert_eq!(stream.len(), ready);
        prop_assert!(records.iter().all(|(_, payload)| payload.len() <= 1008));
        talk.client.hear(&stream);
        prop_assert_eq!(talk.client.messages(), messages);
    }
}

#[test]
fn messages_that_a_session_is_given_together_share_records() {
    let mut talk = Talk::new(&client(), &server().with_message_max(1008), NONCES);
    let mut forger = Forger::new(SECRET, &talk.call, &talk.answer);
    let messages = [&b"one"[..], b"", &[b'3'; 1000]];
    let mut out = b"before".to_vec();
    talk.client.session.send_all(messages, &mut out).unwrap();
    talk.client.session.send_all([], &mut out).unwrap();
    talk.client.session.send_all([&b"alone"[..]], &mut out).unwrap();
    let expected =
        [(BATCH, batch(&messages[..2])), (DATA, messages[2].to_vec()), (DATA, b"alone".to_vec())];
    assert_eq!(forger.to_server.open(out.strip_prefix(b"before").unwrap()), expected);
    // All or none.
    let length = out.len();
    let too_long = talk.client.session.send_all([&b"short"[..], &[0; 1009]], &mut out);
    assert_eq!((too_long, out.len()), (Err(SendError::TooLong), length));
    let next = talk.client.say(b"goes on");
    assert_eq!(forger.to_server.open(&next), [(DATA, b"goes on".to_vec())]);
    talk.client.finish();
    let too_late = talk.client.session.send_all([&b"late"[..]], &mut out);
    assert_eq!((too_late, out.len()), (Err(SendError::NotOpen), length));
}

#[test]
fn a_server_answers_a_batch_with_a_batch() {
    let mut server = in_memory(server().build().unwrap(), Limits::default(), echo);
    let (peer, mut forger) = enter(&mut server, SERVER_NONCE);
    let said = batch(&[&b"one"[..], b"", b"three"]);
    let pinged = [
        forger.to_server.record(BATCH, &said),
        forger.to_server.record(PING, b"?"),
        forger.to_server.record(DATA, b"alone"),
    ];
    server.send(&peer, &pinged.concat());
    let expected = [(BATCH, said), (PONG, b"?".to_vec()), (DATA, b"alone".to_vec())];
    assert_eq!(forger.to_client.open(&peer.take()), expected);
}

#[test]
fn nothing_of_a_malformed_batch_is_handed_on() {
    let faults: [(&str, &[u8]); 6] = [
        ("no message", b""),
        ("half a length", b"\0\0"),
        ("a message that overruns", b"\0\0\x01a\0\0\x03bc"),
        ("a length that no batch can have", b"\0\0\x01a\xff\xff\xffbc"),
        ("a byte behind the last", b"\0\0\x01a\0\0\x02bc\0"),
        ("two bytes behind the last", b"\0\0\x01a\0\0\x02bc\0\0"),
    ];
    for (what, payload) in faults {
        let (mut end, mut forger) = forged(&server());
        let said = [forger.to_server.record(DATA, b"one"), forger.to_server.record(BATCH, payload)];
        assert_eq!(end.hear(&said.concat()), [], "{what}");
        assert_eq!((end.messages(), end.refusal), (vec![&b"one"[..]], Some(Refusal::BadRecord)));
        let mut server = in_memory(server().build().unwrap(), Limits::default(), echo);
        let (peer, mut forger) = enter(&mut server, SERVER_NONCE);
        let said = [forger.to_server.record(DATA, b"one"), forger.to_server.record(BATCH, payload)];
        server.send(&peer, &said.concat());
        assert_eq!(forger.to_client.open(&peer.take()), [(DATA, b"one".to_vec())], "{what}");
        assert!(peer.is_shut(), "{what}");
    }
}

#[test]
fn nothing_of_a_batch_with_a_wrong_tag_is_handed_on() {
    let (_, mut forger) = forged(&server());
    let record = forger.to_server.record(BATCH, &batch(&[b"one", b"two"]));
    for bit in 0..record.len() * 8 {
        let mut flipped = record.clone();
        flipped[bit / 8] ^= 0x80 >> (bit % 8);
        let (mut end, _) = forged(&server());
        end.hear(&flipped);
        assert_eq!(end.heard, [Heard::Open], "bit {bit}");
        assert!(end.refusal.is_some() || end.end().is_err(), "bit {bit}");
    }
}

#[test]
fn a_batch_is_as_long_as_a_record_may_be_and_no_longer() {
    for most in [1008, 5000] {
        let protocol = server().with_message_max(most);
        let (mut end, mut forger) = forged(&protocol);
        let longest = batch(&[vec![b'x'; most - 10], vec![b'y'; 4]]);
        assert_eq!(longest.len(), most);
        end.hear(&forger.to_server.record(BATCH, &longest));
        assert_eq!((end.messages().len(), end.refusal), (2, None));
        // Its header says enough.
        let longer = batch(&[vec![b'x'; most - 10], vec![b'y'; 5]]);
        end.hear(&forger.to_server.record(BATCH, &longer)[..4]);
        assert_eq!(end.refusal, Some(Refusal::MessageTooLong));
        assert_eq!(end.session.bytes_buffered(), 0);
    }
}

#[test]
fn a_batch_without_room_for_a_length_is_refused_by_its_header() {
    for payload in [&b""[..], b"\0", b"\0\0"] {
        let (mut end, mut forger) = forged(&server());
        end.hear(&forger.to_server.record(BATCH, payload)[..4]);
        assert_eq!((end.refusal, end.session.bytes_buffered()), (Some(Refusal::BadRecord), 0));
    }
}

#[test]
fn a_batch_behind_a_close_is_a_fault() {
    let (mut end, mut forger) = forged(&server());
    let said = [
        forger.to_server.record(CLOSE, b""),
        forger.to_server.record(BATCH, &batch(&[&b"late"[..], b"later"])),
    ];
    end.hear(&said.concat());
    assert_eq!((end.messages().len(), end.refusal), (0, Some(Refusal::BadRecord)));
}

#[test]
fn once_takes_the_first_message_of_a_batch() {
    let options = server().with_exchange(Exchange::Once);
    let mut server = in_memory(options.build().unwrap(), Limits::default(), echo);
    let (peer, mut forger) = enter(&mut server, SERVER_NONCE);
    server.send(&peer, &forger.to_server.record(BATCH, &batch(&[b"one", b"two"])));
    let heard = [(DATA, b"one".to_vec()), (CLOSE, Vec::new())];
    assert_eq!(forger.to_client.open(&peer.take()), heard);
    assert_eq!(server.engine.counters().messages, 1);
}

#[test]
fn a_service_may_close_in_the_middle_of_a_batch() {
    let closing = |message: &[u8], reply: &mut Reply<'_>| {
        reply.message(message);
        if message == b"two" {
            reply.close();
        }
    };
    for cut in [0, 1, 20, 30] {
        let mut server = in_memory(server().build().unwrap(), Limits::default(), closing);
        let (peer, mut forger) = enter(&mut server, SERVER_NONCE);
        let said = forger.to_server.record(BATCH, &batch(&[b"one", b"two", b"not"]));
        server.send(&peer, &said[..cut]);
        server.send(&peer, &said[cut..]);
        let heard = peer.take();
        let (replies, close_record) = heard.split_at(heard.len() - 20);
        assert_eq!(forger.to_client.messages(replies), [b"one", b"two"]);
        assert_eq!(forger.to_client.open(close_record), [(CLOSE, Vec::new())]);
        assert_eq!(server.engine.bytes_buffered(), 0);
    }
}

#[test]
fn a_batch_of_many_messages_counts_as_many_and_waits_for_a_peer_that_reads_late() {
    const MESSAGES: usize = 5_000;
    let said: Vec<Vec<u8>> = (0..MESSAGES).map(|number| number.to_string().into_bytes()).collect();
    for cut in [0, 1, 5_000] {
        let mut server = in_memory(server().build().unwrap(), Limits::default(), echo);
        let (flooder, mut flood) = enter(&mut server, SERVER_NONCE);
        let (polite, mut other) = enter(&mut server, [7; 32]);
        let record = flood.to_server.record(BATCH, &batch(&said));
        // Or nothing behind it, which could be read next.
        let behind = if cut == 1 { Vec::new() } else { flood.to_server.record(DATA, b"behind") };
        flooder.set_room(0);
        server.send(&flooder, &record[..cut]);
        server.arrive(&flooder, &[&record[cut..], &behind].concat());
        server.arrive(&polite, &other.to_server.record(DATA, b"please"));
        server.engine.turn(server.now, server.wall).unwrap();
        assert_eq!(other.to_client.open(&polite.take()), [(DATA, b"please".to_vec())]);
        server.work();
        let answered = server.engine.counters().messages;
        assert!((2..MESSAGES as u64).contains(&answered), "{answered} messages answered");
        let heard = read_slowly(&mut server, &flooder, 700);
        let replies = flood.to_client.messages(&heard);
        let last = if cut == 1 { &[][..] } else { &[b"behind".to_vec()] };
        assert_eq!(replies, [&said[..], last].concat(), "cut at {cut}");
        assert_eq!(server.engine.bytes_buffered(), 0);
    }
}

#[test]
fn a_batch_that_is_answered_with_nothing_is_taken_in_more_than_one_visit() {
    let silent = |_: &[u8], _: &mut Reply<'_>| {};
    for cut in [0, 1, 3_000] {
        let mut server = in_memory(server().build().unwrap(), Limits::default(), silent);
        let (peer, mut forger) = enter(&mut server, SERVER_NONCE);
        let said = forger.to_server.record(BATCH, &batch(&vec![b""; 4_500]));
        server.send(&peer, &said[..cut]);
        server.arrive(&peer, &said[cut..]);
        server.engine.turn(server.now, server.wall).unwrap();
        let first = server.engine.counters().messages;
        assert_eq!(first, 1024, "what one visit may answer, cut at {cut}");
        server.work();
        assert_eq!(server.engine.counters().messages, 4_500);
        assert_eq!(server.engine.bytes_buffered(), 0);
        server.send(&peer, &forger.to_server.record(CLOSE, b""));
        assert_eq!(forger.to_client.open(&peer.take()), [(CLOSE, Vec::new())]);
        peer.finish();
        server.finish(&peer);
        assert_eq!(server.engine.counters().closed(CloseReason::Finished), 1);
    }
}

#[test]
fn a_batch_that_is_discarded_is_due_no_more_and_takes_no_memory() {
    for cut in [0, 9] {
        let (End { session, config, .. }, mut forger) = forged(&server());
        let mut session = session.into_core();
        let stream = forger.to_server.record(BATCH, &batch(&[b"one".to_vec(), b"two".to_vec()]));
        let (mut front, mut back) = stream.split_at(cut);
        assert!(session.next(&config, NOW, &mut front, &mut Vec::new()).unwrap().is_none());
        let heard = session.next(&config, NOW, &mut back, &mut Vec::new()).unwrap();
        assert!(matches!(heard, Some(Event::Message(message)) if message.bytes == b"one"));
        assert!(session.is_due(), "one is left");
        session.discard_partial();
        assert!(!session.is_due());
        assert_eq!(session.bytes_buffered(), 0);
    }
}

#[test]
fn a_message_that_was_cut_takes_no_memory_once_it_is_released() {
    for (kind, payload) in [(DATA, b"one".to_vec()), (BATCH, batch(&[b"one"]))] {
        let (End { session, config, .. }, mut forger) = forged(&server());
        let mut session = session.into_core();
        let stream = forger.to_server.record(kind, &payload);
        let (mut front, mut back) = stream.split_at(9);
        assert!(session.next(&config, NOW, &mut front, &mut Vec::new()).unwrap().is_none());
        let heard = session.next(&config, NOW, &mut back, &mut Vec::new()).unwrap();
        assert!(matches!(heard, Some(Event::Message(message)) if message.bytes == b"one"));
        assert!(session.bytes_buffered() > 0);
        session.release();
        assert_eq!(session.bytes_buffered(), 0);
    }
}

#[test]
fn a_long_message_takes_no_memory_while_the_short_one_behind_it_waits() {
    let (End { session, config, .. }, mut forger) = forged(&server());
    let mut session = session.into_core();
    let long = vec![b'x'; 9_000];
    let stream = forger.to_server.record(BATCH, &batch(&[&long[..], b"two"]));
    let (mut front, mut back) = stream.split_at(9);
    assert!(session.next(&config, NOW, &mut front, &mut Vec::new()).unwrap().is_none());
    let heard = session.next(&config, NOW, &mut back, &mut Vec::new()).unwrap();
    assert!(matches!(heard, Some(Event::Message(message)) if message.bytes == long));
    assert!(session.bytes_buffered() > long.len());
    session.release();
    assert!((1..2_000).contains(&session.bytes_buffered()), "{}", session.bytes_buffered());
    let heard = session.next(&config, NOW, &mut back, &mut Vec::new()).unwrap();
    assert!(matches!(heard, Some(Event::Message(message)) if message.bytes == b"two"));
    session.release();
    assert_eq!(session.bytes_buffered(), 0);
}
