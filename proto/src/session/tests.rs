//! Sessions of `raw`, `hex` and `open`, and the framings behind them.

use core::time::Duration;

use super::*;
use crate::config::client::ClientConfig;
use crate::config::options::Exchange;
use crate::dialect::Dialect;
use crate::framing::{FrameFormat, Framing, LineEnding};
use crate::keys::key::Key;
use crate::keys::tests::ring_of;
use crate::refusal::{ForeignProtocol, RefusalCode};
use crate::session::send::SendError;

const NONCE: [u8; CHALLENGE] = [7; CHALLENGE];

fn config(dialect: Dialect) -> ServerConfig {
    let key = Key::new("key", b"sixteen bytes or more").unwrap();
    let key = key.with_dialect(Dialect::Raw).with_dialect(Dialect::Hex);
    ServerConfig::builder(dialect).with_keys(ring_of(1, [key])).with_message_max(8).build().unwrap()
}

fn proof(config: &ServerConfig) -> Vec<u8> {
    proof_of(&ClientConfig::of(config))
}

fn proof_of(config: &ClientConfig) -> Vec<u8> {
    let mut proof = Vec::new();
    SessionCore::client(config, Duration::ZERO, NONCE)
        .unwrap()
        .next(config, Duration::ZERO, &mut &NONCE[..], &mut proof)
        .unwrap();
    proof
}

/// What a server makes of a stream that arrives in these pieces and then ends.
fn heard(config: &ServerConfig, pieces: &[&[u8]]) -> Vec<String> {
    let mut session = SessionCore::server(config, NONCE);
    let mut heard = Vec::new();
    for mut piece in pieces.iter().copied() {
        loop {
            match session.next(config, Duration::ZERO, &mut piece, &mut Vec::new()) {
                Ok(None) => break,
                Ok(Some(Event::Open(_))) => heard.push("open".to_owned()),
                Ok(Some(Event::Message(message))) => heard.push(shown(message)),
                Ok(Some(Event::End)) => heard.push("end".to_owned()),
                Ok(Some(Event::Control)) => heard.push("control".to_owned()),
                Ok(Some(Event::Finished)) => heard.push("finished".to_owned()),
                Err(refusal) => {
                    heard.push(refusal.name().to_owned());
                    over_is_over(&mut session, config, refusal);
                    return heard;
                }
            }
        }
        assert!(piece.is_empty(), "what is not needed yet was taken");
    }
    match session.input_ended(config) {
        Ok(message) => heard.extend(message.map(shown)),
        Err(refusal) => {
            heard.push(refusal.name().to_owned());
            over_is_over(&mut session, config, refusal);
        }
    }
    heard
}

/// After a refusal, each later call is refused in the same way, whatever arrives.
fn over_is_over(session: &mut SessionCore, config: &ServerConfig, refusal: Refusal) {
    for mut input in [&b""[..], b"a\n", &proof(config), &[0; 64]] {
        let mut out = Vec::new();
        assert_eq!(
            session.next(config, Duration::ZERO, &mut input, &mut out).unwrap_err(),
            refusal
        );
        assert_eq!(session.input_ended(config).unwrap_err(), refusal);
        session.finish(&mut out);
        session.refuse(RefusalCode::Busy, &mut out);
        assert!(out.is_empty());
    }
}

fn shown(message: Message<'_>) -> String {
    format!("{} {:?}", message.bytes.escape_ascii(), message.form)
}

