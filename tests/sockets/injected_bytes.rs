//! Faults that are injected: the bytes on the wire follow from the seed, and records show each
//! change of them.

use std::io::Read as _;
use std::time::Duration;

use countersign::faults::Faulty;
use countersign::services::Echo;
use countersign::session::Event;
use countersign::testing::{MemoryPeer, TestServer};
use countersign::{
    ClientConfig, CloseReason, Dialect, Limits, Protection, Refusal, ServerConfig, Session,
};

use crate::both_ends::BothEnds;
use crate::common::{Client, in_memory, other_end, ring};
use crate::server_thread::ServerThread;

/// Every fault that changes what is sent, and not only when.
const ANY: &str = "delay=50us:20,1ms:5; slice=1..9:20; drip=8B/1ms:3; stall=1ms:3; corrupt:10; \
                   mute:10; truncate:1; close-before:1; close-after:1; reset:1; rate=20k; \
                   accept-delay=1ms:30; refuse:10";

fn faulty(faults: &str, seed: u64) -> Faulty<Echo> {
    Faulty::new(Echo, faults.parse().unwrap()).with_seed(seed)
}

/// What each of some connections, made one after the other, receives over sockets, until the
/// server closes it or it has nothing more to say.
fn over_sockets(seed: u64) -> Vec<Vec<u8>> {
    let server = ServerThread::start(ServerConfig::open(), Limits::default(), faulty(ANY, seed));
    let of_connection = |number: usize| {
        let mut client = Client::connect(server.address);
        let lines: String = (0..200).map(|line| format!("line {line} of {number}\n")).collect();
        // It may be closed already.
        let _ = std::io::Write::write_all(&mut client.0, lines.as_bytes());
        let _ = client.0.shutdown(std::net::Shutdown::Write);
        let mut received = Vec::new();
        let _ = client.0.read_to_end(&mut received);
        received
    };
    (0..20).map(of_connection).collect()
}

/// The same in memory, where the peers send at once what others send in pieces.
fn in_one_process(seed: u64, piece: usize) -> Vec<Vec<u8>> {
    let mut server = in_memory(ServerConfig::open(), Limits::default(), faulty(ANY, seed));
    let peers: Vec<MemoryPeer> = (0..20).map(|_| server.connect()).collect();
    let lines = |number: usize| -> Vec<u8> {
        let lines = (0..200).map(|line| format!("line {line} of {number}\n"));
        lines.collect::<String>().into_bytes()
    };
    let all: Vec<Vec<u8>> = (0..20).map(lines).collect();
    for start in (0..all[0].len() + 400).step_by(piece) {
        for (peer, bytes) in peers.iter().zip(&all) {
            if let Some(rest) = bytes.get(start..) {
                server.send(peer, &rest[..piece.min(rest.len())]);
            }
        }
        server.pass(Duration::from_micros(300));
    }
    peers.iter().for_each(|peer| server.finish(peer));
    for _ in 0..2_000 {
        server.pass(Duration::from_millis(1));
    }
    assert_eq!(server.engine.counters().open(), 0);
    peers.iter().map(MemoryPeer::take).collect()
}

#[test]
fn servers_of_one_seed_send_the_same_bytes_whatever_the_time() {
    let expected = in_one_process(7, usize::MAX);
    for piece in [1_000, 64, 7] {
        assert!(in_one_process(7, piece) == expected, "{piece}");
    }
    assert!(in_one_process(8, 64) != expected, "another seed");
}

#[test]
fn servers_of_one_seed_send_the_same_bytes_over_sockets() {
    let (first, second) = (over_sockets(7), over_sockets(7));
    let memory = in_one_process(7, usize::MAX);
    for (number, ((first, second), memory)) in first.iter().zip(&second).zip(&memory).enumerate() {
        // A reset destroys what the peer has not read; what it has read is the front of the rest.
        assert!(memory.starts_with(first) && memory.starts_with(second), "{number}");
    }
    assert!(first.iter().zip(&memory).filter(|(first, memory)| first == memory).count() > 10);
}

/// A client of `countersign/1` in memory.
struct RecordClient {
    session: Session,
    peer: MemoryPeer,
}

impl RecordClient {
    fn connect(config: &ClientConfig, server: &mut TestServer<Faulty<Echo>>) -> Self {
        let session = Session::client(config.clone(), Duration::ZERO, [9; 32]).unwrap();
        let mut client = Self { session, peer: server.connect() };
        let mut out = Vec::new();
        let mut is_open = false;
        while !is_open {
            let received = client.peer.take();
            let mut input = &received[..];
            let event = client.session.process(Duration::ZERO, &mut input, &mut out).unwrap();
            is_open = matches!(event, Some(Event::Open(_)));
            server.send(&client.peer, &std::mem::take(&mut out));
        }
        client
    }

    /// Sends a message, and returns the first reply, or why it is refused.
    fn say(
        &mut self,
        message: &[u8],
        server: &mut TestServer<Faulty<Echo>>,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        let mut out = Vec::new();
        self.session.send(message, &mut out).unwrap();
        server.send(&self.peer, &out);
        let received = self.peer.take();
        let mut input = &received[..];
        match self.session.process(Duration::ZERO, &mut input, &mut Vec::new())? {
            Some(Event::Message(reply)) => Ok(Some(reply.bytes.to_vec())),
            _ => Ok(None),
        }
    }
}

/// Corrupts so many records, each of a connection of its own.
fn corrupt_records(count: usize) {
    let records = [Protection::Required, Protection::Sealed];
    let (mut delivered, mut bad) = (0, 0);
    for (place, protection) in records.into_iter().enumerate() {
        let ends = BothEnds::new(Dialect::Countersign, ring("sixteen bytes or more"));
        let ends = ends.with_records(protection);
        let config = other_end(&ends);
        let mut server = in_memory(&ends, Limits::default(), faulty("corrupt", place as u64));
        for number in 0..count / records.len() {
            let mut client = RecordClient::connect(&config, &mut server);
            match client.say(&vec![b'x'; number % 300], &mut server) {
                Err(Refusal::BadRecord) => bad += 1,
                Ok(_) => delivered += 1,
                Err(other) => panic!("{number}: {other:?}"),
            }
            client.peer.reset();
            server.finish(&client.peer);
        }
        let reset = server.engine.counters().closed(CloseReason::Reset);
        assert_eq!(usize::try_from(reset), Ok(count / records.len()));
    }
    assert_eq!((delivered, bad), (0, count));
}

#[test]
fn no_corrupt_record_is_delivered() {
    corrupt_records(4_000);
}

#[test]
#[ignore = "takes minutes"]
fn no_corrupt_record_of_a_million_is_delivered() {
    corrupt_records(1_000_000);
}
