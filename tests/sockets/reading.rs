//! Peers that don't read, or slowly: what waits for them is bounded, whole and in order.

use std::io::Write as _;
use std::net::Shutdown;
use std::thread;
use std::time::Duration;

use countersign::engine::Instant;
use countersign::services::Echo;
use countersign::stats::Counters;
use countersign::{CloseReason, Dialect, Limits, Reply};

use crate::both_ends::BothEnds;
use crate::common::{Client, End, in_memory, is_timeout, pause, speaking};
use crate::server_thread::ServerThread;

/// More than the system's buffers take at both ends, and what a connection may keep.
const MUCH: usize = 64 << 20;

/// Far more than one connection may keep, and far less than [`MUCH`].
pub(crate) const KEPT_MAX: u64 = 256 << 10;

/// Numbered lines: what is lost, doubled or out of order shows.
pub(crate) fn numbered(length: usize) -> Vec<u8> {
    let mut lines = Vec::with_capacity(length + 1024);
    for number in 0.. {
        if lines.len() >= length {
            break;
        }
        writeln!(lines, "{number:0>700}").unwrap();
    }
    lines
}

/// Says as much as is taken, and how much that was.
pub(crate) fn say_until_blocked(client: &mut Client, bytes: &[u8]) -> usize {
    client.0.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut said = 0;
    while said < bytes.len() {
        match client.0.write(&bytes[said..]) {
            Ok(length) => said += length,
            Err(error) if is_timeout(error.kind()) => break,
            Err(error) => panic!("{error}"),
        }
    }
    client.0.set_write_timeout(Some(crate::common::PATIENCE)).unwrap();
    said
}

#[test]
fn a_peer_that_never_reads_is_not_read_from_and_gets_every_byte_when_it_does() {
    let protocol = speaking(Dialect::Raw);
    let server = ServerThread::start(protocol.clone(), Limits::default(), Echo);
    let mut client = Client::enter(server.address, &protocol);
    let lines = numbered(MUCH);
    let said = say_until_blocked(&mut client, &lines);
    assert!(said < MUCH, "the server has read everything");
    let Counters { bytes_in, bytes_out, .. } = server.counted();
    // An echo: what came in and didn't go out is what is kept. The handshake cancels out.
    assert!(bytes_in - bytes_out <= KEPT_MAX, "{} bytes are kept", bytes_in - bytes_out);
    let mut rest = lines[said..][..1 << 20].to_vec();
    rest.push(b'\n');
    let mut twin = client.twin();
    let tail = rest.clone();
    let sender = thread::spawn(move || {
        twin.say(&rest);
        twin.finish();
    });
    let (heard, end) = client.hear_all();
    sender.join().unwrap();
    assert_eq!(heard.len(), said + tail.len());
    assert!(heard[..said] == lines[..said] && heard[said..] == tail, "bytes have changed");
    assert_eq!(end, End::Fin);
}

#[test]
fn a_slow_reader_is_not_cut_off_and_gets_every_byte() {
    let protocol = speaking(Dialect::Raw);
    // The whole takes longer than this; each step is far shorter.
    let limits = Limits { write_timeout: Duration::from_millis(1500), ..Limits::default() };
    let server = ServerThread::start(protocol.clone(), limits, Echo);
    let mut client = Client::enter(server.address, &protocol);
    let lines = numbered(32 << 20);
    let (mut twin, said) = (client.twin(), lines.clone());
    let sender = thread::spawn(move || said.chunks(1 << 20).for_each(|piece| twin.say(piece)));
    for expected in lines.chunks(1 << 20) {
        assert!(client.hear(expected.len()) == expected, "bytes have changed");
        pause(Duration::from_millis(60));
    }
    sender.join().unwrap();
    client.say(b"and now?\n");
    client.expect(b"and now?\n");
}

/// Those who took nothing for too long. The system has the same deadline for what isn't
/// acknowledged, and may be first.
fn cut_off(counters: &Counters) -> u64 {
    counters.closed(CloseReason::WriteTimeout) + counters.closed(CloseReason::Reset)
}

#[test]
fn who_takes_nothing_for_too_long_is_cut_off() {
    let limits = Limits {
        write_timeout: Duration::from_millis(300),
        reply_max: 2 << 20,
        ..Limits::default()
    };
    let large = |_: &[u8], reply: &mut Reply<'_>| reply.message(&vec![b'x'; 1 << 20]);
    let server = ServerThread::start(BothEnds::open(), limits, large);
    let mut client = Client::connect(server.address);
    client.say(&b"\n".repeat(64));
    let counters = server.until("cut off", |counters| cut_off(counters) == 1);
    assert!(counters.messages < 64);
    // What was under way still arrives, and is the front of what was answered.
    let reply = [&vec![b'x'; 1 << 20][..], b"\n"].concat();
    let (heard, _) = client.hear_all();
    let fits = |(piece, reply): (&[u8], &[u8])| reply.starts_with(piece);
    assert!(heard.chunks(reply.len()).all(|piece| fits((piece, &reply))));
}