#[test]
fn every_cut_of_a_stream_gives_the_same_messages() {
    let lines = b"a\n\r\nb\r\r\n12345678\r\n\0\xff\nrest\r";
    let frames = b"\0\0\0\x01a\0\0\0\0\xff\xff\xff\xff\0\0\0\0\0\0\0\x02bc\0\0\0\x0812345678";
    for dialect in [Dialect::Raw, Dialect::Hex, Dialect::Open] {
        for (framing, stream) in [(Framing::Lines, &lines[..]), (Framing::Length, frames)] {
            let config = config(dialect).to_builder().with_framing(framing).build().unwrap();
            let opening = if dialect.authenticates() { proof(&config) } else { Vec::new() };
            let stream = [&opening[..], stream].concat();
            let whole = heard(&config, &[&stream]);
            let expected = if framing == Framing::Lines { 7 } else { 5 };
            assert_eq!(whole.len(), expected, "{whole:?}");
            for cut in 0..=stream.len() {
                let (front, back) = stream.split_at(cut);
                assert_eq!(heard(&config, &[front, back]), whole, "{dialect} cut at {cut}");
            }
            let bytes: Vec<&[u8]> = stream.chunks(1).collect();
            assert_eq!(heard(&config, &bytes), whole, "{dialect} byte by byte");
        }
    }
}

#[test]
fn a_wrong_proof_hears_nothing() {
    for dialect in [Dialect::Raw, Dialect::Hex] {
        let config = config(dialect);
        let right = proof(&config);
        for at in 0..right.len() {
            let mut wrong = right.clone();
            wrong[at] ^= 1;
            let stream = [&wrong[..], b"message\n"].concat();
            assert_eq!(heard(&config, &[&stream]), ["wrong-proof"], "{dialect} byte {at}");
            let is_as_long_as_by_md5 = at == right.len() / 2;
            let cut = if is_as_long_as_by_md5 { "other-digest" } else { "truncated" };
            assert_eq!(heard(&config, &[&right[..at]]), [cut], "{dialect} {at} bytes");
        }
        assert_eq!(heard(&config, &[&right, b"m\n"]), ["open", "m Line(Lf)"]);
    }
    let config = config(Dialect::Hex);
    let upper = proof(&config).to_ascii_uppercase();
    assert_eq!(heard(&config, &[&upper]), ["wrong-proof"]);
}

#[test]
fn a_wrong_proof_is_wrong_for_ever_where_countersign_shares_the_port() {
    let both = countersign(1).to_builder().with_raw().build().unwrap();
    for pieces in [&[&[0; 32][..], &[0; 32]][..], &[&[0], &[0; 31], &[0; 32]]] {
        assert_eq!(heard(&both, pieces), ["wrong-proof"]);
    }
}

#[test]
fn a_client_of_another_dialect_or_digest_is_told_from_one_that_guesses() {
    let raw = [[0xab, 3], [7, 200]].concat().repeat(8);
    let hex = b"00112233445566778899aabbccddeeff".repeat(2);
    let foreign = |opening| Refusal::Foreign(opening);
    let begins_as_tls = [&[0x16, 3][..], &raw[2..]].concat();
    let client_hello = [b"\x16\x03\x01\x02\0\x01", &raw[6..]].concat();
    let cases: [(Dialect, &[u8], Refusal); 18] = [
        (Dialect::Raw, &begins_as_tls, Refusal::WrongProof),
        (Dialect::Raw, &client_hello, foreign(ForeignProtocol::Tls)),
        (Dialect::Raw, &raw[..15], Refusal::Truncated),
        (Dialect::Raw, &raw[..16], Refusal::OtherDigest),
        (Dialect::Raw, &raw, Refusal::WrongProof),
        (Dialect::Raw, &hex, foreign(ForeignProtocol::Hex)),
        (Dialect::Raw, b"\0\0\0\x10", foreign(ForeignProtocol::Multiprocessing)),
        (Dialect::Raw, b"\x9ecsgn/1\n\x01\0\0\x40", foreign(ForeignProtocol::Countersign)),
        (Dialect::Hex, &hex[..31], Refusal::Truncated),
        (Dialect::Hex, &hex[..32], Refusal::OtherDigest),
        (Dialect::Hex, &hex, Refusal::WrongProof),
        (
            Dialect::Hex,
            &[&hex[..32], b"hello, how are you? I am well.\n\n\n"].concat(),
            Refusal::OtherDigest,
        ),
        (Dialect::Hex, &raw, foreign(ForeignProtocol::Raw)),
        (Dialect::Hex, &raw[..16], foreign(ForeignProtocol::Raw)),
        (Dialect::Hex, &[&raw[..], b"hello\n"].concat(), foreign(ForeignProtocol::Raw)),
        (Dialect::Hex, &raw[..15], Refusal::Truncated),
        (Dialect::Hex, b"a line of text that is no proof\n", Refusal::Truncated),
        (Dialect::Hex, b"GET / HTTP/1.0\r\n\r\n", foreign(ForeignProtocol::Http)),
    ];
    for (dialect, stream, expected) in cases {
        let config = config(dialect);
        let mut late = SessionCore::server(&config, NONCE);
        late.next(&config, Duration::ZERO, &mut &b""[..], &mut Vec::new()).unwrap();
        let told = late.next(&config, Duration::ZERO, &mut &stream[..], &mut Vec::new()).err();
        // What is seen when a client waits for us is what is seen when it leaves.
        let suspected = told.or_else(|| late.suspect(&config));
        assert_eq!(suspected.unwrap_or(Refusal::Truncated), expected, "{dialect} {stream:?}");
        for pieces in [&[stream][..], &stream.chunks(1).collect::<Vec<_>>()] {
            assert_eq!(heard(&config, pieces), [expected.name()], "{dialect} {stream:?}");
        }
    }
}

