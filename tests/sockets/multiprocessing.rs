//! Peers that speak `multiprocessing`, or pretend to: what each hears, and that the loop goes on.

use std::net::SocketAddr;
use std::time::Duration;

use countersign::session::{Event, SessionCore};
use countersign::stats::Counters;
use countersign::{
    ClientConfig, CloseReason, Dialect, Key, KeyRing, KeyRingExt as _, Limits, Refusal, Reply,
};

use crate::both_ends::BothEnds;
use crate::common::{Client, End, bracket, now};
use crate::server_thread::ServerThread;

/// A server's challenge, a proof and a welcome, with their headers.
const CHALLENGE: usize = 4 + 59;
const PROOF: usize = 4 + 40;
const WELCOME: usize = 4 + 9;

const FAILURE: &[u8] = b"\0\0\0\x09#FAILURE#";

fn speaking(secret: &[u8]) -> BothEnds {
    let key = Key::new("py", secret).unwrap().with_dialect(Dialect::Multiprocessing);
    BothEnds::new(Dialect::Multiprocessing, KeyRing::from_key(key).unwrap())
}

fn protocol() -> BothEnds {
    speaking(b"sixteen bytes or more")
}

fn frame(message: &[u8]) -> Vec<u8> {
    [&u32::try_from(message.len()).unwrap().to_be_bytes(), message].concat()
}

/// A client that goes through its stages when it is told to.
struct Python {
    wire: Client,
    config: ClientConfig,
    session: SessionCore,
}

impl Python {
    fn connect(address: SocketAddr, protocol: BothEnds) -> Self {
        let config = protocol.client();
        let session = SessionCore::client(&config, Duration::ZERO, [7; 32]).unwrap();
        Self { wire: Client::connect(address), config, session }
    }

    /// Hears so many bytes, and makes what answers them.
    fn answer(&mut self, length: usize) -> Vec<u8> {
        let (heard, mut out) = (self.wire.hear(length), Vec::new());
        let event =
            self.session.next(&self.config, Duration::ZERO, &mut &heard[..], &mut out).unwrap();
        assert!(matches!(event, None | Some(Event::Open(_))), "{event:?}");
        out
    }

    /// Goes through so many of the three stages: proves itself, challenges, and welcomes.
    fn go(&mut self, stages: usize) {
        for length in [CHALLENGE, WELCOME, PROOF].into_iter().take(stages) {
            let answer = self.answer(length);
            self.wire.say(&answer);
        }
    }

    fn enter(address: SocketAddr, protocol: BothEnds) -> Client {
        let mut python = Self::connect(address, protocol);
        python.go(3);
        python.wire
    }
}

fn refused(counters: &Counters, refusal: Refusal) -> u64 {
    counters.closed(CloseReason::Refused(refusal))
}

/// Whether somebody honest is served.
#[track_caller]
fn serves(server: &ServerThread) {
    let mut client = Python::enter(server.address, protocol());
    client.say(&frame(b"still there?"));
    client.expect(&frame(b"[still there?]"));
}

#[test]
fn whoever_holds_the_key_is_served_in_length_frames() {
    let server = ServerThread::start(protocol(), Limits::default(), bracket);
    let mut client = Python::enter(server.address, protocol());
    for length in [0, 1, 16_384, 16_385, 65_536] {
        let message = vec![b'x'; length];
        client.say(&frame(&message));
        client.expect(&frame(&[b"[", &message[..], b"]"].concat()));
    }
    client.finish();
    assert_eq!(client.hear_all(), (Vec::new(), End::Fin));
    assert_eq!(server.until("closed", |c| c.open() == 0).closed(CloseReason::Finished), 1);
}

#[test]
fn the_last_word_and_the_first_messages_may_come_in_one_segment() {
    let server = ServerThread::start(protocol(), Limits::default(), bracket);
    let mut python = Python::connect(server.address, protocol());
    python.go(2);
    let last = [python.answer(PROOF), frame(b"one"), frame(b""), frame(b"two")].concat();
    python.wire.say(&last);
    python.wire.expect(&[frame(b"[one]"), frame(b"[]"), frame(b"[two]")].concat());
}

/// With Nagle's algorithm, a first message waits until the word before it is acknowledged, which
/// Linux puts off for at least 40 ms unless it is told otherwise.
#[test]
fn a_client_that_gathers_its_writes_is_not_kept_waiting() {
    let server = ServerThread::start(protocol(), Limits::default(), bracket);
    let is_prompt = || {
        let mut python = Python::connect(server.address, protocol());
        python.wire.0.set_nodelay(false).unwrap();
        python.go(3);
        let since = now();
        python.wire.say(&frame(b"first"));
        python.wire.expect(&frame(b"[first]"));
        since.elapsed() < Duration::from_millis(40)
    };
    // A busy machine has moments of its own, but no acknowledgment that waits is ever quicker.
    let was_prompt = (0..100).any(|_| is_prompt());
    assert!(was_prompt || !cfg!(target_os = "linux"), "every first message was kept waiting");
}

