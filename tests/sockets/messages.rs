//! Peers that were let in and then behave badly, and services that do.

use std::io::Read as _;
use std::net::SocketAddr;
use std::time::Duration;

use countersign::services::{Messages, Processed};
use countersign::stats::Counters;
use countersign::{CloseReason, Dialect, Framing, Limits, Peer, PeerAddress, Refusal};
use countersign::{Reply, ServerConfig, Service};

use crate::both_ends::BothEnds;
use crate::common::{Client, End, IN_LINES, bracket, in_memory, speaking};
use crate::server_thread::ServerThread;

/// Does what a message says, and answers it.
struct Obedient;

impl Service for Obedient {
    /// How many messages there were.
    type State = u32;

    fn open(&mut self, peer: &Peer<'_>, reply: &mut Reply<'_>) -> u32 {
        reply.message(format!("hello {}", peer.key().unwrap_or("stranger")).as_bytes());
        0
    }

    fn message(&mut self, count: &mut u32, message: &[u8], reply: &mut Reply<'_>) {
        *count += 1;
        reply.message(format!("{count}").as_bytes());
        match message {
            b"panic" => panic!("as the peer wished"),
            b"close" => reply.close(),
            b"flood" => (0..1000).for_each(|_| reply.message(&[b'x'; 1000])),
            _ => {}
        }
    }
}

/// Says many messages of which the second one is fatal, and sees what comes of it.
fn ends_after(said: &str, expected: &str, why: CloseReason) -> Counters {
    let protocol = speaking(Dialect::Raw);
    let server = ServerThread::start(protocol.clone(), Limits::default(), Obedient);
    let mut witness = Client::enter(server.address, &protocol);
    witness.expect(b"hello key\n");
    for _ in 0..3 {
        let mut client = Client::enter(server.address, &protocol);
        // More than one read takes: hanging up on the rest would break the connection.
        let rest = "third\n".repeat(5000);
        client.try_to_say(format!("first\n{said}\n{rest}").as_bytes());
        let heard = client.hear_all();
        let expected = format!("hello key\n{expected}");
        assert_eq!(heard, (expected.into_bytes(), End::Fin), "{said}");
    }
    // All three are over, and the others don't notice.
    witness.say(b"a\n");
    witness.expect(b"1\n");
    let counters = server.until("three ends", |counters| counters.closed(why) == 3);
    assert_eq!(counters.open(), 1);
    counters
}

#[test]
fn a_service_that_panics_loses_that_connection_alone() {
    let counters = ends_after("panic", "1\n", CloseReason::Panicked);
    assert_eq!(counters.messages, 7);
}

#[test]
fn a_reply_that_is_too_long_is_not_sent_and_ends_the_connection() {
    ends_after("flood", "1\n", CloseReason::ReplyTooLong);
}

#[test]
fn a_service_that_closes_has_its_last_reply_sent() {
    ends_after("close", "1\n2\n", CloseReason::ClosedByService);
}

/// Does something wrong as soon as somebody comes.
struct Rude(Rudeness);

