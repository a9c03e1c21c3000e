//! What a server sends of its own: at times that a service chooses, and at the end of a stream.

use std::time::Duration;

use countersign::services::{ByteSource, Sink, Size};
use countersign::{
    CloseReason, Dialect, Limits, Loopback, Peer, Protection, Reply, ServerConfig, Service,
    TellError,
};

use crate::both_ends::BothEnds;
use crate::common::{Client, in_memory, other_end, ring};
use crate::server_thread::ServerThread;

const MILLI: Duration = Duration::from_millis(1);

/// Counts up every 10 ms, and says how far it came.
struct Ticker;

impl Service for Ticker {
    type State = u32;

    fn open(&mut self, _peer: &Peer<'_>, reply: &mut Reply<'_>) -> u32 {
        reply.message(b"begin");
        0
    }

    fn message(&mut self, _ticks: &mut u32, message: &[u8], reply: &mut Reply<'_>) {
        reply.message(message);
    }

    fn ended(&mut self, ticks: &mut u32, reply: &mut Reply<'_>) {
        reply.message(format!("end {ticks}").as_bytes());
    }

    fn wake_after(&mut self, _ticks: &mut u32) -> Option<Duration> {
        Some(10 * MILLI)
    }

    fn wake(&mut self, ticks: &mut u32, reply: &mut Reply<'_>) {
        *ticks += 1;
        match ticks {
            9 => panic!("a slip"),
            _ => reply.message(format!("tick {ticks}").as_bytes()),
        }
    }
}

#[test]
fn a_service_is_called_at_the_times_that_it_chooses() {
    let mut server = in_memory(ServerConfig::open(), Limits::default(), Ticker);
    let peer = server.connect();
    assert_eq!(peer.take(), b"begin\n");
    server.pass(9 * MILLI);
    assert_eq!(peer.take(), b"");
    // A loop that is late makes up for it, and the times don't move.
    server.pass(6 * MILLI);
    server.send(&peer, b"hello\n");
    assert_eq!(peer.take(), b"tick 1\nhello\n");
    server.pass(5 * MILLI);
    assert_eq!(peer.take(), b"tick 2\n");
    server.pass(20 * MILLI);
    assert_eq!(peer.take(), b"tick 3\ntick 4\n");
    // While a peer doesn't read, it is left alone.
    peer.set_room(3);
    (0..10).for_each(|_| server.pass(10 * MILLI));
    server.make_room(&peer, usize::MAX);
    assert_eq!(peer.take(), b"tick 5\n");
    server.pass(10 * MILLI);
    server.finish(&peer);
    assert_eq!(peer.take(), b"tick 6\nend 6\n");
    assert_eq!(server.engine.counters().closed(CloseReason::Finished), 1);
}

#[test]
fn a_call_that_panics_ends_its_connection() {
    let mut server = in_memory(ServerConfig::open(), Limits::default(), Ticker);
    let peer = server.connect();
    (0..10).for_each(|_| server.pass(10 * MILLI));
    server.finish(&peer);
    assert_eq!(server.engine.counters().closed(CloseReason::Panicked), 1);
    assert_eq!(server.engine.deadline(), None, "nobody is called any more");
}

#[test]
fn what_waits_for_a_peer_is_at_most_what_one_visit_can_leave() {
    let limits = Limits { batch_max: 10, reply_max: 30, ..Limits::default() };
    let mut server = in_memory(ServerConfig::open(), limits, Idle);
    let peer = server.connect();
    peer.set_room(0);
    let mut tell =
        |message| server.engine.tell(peer.id().unwrap(), message, server.now, server.wall);
    assert_eq!([(); 4].map(|()| tell(b"nine byte")), [Ok(()); 4]);
    assert_eq!(tell(b""), Err(TellError::Full), "its line feed is the 41st byte");
    server.make_room(&peer, usize::MAX);
    assert_eq!(peer.take(), b"nine byte\n".repeat(4));
}

#[test]
fn a_source_sends_at_its_rate() {
    let mut server = in_memory(ServerConfig::open(), Limits::default(), ByteSource::new(1 << 20));
    let peer = server.connect();
    (0..100).for_each(|_| server.pass(10 * MILLI));
    let bytes = peer.take().iter().filter(|byte| **byte == b'x').count();
    assert!(bytes.abs_diff(1 << 20) <= 20_000, "{bytes}");
}

