//! Both ends, without a socket.

use core::time::Duration;

use super::*;
use crate::config::client::ClientConfig;
use crate::config::options::Exchange;
use crate::config::server::ServerConfig;
use crate::dialect::Dialect;
use crate::keys::tests::ring_of;
use crate::refusal::RefusalCode;

fn key(secret: &[u8]) -> Key {
    Key::new("py", secret).unwrap().with_dialect(Dialect::Multiprocessing)
}

fn config() -> ServerConfig {
    let ring = ring_of(1, [key(b"sixteen bytes or more")]);
    ServerConfig::builder(Dialect::Multiprocessing)
        .with_keys(ring)
        .with_message_max(8)
        .build()
        .unwrap()
}

fn ends() -> (SessionCore, SessionCore) {
    let config = config();
    (
        SessionCore::server(&config, [1; 32]),
        SessionCore::client(&ClientConfig::of(&config), Duration::ZERO, [2; 32]).unwrap(),
    )
}

/// Hands the bytes to an end; returns what it says, and what it has told of.
fn hear(
    session: &mut SessionCore,
    config: &ServerConfig,
    mut bytes: &[u8],
) -> (Vec<u8>, Vec<String>) {
    let (mut out, mut told) = (Vec::new(), Vec::new());
    loop {
        match session.next(config, Duration::ZERO, &mut bytes, &mut out) {
            Ok(None) => return (out, told),
            Ok(Some(Event::Message(message))) => {
                told.push(message.bytes.escape_ascii().to_string());
            }
            Ok(Some(Event::Open(opened))) => {
                told.push(format!("open {}", opened.key.unwrap().id()));
            }
            Ok(Some(other)) => told.push(format!("{other:?}")),
            Err(refusal) => {
                told.push(refusal.name().to_owned());
                assert!(matches!(session.state, SessionState::Failed(..)), "{refusal}");
                return (out, told);
            }
        }
    }
}

/// What each end says in turn, the server first, until both are through.
fn talk() -> Vec<Vec<u8>> {
    let (config, (mut server, mut client)) = (config(), ends());
    let mut said = vec![hear(&mut server, &config, &[]).0];
    for turn in 0.. {
        let listener = if turn % 2 == 0 { &mut client } else { &mut server };
        let (reply, told) = hear(listener, &config, said.last().unwrap());
        let is_over = told == ["open py"];
        assert!(is_over || told.is_empty(), "{told:?}");
        said.push(reply);
        if is_over && turn % 2 == 1 {
            break;
        }
    }
    said
}

fn frame(message: &[u8]) -> Vec<u8> {
    [&u32::try_from(message.len()).unwrap().to_be_bytes(), message].concat()
}

#[test]
fn each_step_is_one_write() {
    let lengths: Vec<usize> = talk().iter().map(Vec::len).collect();
    // A challenge, its proof, a welcome; the same from the other side; then nothing is left to say.
    assert_eq!(lengths, [63, 44, 13, 63, 44, 13, 0]);
}

/// What an end is told by the other's bytes in these pieces, and what it says.
fn told(
    end: &mut SessionCore,
    config: &ServerConfig,
    pieces: &[&[u8]],
) -> (Vec<u8>, Vec<String>, Result<bool, Refusal>) {
    let (mut out, mut told) = (Vec::new(), Vec::new());
    for piece in [&[&b""[..]], pieces].concat() {
        let (said, events) = hear(end, config, piece);
        out.extend(said);
        told.extend(events);
    }
    (out, told, end.input_ended(config).map(|rest| rest.is_some()))
}