#[test]
fn a_client_knows_a_server_of_multiprocessing_by_its_challenge() {
    let python = Key::new("py", b"sixteen bytes or more").unwrap();
    let python = ring_of(1, [python.with_dialect(Dialect::Multiprocessing)]);
    let python = ServerConfig::builder(Dialect::Multiprocessing).with_keys(python).build().unwrap();
    let mut challenge = Vec::new();
    SessionCore::server(&python, NONCE)
        .next(&python, Duration::ZERO, &mut &b""[..], &mut challenge)
        .unwrap();
    for dialect in [Dialect::Raw, Dialect::Hex, Dialect::Countersign] {
        let key = Key::new("key", b"sixteen bytes or more").unwrap().with_dialect(dialect);
        let config = ServerConfig::builder(dialect).with_keys(ring_of(7, [key])).build().unwrap();
        let mut client =
            SessionCore::client(&ClientConfig::of(&config), Duration::ZERO, NONCE).unwrap();
        client.next(&config, Duration::ZERO, &mut &b""[..], &mut Vec::new()).unwrap();
        for _ in 0..2 {
            let mut out = Vec::new();
            let told =
                client.next(&config, Duration::ZERO, &mut &challenge[..], &mut out).unwrap_err();
            assert_eq!(told, Refusal::Foreign(ForeignProtocol::Multiprocessing), "{dialect}");
            assert!(out.is_empty(), "nothing is signed that another dialect has drawn");
        }
    }
}

#[test]
fn any_key_of_the_dialect_opens_and_is_named() {
    let mut ring = ring_of(1, []);
    for id in ["a", "b", "c"] {
        ring.add(Key::new(id, id.as_bytes()).unwrap().with_dialect(Dialect::Raw)).unwrap();
    }
    ring.add(Key::new("other", b"hex alone").unwrap().with_dialect(Dialect::Hex)).unwrap();
    let server = ServerConfig::builder(Dialect::Raw).with_keys(ring).build().unwrap();
    for id in ["a", "b", "c"] {
        let client = ClientConfig::of(&server).to_builder().with_key(id).build().unwrap();
        let proof = proof_of(&client);
        let mut session = SessionCore::server(&server, NONCE);
        let opened =
            session.next(&server, Duration::ZERO, &mut &proof[..], &mut Vec::new()).unwrap();
        assert!(matches!(opened, Some(Event::Open(opened)) if opened.key.unwrap().id() == id));
    }
    let other = Key::new("other", b"hex alone").unwrap().with_dialect(Dialect::Raw);
    let proof =
        proof(&ServerConfig::builder(Dialect::Raw).with_keys(ring_of(1, [other])).build().unwrap());
    assert_eq!(heard(&server, &[&proof]), ["wrong-proof"], "a key of another dialect");
}