#[test]
fn a_sink_says_at_the_end_what_it_was_sent() {
    assert_eq!(Loopback::new(Size(3)).say("hello"), [b"xxx"]);
    let server = ServerThread::start(ServerConfig::open(), Limits::default(), Sink);
    let mut client = Client::connect(server.address);
    client.say(&b"x\n".repeat(1_000));
    client.say(b"the last has no end");
    client.finish();
    assert_eq!(client.hear_all().0, b"1019\n");
    // In records, the number comes before the close record.
    let ends = BothEnds::new(Dialect::Countersign, ring("sixteen bytes or more"));
    let ends = ends.with_records(Protection::Required);
    let server = ServerThread::start(&ends, Limits::default(), Sink);
    let mut client = countersign::Client::connect(server.address, other_end(&ends)).unwrap();
    client.send(b"hello").unwrap();
    client.finish().unwrap();
    assert_eq!(client.receive().unwrap(), Some(&b"5"[..]));
    assert_eq!(client.receive().unwrap(), None);
}

/// Wants to be called, and then says nothing. A message that says so is the last.
struct Idle;

impl Service for Idle {
    type State = ();

    fn open(&mut self, _peer: &Peer<'_>, _reply: &mut Reply<'_>) {}

    fn message(&mut self, _state: &mut (), message: &[u8], reply: &mut Reply<'_>) {
        reply.message(message);
        if message == b"bye" {
            reply.close();
        }
    }

    fn wake_after(&mut self, _state: &mut ()) -> Option<Duration> {
        Some(10 * MILLI)
    }
}

#[test]
fn a_service_that_says_nothing_when_it_is_called_sends_nothing() {
    let mut server = in_memory(ServerConfig::open(), Limits::default(), Idle);
    let before = server.engine.memory_max().per_connection;
    let peer = server.connect();
    let times = server.engine.memory_max().per_connection - before;
    assert_eq!(times, 2 * 48, "its time, and that of a connection that is closed");
    (0..10).for_each(|_| server.pass(10 * MILLI));
    assert_eq!(peer.take(), b"");
    server.send(&peer, b"hello\n");
    assert_eq!(peer.take(), b"hello\n");
    // A connection that ends is not called, though its last reply waits.
    peer.set_room(0);
    server.send(&peer, b"bye\n");
    (0..10).for_each(|_| server.pass(10 * MILLI));
    server.make_room(&peer, usize::MAX);
    assert_eq!(peer.take(), b"bye\n");
}

#[test]
fn the_times_of_few_closed_connections_are_kept() {
    let mut server = in_memory(ServerConfig::open(), Limits::default(), Idle);
    for number in 1..=2 * 65 {
        let peer = server.connect();
        server.finish(&peer);
        assert_eq!(server.engine.counters().open(), 0);
        let are_kept = number % 65 > 0;
        assert_eq!(server.engine.deadline().is_some(), are_kept, "after {number} connections");
    }
}

#[test]
fn a_server_that_drains_calls_nobody_of_its_own_accord() {
    let mut server = in_memory(ServerConfig::open(), Limits::default(), Ticker);
    let (busy, full) = (server.connect(), server.connect());
    assert_eq!((busy.take(), full.take()), (b"begin\n".to_vec(), b"begin\n".to_vec()));
    full.set_room(0);
    server.send(&full, b"a reply that waits\n");
    // More than one visit answers, so that the connection stays open for a while.
    let lines = 3_000;
    server.arrive(&busy, &b"x\n".repeat(lines));
    server.engine.drain(server.now);
    server.now = server.now + 10 * MILLI;
    server.engine.turn(server.now, server.wall).unwrap();
    assert!(!busy.is_shut() && busy.written().len() < 2 * lines);
    server.work();
    assert_eq!(busy.take(), b"x\n".repeat(lines));
    server.make_room(&full, usize::MAX);
    assert_eq!(full.take(), b"a reply that waits\n");
    server.finish(&busy);
    server.finish(&full);
    assert_eq!(server.engine.counters().closed(CloseReason::Stopped), 2);
}
