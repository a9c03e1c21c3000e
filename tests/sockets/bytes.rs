//! Bytes come back as they went, wherever the stream is cut and however messages are framed.

use std::thread;

use countersign::services::Echo;
use countersign::{CloseReason, Dialect, Exchange, Framing, Limits, Refusal};
use socket2::SockRef;

use crate::both_ends::BothEnds;
use crate::common::{Client, End, IN_LINES, bracket, speaking};
use crate::server_thread::ServerThread;
use crate::style::Style;

/// Messages that trip up whoever takes bytes for text.
fn awkward() -> Vec<Vec<u8>> {
    let all: Vec<u8> = (0..=255).collect();
    let no_line_feed: Vec<u8> = (0..=255).filter(|&byte| byte != b'\n').collect();
    let texts: [&[u8]; 10] = [
        b"",
        b"a",
        b"\0",
        b"\0\0\0\0",
        b"one\rtwo",
        b"\r",
        b"\r\r",
        b"\r\n\n\r",
        b"\xff\xff\xff\xff",
        b"\xc3\x28",
    ];
    texts.iter().map(|text| text.to_vec()).chain([all, no_line_feed, vec![b'x'; 65_536]]).collect()
}

#[test]
fn any_bytes_come_back_in_every_dialect_framing_and_cut() {
    for dialect in IN_LINES {
        for style in Style::ALL {
            let protocol = speaking(dialect).with_framing(style.framing());
            let server = ServerThread::start(protocol.clone(), Limits::default(), bracket);
            let messages: Vec<_> = awkward().into_iter().filter(|m| style.can_hold(m)).collect();
            let said: Vec<u8> = messages.iter().flat_map(|m| style.frame(m)).collect();
            let expected: Vec<u8> = messages.iter().flat_map(|m| style.reply(m)).collect();
            for cut in [usize::MAX, 1000, 1] {
                // One byte a segment takes too long for 64 KiB, and shows nothing new there.
                let said = if cut == 1 { &said[..said.len() - 60_000] } else { &said[..] };
                let mut client = Client::connect(server.address);
                let opening = [&client.proof(&protocol), said].concat();
                let mut twin = client.twin();
                let sender = thread::spawn(move || {
                    opening.chunks(cut).for_each(|piece| twin.say(piece));
                    twin.finish();
                });
                client.welcome(&protocol);
                let (heard, end) = client.hear_all();
                sender.join().unwrap();
                let whole = if cut == 1 { expected.len() - 65_536 - 8 } else { expected.len() };
                assert!(heard.len() >= whole, "{dialect} {style:?} {cut}: {} bytes", heard.len());
                assert_eq!(heard[..whole], expected[..whole], "{dialect} {style:?} {cut}");
                assert_eq!(end, End::Fin, "{dialect} {style:?} {cut}");
            }
        }
    }
}

#[test]
fn chunks_come_back_in_every_dialect_that_has_them() {
    for dialect in [Dialect::Raw, Dialect::Hex, Dialect::Open] {
        let protocol = speaking(dialect).with_framing(Framing::Chunks);
        let server = ServerThread::start(protocol.clone(), Limits::default(), Echo);
        let mut client = Client::connect(server.address);
        let said = awkward().concat();
        let opening = [&client.proof(&protocol), &said[..5000]].concat();
        client.say(&opening);
        client.expect(&said[..5000]);
        for byte in &said[..600] {
            client.say(&[*byte]);
            client.expect(&[*byte]);
        }
        client.say(&said);
        client.finish();
        assert_eq!(client.hear_all(), (said, End::Fin), "{dialect}");
    }
}

#[test]
fn a_chunk_has_at_most_1024_bytes() {
    let protocol = BothEnds::open().with_framing(Framing::Chunks);
    let server = ServerThread::start(protocol, Limits::default(), bracket);
    let mut client = Client::connect(server.address);
    client.say(&[b'x'; 4096]);
    client.finish();
    let (heard, _) = client.hear_all();
    let chunks: Vec<usize> = heard.split(|&b| b == b'[').skip(1).map(|c| c.len() - 1).collect();
    assert_eq!(chunks.iter().sum::<usize>(), 4096);
    assert!(chunks.iter().all(|&length| length <= 1024), "{chunks:?}");
}