#[test]
fn a_message_is_refused_at_one_byte_more_than_the_limit() {
    let lines = config(Dialect::Open);
    for length in [7, 8, 9] {
        for ending in ["\n", "\r\n", ""] {
            let stream = format!("{}{ending}", "x".repeat(length));
            let bytes: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
            for pieces in [&[stream.as_bytes()][..], &bytes] {
                let refused = heard(&lines, pieces).contains(&"message-too-long".to_owned());
                assert_eq!(refused, length > 8, "{length} {ending:?}");
            }
        }
    }
}

#[test]
fn once_is_one_message_and_verify_only_is_none() {
    let once = config(Dialect::Open).to_builder().with_exchange(Exchange::Once).build().unwrap();
    assert_eq!(heard(&once, &[b"a\nb\nc"]), ["open", "a Line(Lf)", "end"]);
    assert_eq!(heard(&once, &[b"a"]), ["open", "a Line(None)"]);
    let verify =
        config(Dialect::Hex).to_builder().with_exchange(Exchange::VerifyOnly).build().unwrap();
    assert_eq!(heard(&verify, &[&proof(&verify), b"a\n"]), ["open", "end"]);
}

#[test]
fn a_server_takes_1024_bytes_for_a_chunk_and_a_client_all() {
    let config = config(Dialect::Open)
        .to_builder()
        .with_message_max(4096)
        .with_framing(Framing::Chunks)
        .build()
        .unwrap();
    let bytes = [b'x'; 1500];
    let lengths = |mut session: SessionCore| {
        let (mut input, mut lengths) = (&bytes[..], Vec::new());
        while let Some(event) =
            session.next(&config, Duration::ZERO, &mut input, &mut Vec::new()).unwrap()
        {
            if let Event::Message(message) = event {
                lengths.push(message.bytes.len());
                assert_eq!(message.form, FrameFormat::Chunk);
            }
        }
        lengths
    };
    assert_eq!(lengths(SessionCore::server(&config, NONCE)), [1024, 476]);
    assert_eq!(
        lengths(SessionCore::client(&ClientConfig::of(&config), Duration::ZERO, NONCE).unwrap()),
        [1500]
    );
}

#[test]
fn a_reply_ends_as_its_request_did() {
    for (ending, form) in
        [("\n", LineEnding::Lf), ("\r\n", LineEnding::CrLf), ("", LineEnding::None)]
    {
        let stream = format!("x{ending}");
        let heard = heard(&config(Dialect::Open), &[stream.as_bytes()]);
        assert_eq!(heard, ["open".to_owned(), format!("x Line({form:?})")]);
    }
}

/// Both ends of `countersign/1`, of which the client has sent its proof, and that proof.
fn called(server: &ServerConfig, client: &ServerConfig) -> (Session, Session, Vec<u8>) {
    let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
    let mut ends = (
        Session::server(server.clone(), NONCE),
        Session::client(ClientConfig::of(client), Duration::ZERO, [8; 32]).unwrap(),
    );
    assert_eq!(ends.1.send(b"early", &mut to_server), Err(SendError::NotOpen));
    ends.1.process(Duration::ZERO, &mut &b""[..], &mut to_server).unwrap();
    ends.0.process(Duration::ZERO, &mut &to_server[..], &mut to_client).unwrap();
    to_server.clear();
    ends.1.process(Duration::ZERO, &mut &to_client[..], &mut to_server).unwrap();
    (ends.0, ends.1, to_server)
}

fn countersign(secret: u8) -> ServerConfig {
    let key = Key::new("key", b"sixteen bytes or more").unwrap();
    ServerConfig::from(ring_of(secret, [key]))
}