#[test]
fn every_cut_gives_the_same_at_either_end() {
    let (said, config) = (talk(), config());
    let messages = [frame(b"one"), frame(b""), frame(b"12345678")].concat();
    let to_client = [said[0].clone(), said[2].clone(), said[4].clone(), messages.clone()].concat();
    let to_server = [said[1].clone(), said[3].clone(), said[5].clone(), messages].concat();
    for (stream, is_client) in [(to_client, true), (to_server, false)] {
        let play = |pieces: &[&[u8]]| {
            let (server, client) = ends();
            told(&mut if is_client { client } else { server }, &config, pieces)
        };
        let whole = play(&[&stream]);
        assert_eq!(whole.1, ["open py", "one", "", "12345678"]);
        for cut in 0..=stream.len() {
            let (front, back) = stream.split_at(cut);
            assert_eq!(play(&[front, back]), whole, "cut at {cut}");
        }
        assert_eq!(play(&stream.chunks(1).collect::<Vec<_>>()), whole, "byte by byte");
    }
}

#[test]
fn the_end_of_the_stream_within_is_a_cut() {
    let said = talk();
    let to_server = [&said[1][..], &said[3], &said[5]].concat();
    for length in 0..to_server.len() {
        let (_, told, ended) = told(&mut ends().0, &config(), &[&to_server[..length]]);
        assert_eq!((told, ended), (Vec::new(), Err(Refusal::Truncated)), "{length} bytes");
    }
}

/// What an end makes of a message in the place of the one that is due, the first, second or third.
fn met(is_client: bool, place: usize, message: &[u8]) -> (Vec<u8>, Vec<String>) {
    let (config, said, (server, client)) = (config(), talk(), ends());
    let mut end = if is_client { client } else { server };
    hear(&mut end, &config, &[]);
    for turn in 0..place {
        let due = &said[2 * turn + usize::from(!is_client)];
        assert!(hear(&mut end, &config, due).1.is_empty());
    }
    // With a message behind it, which must not be looked at.
    hear(&mut end, &config, &[message, &frame(b"early")].concat())
}

#[test]
fn whoever_says_the_wrong_thing_hears_of_a_failure_and_nothing_else() {
    let failure = frame(b"#FAILURE#");
    let legacy = [b"#CHALLENGE#{sha256}", &[0; 12][..]].concat();
    let other = [b"#CHALLENGE#{sha384}", &[0; 40][..]].concat();
    let proof = [b"{sha256}", &[0; 32][..]].concat();
    let cases: [(&[u8], [&str; 3]); 9] = [
        (b"", ["malformed"; 3]),
        (b"#WELCOME", ["malformed"; 3]),
        (&[b'x'; 256], ["malformed"; 3]),
        (&legacy, ["malformed", "other-digest", "malformed"]),
        (&other, ["malformed", "other-digest", "malformed"]),
        (&proof, ["wrong-proof", "malformed", "malformed"]),
        (&proof[..39], ["malformed"; 3]),
        (&proof[8..], ["other-digest", "malformed", "malformed"]),
        (&proof[8..24], ["other-digest", "malformed", "malformed"]),
    ];
    for (message, expected) in cases {
        for (place, expected) in expected.into_iter().enumerate() {
            let shown = message.escape_ascii();
            let server = met(false, place, &frame(message));
            assert_eq!(server, (failure.clone(), vec![expected.to_owned()]), "{shown} at {place}");
            // A client is owed the same, the challenge first and the proof last.
            let client = met(true, (place + 2) % 3, &frame(message));
            assert_eq!(client, (failure.clone(), vec![expected.to_owned()]), "{shown} at {place}");
        }
    }
}

#[test]
fn a_failure_may_be_told_at_any_point() {
    for (is_client, place) in [false, true].into_iter().flat_map(|end| [0, 1, 2].map(|n| (end, n)))
    {
        let heard = met(is_client, place, &frame(b"#FAILURE#"));
        assert_eq!(heard, (Vec::new(), vec!["rejected".to_owned()]), "{is_client} {place}");
    }
}