#[test]
fn a_message_of_max_bytes_is_answered_and_a_longer_one_ends_the_connection() {
    for style in Style::ALL {
        for max in [4, 1000, 65_536] {
            let protocol = BothEnds::open().with_framing(style.framing()).with_message_max(max);
            let limits = Limits { reply_max: max + 100, ..Limits::default() };
            let server = ServerThread::start(protocol, limits, bracket);
            for length in [max - 1, max, max + 1] {
                let message = vec![b'x'; length];
                let mut said = style.frame(b"1st");
                said.extend(style.frame(&message));
                for cut in [usize::MAX, said.len() - 1, said.len() - 2, 700] {
                    let mut client = Client::connect(server.address);
                    for piece in said.chunks(cut) {
                        if !client.try_to_say(piece) {
                            break;
                        }
                    }
                    client.expect(&style.reply(b"1st"));
                    if length <= max {
                        client.expect(&style.reply(&message));
                        client.finish();
                    }
                    let (heard, _) = client.hear_all();
                    assert_eq!(heard, b"", "{style:?} {length} of {max}, cut at {cut}");
                }
            }
            let counters = server.stop();
            assert_eq!(counters.closed(CloseReason::Refused(Refusal::MessageTooLong)), 4);
            assert_eq!(counters.closed(CloseReason::Finished), 8);
        }
    }
}

#[test]
fn a_last_line_without_terminator_obeys_the_limit_too() {
    let server =
        ServerThread::start(BothEnds::open().with_message_max(4), Limits::default(), bracket);
    let cases: [(&[u8], &[u8]); 5] = [
        (b"abc", b"[abc]"),
        (b"abcd", b"[abcd]"),
        (b"abc\r", b"[abc\r]"),
        (b"abcde", b""),
        (b"abcd\r", b""),
    ];
    for (said, expected) in cases {
        let mut client = Client::connect(server.address);
        client.say(said);
        client.finish();
        let (heard, _) = client.hear_all();
        assert_eq!(heard.escape_ascii().to_string(), expected.escape_ascii().to_string());
    }
}

#[test]
fn lengths_that_no_message_can_have_are_refused() {
    let protocol = BothEnds::open().with_framing(Framing::Length).with_message_max(1000);
    let server = ServerThread::start(protocol, Limits::default(), bracket);
    let long = |length: u64| [&[0xff; 4], &length.to_be_bytes()[..]].concat();
    let cases: [(Vec<u8>, Refusal); 6] = [
        (vec![0xff, 0xff, 0xff, 0xfe], Refusal::BadLength),
        (vec![0x80, 0, 0, 0], Refusal::BadLength),
        (vec![0x7f, 0xff, 0xff, 0xff], Refusal::MessageTooLong),
        (long(1001), Refusal::MessageTooLong),
        (long(1 << 63), Refusal::MessageTooLong),
        (long(u64::MAX), Refusal::MessageTooLong),
    ];
    for (header, refusal) in &cases {
        let before =
            server.until("counted", |c| c.open() == 0).closed(CloseReason::Refused(*refusal));
        let mut client = Client::connect(server.address);
        client.say(header);
        assert_eq!(client.hear_all().0, b"", "{header:?}");
        drop(client);
        server.until("refused", |c| c.closed(CloseReason::Refused(*refusal)) == before + 1);
    }
}

#[test]
fn what_was_sent_before_the_end_is_answered() {
    for dialect in IN_LINES {
        let protocol = speaking(dialect);
        let server = ServerThread::start(protocol.clone(), Limits::default(), bracket);
        let cases: [(&[u8], &[u8]); 6] = [
            (b"", b""),
            (b"a", b"[a]"),
            (b"a\nb\r\nc", b"[a]\n[b]\r\n[c]"),
            (b"a\n\n\r\n", b"[a]\n[]\n[]\r\n"),
            (b"a\n\r", b"[a]\n[\r]"),
            (b"\0", b"[\0]"),
        ];
        for (said, expected) in cases {
            let mut client = Client::enter(server.address, &protocol);
            client.say(said);
            client.finish();
            assert_eq!(client.hear_all(), (expected.to_vec(), End::Fin), "{dialect} {said:?}");
        }
        let counters = server.until("closed", |counters| counters.open() == 0);
        assert_eq!(counters.closed(CloseReason::Finished), 6);
    }
}

#[test]
fn a_length_frame_that_is_cut_by_the_end_is_no_message() {
    let protocol = BothEnds::open().with_framing(Framing::Length);
    let server = ServerThread::start(protocol, Limits::default(), bracket);
    let frames = [Style::Length.frame(b"whole"), Style::LongLength.frame(b"cut")].concat();
    for cut in 9..=frames.len() {
        let mut client = Client::connect(server.address);
        client.say(&frames[..cut]);
        client.finish();
        let expected = if cut == frames.len() { 2 } else { 1 };
        let replies = [Style::Length.reply(b"whole"), Style::Length.reply(b"cut")];
        assert_eq!(client.hear_all(), (replies[..expected].concat(), End::Fin), "{cut} bytes");
    }
    let counters = server.until("closed", |counters| counters.open() == 0);
    assert_eq!(counters.closed(CloseReason::Truncated), frames.len() as u64 - 10);
    assert_eq!(counters.closed(CloseReason::Finished), 2);
}

