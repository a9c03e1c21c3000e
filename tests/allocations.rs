//! What is allocated: nothing for a message, nothing for a connection, and nothing for a claim.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Mutex;
use std::time::Duration;

use countersign::services::Timestamp;
use countersign::{Dialect, Framing, Key, Protocol, Server, Session};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// The profiler counts the whole process, so the tests take turns.
static TURN: Mutex<()> = Mutex::new(());

/// Server and client on one thread, so that what is counted is counted at a known point.
struct Pair {
    server: Server<Timestamp>,
    protocol: Protocol,
}

impl Pair {
    fn new(dialect: Dialect, framing: Framing) -> Self {
        let key = Key::new("key", b"sixteen bytes or more").unwrap().with_dialect(dialect);
        let protocol = Protocol::new(dialect, key).with_framing(framing);
        let server = Server::bind("127.0.0.1:0", protocol.clone(), Timestamp::utc()).unwrap();
        Self { server, protocol }
    }

    /// Has the server work until the client has read so many bytes.
    fn exchange(&mut self, stream: &mut TcpStream, bytes: &mut [u8]) {
        let mut filled = 0;
        while filled < bytes.len() {
            self.server.turn(Some(Duration::from_secs(10))).unwrap();
            match stream.read(&mut bytes[filled..]) {
                Ok(0) => panic!("the server closed the connection"),
                Ok(length) => filled += length,
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
    }

    fn connect(&mut self, out: &mut Vec<u8>) -> TcpStream {
        let mut stream = TcpStream::connect(self.server.addresses()[0]).unwrap();
        stream.set_nonblocking(true).unwrap();
        let mut challenge = [0; 32];
        let challenged = self.protocol.dialect().authenticates();
        if challenged {
            self.exchange(&mut stream, &mut challenge);
        }
        out.clear();
        let mut session = Session::client(&self.protocol).unwrap();
        let mut input = if challenged { &challenge[..] } else { &[] };
        session.next(&self.protocol, &mut input, out).unwrap();
        stream.write_all(out).unwrap();
        stream
    }

    fn ask(&mut self, stream: &mut TcpStream, message: &[u8]) {
        let mut reply = [0; 128];
        stream.write_all(message).unwrap();
        let stamp = "[Thu May 10 22:00:19 2018] ".len();
        self.exchange(stream, &mut reply[..stamp + message.len()]);
    }

    /// A client comes, asks and goes.
    fn visit(&mut self, out: &mut Vec<u8>, message: &[u8]) {
        let mut stream = self.connect(out);
        self.ask(&mut stream, message);
        drop(stream);
        while self.server.counters().open() > 0 {
            self.server.turn(Some(Duration::from_secs(10))).unwrap();
        }
    }
}

fn allocations() -> u64 {
    dhat::HeapStats::get().total_blocks
}

#[test]
fn neither_a_message_nor_a_connection_allocates() {
    let _turn = TURN.lock();
    let _profiler = dhat::Profiler::builder().testing().build();
    let message = b"thirty-two bytes of a message..\n";
    for dialect in Dialect::ALL {
        let mut pair = Pair::new(dialect, Framing::Lines);
        let mut out = Vec::with_capacity(128);
        for _ in 0..100 {
            pair.visit(&mut out, message);
        }
        let before = allocations();
        for _ in 0..1000 {
            pair.visit(&mut out, message);
        }
        // The text of a new second is formatted by way of the zone, which may allocate.
        assert!(allocations() - before < 100, "{dialect}: {}", allocations() - before);

        let mut stream = pair.connect(&mut out);
        pair.ask(&mut stream, message);
        let before = allocations();
        for _ in 0..1000 {
            pair.ask(&mut stream, message);
        }
        assert!(allocations() - before < 100, "{dialect}: {}", allocations() - before);
    }
}

#[test]
fn a_claimed_length_allocates_no_more_than_what_has_come() {
    let _turn = TURN.lock();
    let _profiler = dhat::Profiler::builder().testing().build();
    let mut pair = Pair::new(Dialect::Open, Framing::Length);
    let mut stream = pair.connect(&mut Vec::new());
    let before = dhat::HeapStats::get().curr_bytes;
    stream.write_all(b"\0\0\xff\xffsome").unwrap();
    while pair.server.counters().bytes_in < 8 {
        pair.server.turn(Some(Duration::from_secs(10))).unwrap();
    }
    let held = dhat::HeapStats::get().curr_bytes - before;
    assert!(held < 256, "{held} bytes for the 8 that have come");
}