#[test]
fn a_length_that_is_none_ends_it_without_a_word() {
    let cases = [
        (-1, "bad-length"),
        (-2, "bad-length"),
        (i32::MIN, "bad-length"),
        (257, "message-too-long"),
        (i32::MAX, "message-too-long"),
        (0x4745_5420, "foreign"),
    ];
    for (length, expected) in cases {
        for place in 0..3 {
            for is_client in [false, true] {
                let heard = met(is_client, place, &length.to_be_bytes());
                assert_eq!(heard, (Vec::new(), vec![expected.to_owned()]), "{length}");
            }
        }
    }
}

#[test]
fn nothing_is_kept_of_a_promise_but_what_has_come() {
    let (config, (mut server, _)) = (config(), ends());
    assert!(hear(&mut server, &config, &[0, 0, 1, 0, 7]).1.is_empty());
    assert!(server.is_partial() && server.bytes_buffered() <= 1024, "{}", server.bytes_buffered());
    for _ in 0..254 {
        assert!(hear(&mut server, &config, &[7]).1.is_empty());
    }
    assert!(server.bytes_buffered() <= 1024);
    assert_eq!(hear(&mut server, &config, &[7]).1, ["malformed"]);
}

#[test]
fn who_dials_a_false_server_twice_does_not_answer_its_own_challenge() {
    let config = config();
    let client = |nonce| {
        SessionCore::client(&ClientConfig::of(&config), Duration::ZERO, [nonce; 32]).unwrap()
    };
    let (mut first, mut second) = (client(2), client(3));
    // The false server has an honest one's challenge to be answered, and then lies.
    hear(&mut first, &config, &talk()[0]);
    let (challenge, _) = hear(&mut first, &config, &frame(b"#WELCOME#"));
    assert!(challenge.starts_with(b"\0\0\0\x3b#CHALLENGE#"));
    let (said, told) = hear(&mut second, &config, &challenge);
    assert_eq!((said, told), (frame(b"#FAILURE#"), vec!["reflected".to_owned()]));
}

#[test]
fn a_proof_is_good_for_no_other_connection() {
    let config = config();
    let mut other = SessionCore::server(&config, [9; 32]);
    hear(&mut other, &config, &[]);
    assert_eq!(hear(&mut other, &config, &talk()[1]).1, ["wrong-proof"]);
    let stranger = ServerConfig::builder(Dialect::Multiprocessing)
        .with_keys(ring_of(1, [key(b"another secret")]))
        .build()
        .unwrap();
    let (mut server, mut client) = (
        ends().0,
        SessionCore::client(&ClientConfig::of(&stranger), Duration::ZERO, [2; 32]).unwrap(),
    );
    let (challenge, _) = hear(&mut server, &config, &[]);
    let (proof, _) = hear(&mut client, &stranger, &challenge);
    let (said, told) = hear(&mut server, &config, &proof);
    assert_eq!(told, ["wrong-proof"]);
    let rejected =
        client.next(&stranger, Duration::ZERO, &mut &said[..], &mut Vec::new()).unwrap_err();
    assert_eq!(rejected, Refusal::Rejected(RefusalCode::Refused));
}

#[test]
fn who_is_off_the_ring_before_it_is_over_is_not_let_in() {
    let (said, mut config, (mut server, _)) = (talk(), config(), ends());
    hear(&mut server, &config, &[said[1].clone(), said[3].clone()].concat());
    config = config.with_keys(ring_of(1, [key(b"another secret")]));
    assert_eq!(hear(&mut server, &config, &said[5]).1, ["unknown-key"]);
}

#[test]
fn an_exchange_is_in_length_frames() {
    assert_eq!(config().framing(), crate::framing::Framing::Length);
    for (exchange, expected) in [
        (Exchange::Once, &["open py", "a", "End"][..]),
        (Exchange::VerifyOnly, &["open py", "End"]),
    ] {
        let (said, config) =
            (talk(), config().to_builder().with_exchange(exchange).build().unwrap());
        let mut server = ends().0;
        let (front, back) = (&said[1], [&said[3][..], &said[5], &frame(b"a")].concat());
        assert_eq!(told(&mut server, &config, &[front, &back]).1, expected);
    }
}