#[test]
fn once_is_one_message_and_its_reply() {
    for dialect in IN_LINES {
        let protocol = speaking(dialect).with_exchange(Exchange::Once);
        let server = ServerThread::start(protocol.clone(), Limits::default(), bracket);
        for (said, expected) in [("a\n", "[a]\n"), ("a\nb\n", "[a]\n"), ("a\nb", "[a]\n")] {
            let mut client = Client::connect(server.address);
            let opening = [&client.proof(&protocol), said.as_bytes()].concat();
            client.say(&opening);
            client.welcome(&protocol);
            // The server ends it: the client has not.
            assert_eq!(client.hear_all(), (expected.into(), End::Fin), "{dialect} {said:?}");
        }
        assert_eq!(server.stop().closed(CloseReason::Answered), 3, "{dialect}");
    }
}

#[test]
fn once_may_be_a_line_that_the_end_of_the_stream_ends() {
    let protocol = BothEnds::open().with_exchange(Exchange::Once);
    let server = ServerThread::start(protocol, Limits::default(), bracket);
    let mut client = Client::connect(server.address);
    client.say(b"a");
    client.finish();
    assert_eq!(client.hear_all(), (b"[a]".to_vec(), End::Fin));
}

#[test]
fn verify_only_ends_after_the_proof_and_hears_no_message() {
    for dialect in [Dialect::Raw, Dialect::Hex] {
        let protocol = speaking(dialect).with_exchange(Exchange::VerifyOnly);
        let server = ServerThread::start(protocol.clone(), Limits::default(), bracket);
        for said in ["", "a\n"] {
            let mut client = Client::connect(server.address);
            let opening = [&client.proof(&protocol), said.as_bytes()].concat();
            client.say(&opening);
            assert_eq!(client.hear_all(), (Vec::new(), End::Fin), "{dialect} {said:?}");
        }
        let counters = server.stop();
        let seen =
            (counters.authenticated, counters.messages, counters.closed(CloseReason::Answered));
        assert_eq!(seen, (2, 0, 2), "{dialect}");
    }
}

#[test]
fn ten_thousand_messages_at_once_are_answered_in_order() {
    for style in Style::ALL {
        let protocol = speaking(Dialect::Raw).with_framing(style.framing());
        let server = ServerThread::start(protocol.clone(), Limits::default(), bracket);
        let numbers = || (0..10_000).map(|number: u32| number.to_string().into_bytes());
        let said: Vec<u8> = numbers().flat_map(|number| style.frame(&number)).collect();
        let expected: Vec<u8> = numbers().flat_map(|number| style.reply(&number)).collect();
        let mut client = Client::connect(server.address);
        let opening = [client.proof(&protocol), said].concat();
        let mut twin = client.twin();
        let sender = thread::spawn(move || {
            twin.say(&opening);
            twin.finish();
        });
        let (heard, end) = client.hear_all();
        sender.join().unwrap();
        assert!(heard == expected, "{style:?}: {} bytes of {}", heard.len(), expected.len());
        assert_eq!(end, End::Fin);
        assert_eq!(server.stop().messages, 10_000);
    }
}

/// Sends bytes of which the last is urgent.
fn say_urgently(client: &Client, bytes: &[u8]) {
    assert_eq!(SockRef::from(&client.0).send_out_of_band(bytes).unwrap(), bytes.len());
}

#[test]
fn an_urgent_byte_is_one_like_any_other() {
    for dialect in IN_LINES {
        let protocol = speaking(dialect);
        let server = ServerThread::start(protocol.clone(), Limits::default(), bracket);
        let mut client = Client::connect(server.address);
        let proof = client.proof(&protocol);
        // The end of the proof, if the dialect has one.
        if !proof.is_empty() {
            say_urgently(&client, &proof);
        }
        client.welcome(&protocol);
        for round in 0..20 {
            // In the middle of a message, at its end, and at the end of all that is sent.
            client.say(format!("{round} ").as_bytes());
            say_urgently(&client, b"one");
            client.say(b"two\nthree");
            say_urgently(&client, b"\n");
            client.expect(format!("[{round} onetwo]\n[three]\n").as_bytes());
        }
        say_urgently(&client, b"the end");
        client.finish();
        assert_eq!(client.hear_all(), (b"[the end]".to_vec(), End::Fin), "{dialect}");
    }
}