#[test]
fn a_wrong_proof_hears_of_a_failure_and_the_end() {
    let server = ServerThread::start(protocol(), Limits::default(), bracket);
    let mut tag = Python::connect(server.address, protocol());
    let right = tag.answer(CHALLENGE);
    let stranger = Python::connect(server.address, speaking(b"another secret")).answer(CHALLENGE);
    let mut flipped = right.clone();
    flipped[43] ^= 1;
    let wrongs: [(&str, Vec<u8>, Refusal); 9] = [
        ("one bit", flipped, Refusal::WrongProof),
        ("another connection's", right.clone(), Refusal::WrongProof),
        ("another key", stranger, Refusal::WrongProof),
        ("zeros", frame(&[b"{sha256}", &[0; 32][..]].concat()), Refusal::WrongProof),
        ("a byte missing", frame(&right[4..43]), Refusal::Malformed),
        ("16 bytes", frame(&[9; 16]), Refusal::OtherDigest),
        ("32 bytes", frame(&right[12..]), Refusal::OtherDigest),
        ("another digest", frame(&[b"{sha384}", &[0; 48][..]].concat()), Refusal::OtherDigest),
        ("the longest that can be", frame(&[b'x'; 256]), Refusal::Malformed),
    ];
    for (what, wrong, refusal) in wrongs {
        let mut client = Client::connect(server.address);
        client.hear(CHALLENGE);
        let before = refused(&server.counted(), refusal);
        // With messages glued to it, which must not be looked at, and be no reason for a reset.
        client.say(&[wrong, frame(b"message").repeat(100)].concat());
        assert_eq!(client.hear_all(), (FAILURE.to_vec(), End::Fin), "{what}");
        drop(client);
        server.until(what, |counters| refused(counters, refusal) == before + 1);
    }
    serves(&server);
    assert_eq!(server.stop().messages, 1);
}

#[test]
fn a_challenge_that_is_not_answered_is_a_failure_too() {
    let server = ServerThread::start(protocol(), Limits::default(), bracket);
    let cases: [(&[u8], Refusal); 5] = [
        (b"#CHALLENGE#{sha256}twelve bytes", Refusal::OtherDigest),
        (b"#CHALLENGE#twenty bytes of text", Refusal::OtherDigest),
        (b"#CHALLENGE#{sha3_256}and some bytes", Refusal::OtherDigest),
        (b"#CHALLENGE#{sha256}too short", Refusal::Malformed),
        (b"#CHALLENGES#", Refusal::Malformed),
    ];
    for (challenge, refusal) in cases {
        let mut python = Python::connect(server.address, protocol());
        python.go(1);
        python.wire.hear(WELCOME);
        let before = refused(&server.counted(), refusal);
        python.wire.say(&frame(challenge));
        assert_eq!(python.wire.hear_all(), (FAILURE.to_vec(), End::Fin), "{challenge:?}");
        drop(python);
        server.until("refused", |counters| refused(counters, refusal) == before + 1);
    }
    serves(&server);
}

#[test]
fn a_failure_told_to_us_ends_it_at_every_stage() {
    let server = ServerThread::start(protocol(), Limits::default(), bracket);
    for (stages, due) in [(0, CHALLENGE), (1, WELCOME), (2, PROOF)] {
        let mut python = Python::connect(server.address, protocol());
        python.go(stages);
        python.wire.hear(due);
        python.wire.say(FAILURE);
        assert_eq!(python.wire.hear_all().0, b"", "at stage {stages}");
    }
    serves(&server);
    let counters = server.stop();
    let why = Refusal::Rejected(countersign::RefusalCode::Refused);
    assert_eq!((refused(&counters, why), counters.authenticated), (3, 1));
}

#[test]
fn a_length_that_is_none_is_refused_at_every_stage_without_a_word() {
    let server = ServerThread::start(protocol(), Limits::default(), bracket);
    let cases: [(&[u8], Refusal); 6] = [
        (b"\xff\xff\xff\xff\0\0\0\0\0\0\0\x28", Refusal::BadLength),
        (b"\xff\xff\xff\xfe", Refusal::BadLength),
        (b"\x80\0\0\0", Refusal::BadLength),
        (b"\0\0\x01\x01", Refusal::MessageTooLong),
        (b"\x7f\xff\xff\xff", Refusal::MessageTooLong),
        (b"GET / HTTP/1.1\r\n\r\n", Refusal::Foreign(countersign::ForeignProtocol::Http)),
    ];
    for (said, refusal) in cases {
        for (stages, due) in [(0, CHALLENGE), (1, WELCOME), (2, PROOF)] {
            let mut python = Python::connect(server.address, protocol());
            python.go(stages);
            python.wire.hear(due);
            let before = refused(&server.counted(), refusal);
            python.wire.say(said);
            assert_eq!(python.wire.hear_all().0, b"", "{said:?}");
            server.until("refused", |counters| refused(counters, refusal) == before + 1);
        }
    }
    serves(&server);
}