#[test]
fn what_cannot_be_sent_appends_nothing() {
    let lines = config(Dialect::Open);
    let mut session = Session::server(lines, NONCE);
    let mut out = Vec::new();
    assert_eq!(session.send(b"early", &mut out), Err(SendError::NotOpen));
    session.process(Duration::ZERO, &mut &b""[..], &mut out).unwrap();
    assert_eq!(session.send(b"two\nlines", &mut out), Err(SendError::Unframeable));
    assert!(out.is_empty());
    session.send(b"one", &mut out).unwrap();
    session.reply(FrameFormat::Line(LineEnding::CrLf), b"two", &mut out).unwrap();
    assert_eq!(out, b"one\ntwo\r\n");

    let (server, client) =
        (countersign(1), countersign(2).to_builder().with_message_max(2000).build().unwrap());
    let (mut ours, _, proof) = called(&server, &client);
    let mut out = Vec::new();
    ours.process(Duration::ZERO, &mut &proof[..], &mut out).unwrap();
    let before = out.clone();
    assert_eq!(ours.send(&[b'x'; 2001], &mut out), Err(SendError::TooLong));
    assert_eq!(out, before);
    let mut unsealed = Vec::new();
    FrameFormat::Record.frame(b"short", &mut unsealed);
    let ready = unsealed.len();
    FrameFormat::Record.frame(&[b'x'; 2001], &mut unsealed);
    let error = ours.core.seal(&mut unsealed).unwrap_err();
    assert_eq!(error.ready, ready);
    assert!(error.to_string().contains("longer than the peer accepts"));
    let (mut ours, _, proof) = called(&server, &client);
    let mut out = Vec::new();
    ours.process(Duration::ZERO, &mut &proof[..], &mut out).unwrap();
    ours.send(&[b'x'; 2000], &mut out).unwrap();
    ours.finish(&mut out);
    let before = out.clone();
    ours.finish(&mut out);
    assert_eq!(ours.send(b"late", &mut out), Err(SendError::NotOpen));
    assert_eq!(out, before);
}

#[test]
fn a_reply_and_the_good_bye_may_follow_the_peers_end() {
    let (server, client) = (countersign(1), countersign(2));
    let (mut ours, mut theirs, mut to_server) = called(&server, &client);
    theirs.send(b"hello", &mut to_server).unwrap();
    theirs.finish(&mut to_server);
    let (mut input, mut out) = (&to_server[..], Vec::new());
    while ours.process(Duration::ZERO, &mut input, &mut out).unwrap().is_some() {}
    assert_eq!(ours.input_ended(), Ok(None));
    ours.send(b"reply", &mut out).unwrap();
    ours.finish(&mut out);
    let mut input = &out[..];
    let event = theirs.process(Duration::ZERO, &mut input, &mut to_server).unwrap();
    assert!(matches!(event, Some(Event::Message(message)) if message.bytes == b"reply"));
    let event = theirs.process(Duration::ZERO, &mut input, &mut to_server).unwrap();
    assert!(matches!(event, Some(Event::Finished)));
    assert_eq!(theirs.input_ended(), Ok(None));
}

#[test]
fn what_comes_behind_the_one_message_of_an_exchange_in_records_is_discarded() {
    let server = countersign(1).to_builder().with_exchange(Exchange::Once).build().unwrap();
    let (mut ours, mut theirs, mut to_server) = called(&server, &countersign(2));
    theirs.send(b"one", &mut to_server).unwrap();
    theirs.send(b"two", &mut to_server).unwrap();
    let (mut input, mut out, mut events) = (&to_server[..], Vec::new(), Vec::new());
    while let Some(event) = ours.process(Duration::ZERO, &mut input, &mut out).unwrap() {
        events.push(match event {
            Event::Message(message) => message.bytes.to_vec(),
            Event::End => b"the end".to_vec(),
            _ => Vec::new(),
        });
    }
    assert_eq!(events, [&b""[..], b"one", b"the end"]);
    assert!(input.is_empty(), "what is behind it is discarded");
    let more = ours.process(Duration::ZERO, &mut &b"noise"[..], &mut out);
    assert!(matches!(more, Ok(None)));
    assert_eq!(ours.input_ended(), Ok(None));
}