/// A server whose replies no buffers hold, and that waits for those who read them not for long.
fn with_replies_larger_than_buffers() -> ServerThread {
    let limits = Limits {
        write_timeout: Duration::from_millis(300),
        reply_max: 64 << 20,
        ..Limits::default()
    };
    let larger_than_buffers =
        |_: &[u8], reply: &mut Reply<'_>| reply.message(&vec![b'x'; MUCH / 2]);
    ServerThread::start(BothEnds::open(), limits, larger_than_buffers)
}

#[test]
fn who_got_a_part_of_a_reply_cannot_take_it_for_the_whole() {
    let server = with_replies_larger_than_buffers();
    let mut client = Client::connect(server.address);
    // The server has read all of it, so the system alone would end the stream in an orderly way.
    client.say(b"one line\n");
    server.until("cut off", |counters| cut_off(counters) == 1);
    let (heard, end) = client.hear_all();
    assert!(heard.len() < MUCH / 2);
    assert_eq!(end, End::Reset, "a part of a line that looks whole");
}

#[test]
fn a_byte_taken_moves_the_deadline_for_taking_and_nothing_else_does() {
    let at = |millis| Instant::after(Duration::from_millis(millis));
    let limits = Limits { write_timeout: Duration::from_secs(1), ..Limits::default() };
    let mut server = in_memory(BothEnds::open(), limits, Echo);
    let line = server.connect();
    line.set_room(0);
    server.send(&line, b"reply\n");
    server.now = at(900);
    server.make_room(&line, 1);
    server.now = at(1800);
    server.send(&line, b"more\n");
    server.make_room(&line, 0);
    server.now = at(1899);
    server.work();
    assert_eq!(server.engine.counters().open(), 1);
    server.now = at(1900);
    server.work();
    assert_eq!(server.engine.counters().closed(CloseReason::WriteTimeout), 1);
    assert_eq!(line.written(), b"r");
}

#[test]
fn who_ends_its_stream_and_takes_nothing_has_not_finished() {
    let server = with_replies_larger_than_buffers();
    for breaks_off in [false, true] {
        let before = server.counted().messages;
        let mut client = Client::connect(server.address);
        client.say(b"the last line, which the end of the stream ends");
        client.finish();
        server.until("answered", |counters| counters.messages > before);
        if breaks_off {
            client.reset();
        } else {
            server.until("over", |counters| counters.open() == 0);
        }
    }
    let counters = server.until("over", |counters| counters.open() == 0);
    assert_eq!(cut_off(&counters), 2, "{counters:?}");
}

#[test]
fn what_all_keep_together_is_bounded_and_the_others_are_served() {
    let protocol = speaking(Dialect::Raw);
    let limits = Limits { reply_max: 1 << 20, buffered_max: 1_200_000, ..Limits::default() };
    let of_that_length = |message: &[u8], reply: &mut Reply<'_>| {
        let length = str::from_utf8(message).unwrap().parse().unwrap();
        reply.message(&vec![b'x'; length]);
    };
    let server = ServerThread::start(protocol.clone(), limits, of_that_length);
    let mut stuck: Vec<Client> =
        (0..12).map(|_| Client::enter(server.address, &protocol)).collect();
    // Different lengths, so that what the system doesn't take of them differs too.
    let length = |number: usize| 700_000 + number * 23_456;
    for (number, client) in stuck.iter_mut().enumerate() {
        client.try_to_say(format!("{}\n", length(number)).repeat(32).as_bytes());
    }
    server.until("overloaded", |counters| counters.closed(CloseReason::Overloaded) >= 1);
    let mut honest = Client::enter(server.address, &protocol);
    honest.say(b"3\n");
    honest.expect(b"xxx\n");
    // Those who are still in get all of it; those who aren't, see the end.
    let (mut whole, mut cut) = (0, 0);
    thread::scope(|scope| {
        let readers: Vec<_> = stuck
            .drain(..)
            .enumerate()
            .map(|(number, mut client)| {
                scope.spawn(move || {
                    // Those who were cut off have been reset.
                    let _ = client.0.shutdown(Shutdown::Write);
                    client.hear_all().0.len() == 32 * (length(number) + 1)
                })
            })
            .collect();
        for reader in readers {
            *(if reader.join().unwrap() { &mut whole } else { &mut cut }) += 1;
        }
    });
    let counters = server.until("over", |counters| counters.open() == 1);
    assert_eq!(counters.closed(CloseReason::Overloaded), cut, "{counters:?}");
    assert_eq!(counters.closed(CloseReason::Finished), whole, "{counters:?}");
    assert!(whole >= 1, "{counters:?}");
}

#[test]
fn a_socket_that_fails_is_reset_unless_its_connection_is_broken() {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset, Other, TimedOut};
    for (error, is_reset) in
        [(ConnectionReset, false), (BrokenPipe, false), (TimedOut, true), (Other, true)]
    {
        let mut server = in_memory(BothEnds::open(), Limits::default(), Echo);
        let peer = server.connect();
        peer.fail(error);
        server.send(&peer, b"hello\n");
        assert!(peer.is_closed(), "{error}");
        assert_eq!(peer.is_reset_by_server(), is_reset, "{error}");
        assert_eq!(server.engine.counters().closed(CloseReason::Reset), 1, "{error}");
    }
}