#[test]
fn a_promise_that_is_not_kept_is_over_at_the_deadline() {
    let wait = Duration::from_millis(200);
    let limits = Limits { handshake_timeout: wait, ..Limits::default() };
    let server = ServerThread::start(protocol(), limits, bracket);
    let mut waiting: Vec<Client> = (0..200)
        .map(|stage| {
            let mut python = Python::connect(server.address, protocol());
            python.go(stage % 3);
            python.wire.hear([CHALLENGE, WELCOME, PROOF][stage % 3]);
            python.wire.say(b"\0\0\x01\0some of the 256 bytes");
            python.wire
        })
        .collect();
    serves(&server);
    for client in &mut waiting {
        // Python would take the word of a failure for that of a wrong key.
        assert_eq!(client.hear_all().0, b"");
    }
    let counters = server.until("closed", |counters| counters.open() == 0);
    assert_eq!(refused(&counters, Refusal::HandshakeTimeout), 200);
}

#[test]
fn who_drips_a_handshake_is_gone_at_the_deadline() {
    let wait = Duration::from_millis(200);
    let limits = Limits { handshake_timeout: wait, ..Limits::default() };
    let server = ServerThread::start(protocol(), limits, bracket);
    let mut python = Python::connect(server.address, protocol());
    let proof = python.answer(CHALLENGE);
    let ended = proof[..proof.len() - 1].iter().find_map(|byte| {
        python.wire.try_to_say(&[*byte]);
        python.wire.hears_within(Duration::from_millis(40))
    });
    assert_eq!(ended, Some(false), "the deadline has moved");
}

#[test]
fn a_frame_past_the_limit_is_refused_behind_the_handshake() {
    let server = ServerThread::start(protocol().with_message_max(100), Limits::default(), bracket);
    // The handshake's own messages are not bound by it.
    let cases: [(&[u8], Refusal); 4] = [
        (b"\0\0\0\x65", Refusal::MessageTooLong),
        (b"\xff\xff\xff\xff\0\0\0\0\0\0\0\x65", Refusal::MessageTooLong),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", Refusal::MessageTooLong),
        (b"\xff\xff\xff\xfe", Refusal::BadLength),
    ];
    for (said, refusal) in cases {
        let mut client = Python::enter(server.address, protocol());
        let before = refused(&server.counted(), refusal);
        client.say(&[&frame(b"a")[..], said].concat());
        assert_eq!(client.hear_all(), (frame(b"[a]"), End::Fin), "{said:?}");
        drop(client);
        server.until("refused", |counters| refused(counters, refusal) == before + 1);
    }
    let mut client = Python::enter(server.address, protocol());
    client.say(b"\xff\xff\xff\xff\0\0\0\0\0\0\0\x01x");
    client.expect(&frame(b"[x]"));
}

#[test]
fn wrong_proofs_count_against_their_network() {
    let limits = Limits {
        failure_burst: 2,
        failure_limit: 3,
        failure_decay: Duration::from_secs(600),
        failure_delay: Duration::ZERO,
        ..Limits::default()
    };
    let server = ServerThread::start(protocol(), limits, bracket);
    for _ in 0..4 {
        let mut python = Python::connect(server.address, speaking(b"another secret"));
        python.go(1);
        assert_eq!(python.wire.hear_all().0, FAILURE);
    }
    server.until("four failures", |counters| refused(counters, Refusal::WrongProof) == 4);
    assert_eq!(Client::connect(server.address).hear_all().0, b"", "the next is not greeted");
    assert_eq!(refused(&server.stop(), Refusal::Throttled), 1);
}

#[test]
fn any_of_eight_keys_opens_and_a_service_hears_which() {
    let mut ring = KeyRing::empty().unwrap();
    for number in 0..8 {
        let key = Key::new(&format!("k{number}"), format!("secret {number}").as_bytes()).unwrap();
        ring.add(key.with_dialect(Dialect::Multiprocessing)).unwrap();
    }
    let all = BothEnds::new(Dialect::Multiprocessing, ring);
    let server = ServerThread::start(all.clone(), Limits::default(), Whose);
    for number in 0..8 {
        let id = format!("k{number}");
        let mut client = Python::enter(server.address, all.clone().with_key(&id));
        client.expect(&frame(format!("{id} multiprocessing").as_bytes()));
    }
}

/// Tells each peer what it is known by.
struct Whose;

impl countersign::Service for Whose {
    type State = ();

    fn open(&mut self, peer: &countersign::Peer<'_>, reply: &mut Reply<'_>) {
        let told = format!("{} {}", peer.key().unwrap(), peer.dialect());
        reply.message(told.as_bytes());
    }

    fn message(&mut self, (): &mut (), _message: &[u8], _reply: &mut Reply<'_>) {}
}