#[test]
fn a_session_that_is_closed_says_why_and_nothing_more() {
    let busy = Refusal::TooManyConnections;
    let (server, client) = (countersign(1), countersign(2));
    let (mut ours, mut theirs, _) = called(&server, &client);
    let mut out = Vec::new();
    ours.close(busy, &mut out);
    let told = theirs.process(Duration::ZERO, &mut &out[..], &mut Vec::new()).unwrap_err();
    assert_eq!(told, Refusal::Rejected(RefusalCode::Busy));

    let (mut open, mut theirs, proof) = called(&server, &client);
    let mut words = Vec::new();
    open.process(Duration::ZERO, &mut &proof[..], &mut words).unwrap();
    open.close(Refusal::MessageTimeout, &mut words);
    let event = theirs.process(Duration::ZERO, &mut &words[..], &mut Vec::new()).unwrap();
    assert!(matches!(event, Some(Event::Finished)), "an open connection hears a close record");

    for (mut session, why) in [(ours, busy), (open, Refusal::MessageTimeout)] {
        let mut out = Vec::new();
        assert_eq!(session.process(Duration::ZERO, &mut &b"x"[..], &mut out).unwrap_err(), why);
        assert_eq!(session.input_ended(), Err(why));
        assert_eq!(session.send(b"late", &mut out), Err(SendError::NotOpen));
        session.finish(&mut out);
        session.close(Refusal::Malformed, &mut out);
        assert!(out.is_empty());
    }
}

#[test]
fn a_session_that_is_closed_without_words_for_it_says_nothing() {
    let mut session = Session::server(config(Dialect::Raw), NONCE);
    let mut out = Vec::new();
    session.process(Duration::ZERO, &mut &b""[..], &mut out).unwrap();
    out.clear();
    session.close(Refusal::Throttled, &mut out);
    assert!(out.is_empty());
    let told = session.process(Duration::ZERO, &mut &b""[..], &mut out).unwrap_err();
    assert_eq!(told, Refusal::Throttled);
}

#[test]
fn a_server_can_refuse_with_a_code_that_is_unknown_here() {
    let (server, client) = (countersign(1), ClientConfig::of(&countersign(2)));
    let (mut ours, mut call, mut out) =
        (SessionCore::server(&server, NONCE), Vec::new(), Vec::new());
    let mut theirs = Session::client(client, Duration::ZERO, [8; 32]).unwrap();
    theirs.process(Duration::ZERO, &mut &b""[..], &mut call).unwrap();
    ours.next(&server, Duration::ZERO, &mut &call[..call.len() - 1], &mut out).unwrap();
    ours.refuse(RefusalCode::Other(77), &mut out);
    let told = theirs.process(Duration::ZERO, &mut &out[..], &mut Vec::new()).unwrap_err();
    assert_eq!(told, Refusal::Rejected(RefusalCode::Other(77)));
}

#[test]
fn nothing_is_sent_behind_a_record_that_was_forged() {
    let (mut ours, _, proof) = called(&countersign(1), &countersign(2));
    let mut out = Vec::new();
    ours.process(Duration::ZERO, &mut &proof[..], &mut out).unwrap();
    let forged = [&[0x10, 0, 0, 17, b'x'][..], &[0; 16]].concat();
    let told = ours.process(Duration::ZERO, &mut &forged[..], &mut out).unwrap_err();
    assert_eq!(told, Refusal::BadRecord);
    assert_eq!(ours.send(b"late", &mut out), Err(SendError::NotOpen));
}

#[test]
fn a_session_is_small() {
    assert!(size_of::<SessionCore>() <= 48, "{}", size_of::<SessionCore>());
    // And what it keeps on the heap: the keys of its records alone.
    let keys_max = |dialect| SessionCore::keys_max(&config(dialect));
    assert_eq!([Dialect::Raw, Dialect::Hex, Dialect::Multiprocessing].map(keys_max), [0; 3]);
    assert_eq!(SessionCore::keys_max(&countersign(1)), 296);
}