type Rudeness = fn(&mut Reply<'_>);

impl Service for Rude {
    type State = ();

    fn open(&mut self, _peer: &Peer<'_>, reply: &mut Reply<'_>) {
        (self.0)(reply);
    }

    fn message(&mut self, (): &mut (), _message: &[u8], _reply: &mut Reply<'_>) {}

    fn close(&mut self, (): (), _why: CloseReason) {
        panic!("in close as well");
    }
}

#[test]
fn a_service_may_fail_or_close_when_somebody_comes() {
    let cases: [(Rudeness, &[u8], CloseReason); 3] = [
        (|_| panic!("at the door"), b"", CloseReason::Panicked),
        (|reply| reply.message(&vec![0; 1 << 20]), b"", CloseReason::ReplyTooLong),
        (
            |reply| {
                reply.message(b"not today");
                reply.close();
            },
            b"not today\n",
            CloseReason::ClosedByService,
        ),
    ];
    for dialect in IN_LINES {
        let protocol = speaking(dialect);
        for (rudeness, expected, why) in cases {
            let server = ServerThread::start(protocol.clone(), Limits::default(), Rude(rudeness));
            for _ in 0..3 {
                let mut client = Client::enter(server.address, &protocol);
                assert_eq!(client.hear_all(), (expected.to_vec(), End::Fin), "{dialect} {why}");
            }
            assert_eq!(server.stop().closed(why), 3, "{dialect}");
        }
    }
}

/// Panics in one of its methods, for the peer from one port.
struct Fragile(&'static str);

/// That port.
const DOOMED: u16 = 13;

impl Fragile {
    fn call(&self, method: &str, is_doomed: bool) {
        assert!(!is_doomed || method != self.0, "panics in {method}");
    }
}

impl Service for Fragile {
    type State = bool;

    fn open(&mut self, peer: &Peer<'_>, _reply: &mut Reply<'_>) -> bool {
        let PeerAddress::Ip(address) = peer.address() else { return false };
        let is_doomed = address.port() == DOOMED;
        self.call("open", is_doomed);
        is_doomed
    }

    fn message(&mut self, is_doomed: &mut bool, message: &[u8], reply: &mut Reply<'_>) {
        let method = if message == b"last" { "message at the end" } else { "message" };
        self.call(method, *is_doomed);
        reply.message(message);
    }

    fn messages(&mut self, is_doomed: &mut bool, messages: Messages<'_>) -> Processed {
        self.call("messages", *is_doomed);
        let processed = messages.for_each(|message, reply| self.message(is_doomed, message, reply));
        self.call("messages behind", *is_doomed);
        processed
    }

    fn close(&mut self, is_doomed: bool, _why: CloseReason) {
        self.call("close", is_doomed);
    }
}

#[test]
fn a_panic_in_any_method_ends_the_connection_that_it_served_and_no_other() {
    // In `close` it comes too late to be the reason.
    let cases = [
        ("open", CloseReason::Panicked, ""),
        ("message", CloseReason::Panicked, ""),
        ("messages", CloseReason::Panicked, ""),
        ("messages behind", CloseReason::Panicked, "one\n"),
        ("message at the end", CloseReason::Panicked, "one\n"),
        ("close", CloseReason::Finished, "one\nlast"),
    ];
    for (method, why, answered) in cases {
        let mut server = in_memory(BothEnds::open(), Limits::default(), Fragile(method));
        let from = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let witnesses = [1, 2].map(|port| server.connect_from(from(port), 0));
        let doomed = server.connect_from(from(DOOMED), 0);
        server.send(&doomed, b"one\nlast");
        server.finish(&doomed);
        assert_eq!(doomed.take(), answered.as_bytes(), "{method}");
        assert!(doomed.is_closed(), "{method}");
        for witness in &witnesses {
            server.send(witness, b"still here\n");
            assert_eq!(witness.take(), b"still here\n", "{method}");
        }
        let late = server.connect();
        server.send(&late, b"come later\n");
        assert_eq!(late.take(), b"come later\n", "{method}");
        let counters = server.engine.counters();
        assert_eq!((counters.closed(why), counters.open()), (1, 3), "{method}");
    }
}

#[test]
fn who_drips_a_message_is_gone_at_the_deadline() {
    let cases: [(Framing, &[u8], &[u8]); 2] = [
        (Framing::Lines, b"whole\n", b"[whole]\n"),
        (Framing::Length, b"\0\0\0\0", b"\0\0\0\x02[]"),
    ];
    for (framing, whole, reply) in cases {
        let protocol = speaking(Dialect::Raw).with_framing(framing);
        let limits = Limits { message_timeout: Duration::from_millis(300), ..Limits::default() };
        let server = ServerThread::start(protocol.clone(), limits, bracket);
        let mut client = Client::enter(server.address, &protocol);
        client.say(whole);
        client.expect(reply);
        // As a length frame, a thousand bytes or so.
        client.say(b"\0\0\x04\0");
        // Never far apart, and far more time in all than the deadline gives.
        let ended = (0..100).find_map(|_| {
            client.try_to_say(b"x");
            client.hears_within(Duration::from_millis(20))
        });
        assert_eq!(ended, Some(false), "{framing}: the deadline has moved");
        drop(client);
        let counters = server.until("closed", |counters| counters.open() == 0);
        assert_eq!(counters.closed(CloseReason::Refused(Refusal::MessageTimeout)), 1, "{framing}");
    }
}

#[test]
fn who_says_nothing_more_is_gone_after_the_idle_time() {
    let limits = Limits { idle_timeout: Duration::from_millis(200), ..Limits::default() };
    let protocol = speaking(Dialect::Raw);
    let server = ServerThread::start(protocol.clone(), limits, bracket);
    let mut silent = Client::enter(server.address, &protocol);
    let mut client = Client::enter(server.address, &protocol);
    client.say(b"one\n");
    assert_eq!(client.hear_all(), (b"[one]\n".to_vec(), End::Fin));
    assert_eq!(silent.hear_all(), (Vec::new(), End::Fin));
    drop((silent, client));
    server.until("idle", |counters| counters.closed(CloseReason::IdleTimeout) == 2);
}

#[test]
fn a_message_without_end_is_cut_off_and_what_came_before_is_answered() {
    let cases: [(Framing, &[u8], &[u8]); 2] = [
        (Framing::Lines, b"one\n", b"[one]\n"),
        (Framing::Length, b"\0\0\0\x01a\x7f\xff\xff\xff", b"\0\0\0\x03[a]"),
    ];
    for (framing, said, reply) in cases {
        let protocol = speaking(Dialect::Raw).with_framing(framing);
        let server = ServerThread::start(protocol.clone(), Limits::default(), bracket);
        let mut client = Client::enter(server.address, &protocol);
        client.say(said);
        client.expect(reply);
        let endless = [b'x'; 65_536];
        // The server hangs up long before this: it doesn't listen to 64 MiB of it.
        let listens = (0..1024).take_while(|_| client.try_to_say(&endless)).count();
        assert!(listens < 1024, "{framing}");
        let counters = server.until("closed", |counters| counters.open() == 0);
        assert_eq!(counters.closed(CloseReason::Refused(Refusal::MessageTooLong)), 1, "{framing}");
        assert!(counters.bytes_in < 4 << 20, "{framing}: {} bytes read", counters.bytes_in);
    }
}

#[test]
fn who_never_ends_its_stream_after_ours_is_hung_up_on() {
    let server = ServerThread::start(BothEnds::open(), Limits::default(), Obedient);
    let mut client = Client::connect(server.address);
    client.say(b"close\n");
    assert_eq!(client.hear_all(), (b"hello stranger\n1\n".to_vec(), End::Fin));
    // The client is still there, and no other limit is as near as this.
    let counters = server.until("hung up", |counters| counters.open() == 0);
    assert_eq!(counters.closed(CloseReason::ClosedByService), 1, "{counters:?}");
    drop(client);
}

#[test]
fn who_breaks_off_after_a_refusal_counts_as_refused() {
    let server =
        ServerThread::start(BothEnds::open().with_message_max(8), Limits::default(), bracket);
    let mut client = Client::connect(server.address);
    client.say(b"one\nmore than eight bytes\n");
    // The server has sent its close record, and waits for ours.
    assert_eq!(client.hear_all(), (b"[one]\n".to_vec(), End::Fin));
    client.reset();
    let counters = server.until("closed", |counters| counters.open() == 0);
    assert_eq!(counters.closed(CloseReason::Refused(Refusal::MessageTooLong)), 1, "{counters:?}");
}

#[test]
fn a_peer_may_break_off_while_its_reply_is_written() {
    let protocol = speaking(Dialect::Raw);
    let limits = Limits { reply_max: 2 << 20, ..Limits::default() };
    let large = |_: &[u8], reply: &mut Reply<'_>| reply.message(&vec![b'x'; 1 << 20]);
    let server = ServerThread::start(protocol.clone(), limits, large);
    for _ in 0..20 {
        let mut client = Client::enter(server.address, &protocol);
        client.say(b"a\nb\nc\nd\ne\nf\ng\nh\n");
        client.hear(1000);
        client.reset();
    }
    let counters = server.until("closed", |counters| counters.open() == 0);
    assert_eq!(counters.closed(CloseReason::Reset), 20);
    let mut honest = Client::enter(server.address, &protocol);
    honest.say(b"a\n");
    assert_eq!(honest.hear((1 << 20) + 1).last(), Some(&b'\n'));
}

#[test]
fn a_limit_of_nothing_on_messages_is_no_endless_loop() {
    for framing in Framing::ALL.iter().copied() {
        let protocol = BothEnds::open().with_framing(framing).with_message_max(1);
        let server = ServerThread::start(protocol, Limits::default(), bracket);
        let mut client = Client::connect(server.address);
        client.say(b"abc");
        client.finish();
        let mut heard = Vec::new();
        // An endless answer is read no further than it takes to tell.
        (&client.0).take(1000).read_to_end(&mut heard).unwrap();
        assert!(heard.len() < 100, "{framing}: {} bytes", heard.len());
    }
}

#[test]
fn what_comes_behind_a_message_that_closes_is_not_answered_though_its_reply_waits() {
    let last = |message: &[u8], reply: &mut Reply<'_>| {
        reply.message(message);
        reply.close();
    };
    // With a batch that is full and one that is not.
    for length in [4, 2_000] {
        let limits = Limits { batch_max: 1_024, ..Limits::default() };
        let mut server = in_memory(ServerConfig::open(), limits, last);
        let peer = server.connect();
        peer.set_room(1);
        let one = [&vec![b'1'; length][..], b"\n"].concat();
        server.send(&peer, &[&one[..], b"two\n"].concat());
        assert_eq!((peer.take(), server.engine.counters().messages), (b"1".to_vec(), 1));
        server.make_room(&peer, usize::MAX);
        assert_eq!(peer.take(), one[1..]);
        server.finish(&peer);
        assert_eq!(server.engine.counters().closed(CloseReason::ClosedByService), 1);
    }
}

#[test]
fn a_reply_can_be_written_as_to_any_stream() {
    use std::io::Write as _;
    let formatted = |message: &[u8], reply: &mut Reply<'_>| {
        write!(reply, "{} bytes", message.len()).unwrap();
        reply.flush().unwrap();
    };
    let mut server = in_memory(ServerConfig::open(), Limits::default(), formatted);
    let peer = server.connect();
    server.send(&peer, b"hello\n");
    assert_eq!(peer.take(), b"5 bytes\n");
}
