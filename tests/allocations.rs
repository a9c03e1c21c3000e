//! What is allocated: nothing for a message, nothing for a connection, and nothing for a claim.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use countersign::services::{Echo, Timestamp};
use countersign::session::{Event, SessionCore};
use countersign::{
    ClientConfig, Dialect, FrameFormat, Framing, Key, KeyRing, KeyRingExt as _, Limits,
    ListenerConfig, Server, ServerConfig,
};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// The profiler counts the whole process, so the tests take turns.
static TURN: Mutex<()> = Mutex::new(());

/// Server and client on one thread, so that what is counted is counted at a known point.
struct Pair {
    server: Server<Timestamp>,
    config: ClientConfig,
}

/// A client that was let in.
struct Caller {
    stream: TcpStream,
    session: SessionCore,
    form: FrameFormat,
}

impl Pair {
    fn new(dialect: Dialect, framing: Framing) -> Self {
        let key = Key::new("key", b"sixteen bytes or more").unwrap().with_dialect(dialect);
        let ring = || KeyRing::from_key(key.clone()).unwrap();
        // It has its own.
        let is_python = dialect == Dialect::Multiprocessing;
        let framing = if is_python { Framing::Length } else { framing };
        let config = ServerConfig::builder(dialect).with_keys(ring()).with_framing(framing);
        let config = config.build().unwrap();
        let server = Server::bind("127.0.0.1:0", config, Timestamp::utc()).unwrap();
        let config = ClientConfig::builder(dialect).with_keys(ring()).with_framing(framing);
        let config = config.build().unwrap();
        Self { server, config }
    }

    /// Has the server work until the client has read something.
    fn exchange(&mut self, stream: &mut TcpStream, bytes: &mut [u8]) -> usize {
        loop {
            self.server.turn(Some(Duration::from_secs(10))).unwrap();
            match stream.read(bytes) {
                Ok(0) => panic!("the server closed the connection"),
                Ok(length) => return length,
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
    }

    fn connect(&mut self, out: &mut Vec<u8>) -> Caller {
        let mut stream =
            TcpStream::connect(self.server.listeners()[0].addresses()[0].ip().unwrap()).unwrap();
        stream.set_nonblocking(true).unwrap();
        // Or a handshake's last word would hold up the message behind it.
        stream.set_nodelay(true).unwrap();
        let mut session = SessionCore::client(&self.config, Duration::ZERO, [7; 32]).unwrap();
        let (mut inbox, mut length) = ([0; 512], 0);
        loop {
            out.clear();
            let mut input = &inbox[..length];
            let form = match session.next(&self.config, Duration::ZERO, &mut input, out).unwrap() {
                Some(Event::Open(opened)) => Some(opened.form),
                _ => None,
            };
            assert_eq!(session.seal(out), Ok(out.len()));
            stream.write_all(out).unwrap();
            if let Some(form) = form {
                return Caller { stream, session, form };
            }
            length = self.exchange(&mut stream, &mut inbox);
        }
    }

    fn ask(&mut self, caller: &mut Caller, out: &mut Vec<u8>, message: &[u8]) {
        out.clear();
        caller.form.frame(message, out);
        assert_eq!(caller.session.seal(out), Ok(out.len()));
        caller.stream.write_all(out).unwrap();
        let mut inbox = [0; 512];
        loop {
            let length = self.exchange(&mut caller.stream, &mut inbox);
            let mut input = &inbox[..length];
            let heard = caller.session.next(&self.config, Duration::ZERO, &mut input, out).unwrap();
            if let Some(Event::Message(reply)) = heard {
                return assert!(reply.bytes.ends_with(message));
            }
        }
    }

    /// Has so many messages answered that are sent together.
    fn ask_together(&mut self, caller: &mut Caller, out: &mut Vec<u8>, count: usize) {
        out.clear();
        (0..count).for_each(|_| caller.form.frame(b"a message of a batch", out));
        let ready = caller.session.seal(out).unwrap();
        caller.stream.write_all(&out[..ready]).unwrap();
        let (mut inbox, mut answered) = ([0; 4096], 0);
        while answered < count {
            let length = self.exchange(&mut caller.stream, &mut inbox);
            let mut input = &inbox[..length];
            while let Some(Event::Message(_)) =
                caller.session.next(&self.config, Duration::ZERO, &mut input, out).unwrap()
            {
                answered += 1;
            }
        }
    }

    /// A client comes, asks and goes.
    fn visit(&mut self, out: &mut Vec<u8>, message: &[u8]) {
        let mut caller = self.connect(out);
        self.ask(&mut caller, out, message);
        drop(caller);
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
    let message = b"thirty-two bytes of a message...";
    for dialect in Dialect::ALL.iter().copied() {
        let mut pair = Pair::new(dialect, Framing::Lines);
        let mut out = Vec::with_capacity(512);
        for _ in 0..100 {
            pair.visit(&mut out, message);
        }
        let before = allocations();
        for _ in 0..1000 {
            pair.visit(&mut out, message);
        }
        // The text of a new second is formatted by way of the zone, which may allocate. The keys
        // of a session lie outside its entry: at either end twice, for the handshake and after it,
        // and once more for the client's call.
        let keys = if dialect == Dialect::Countersign { 5000 } else { 0 };
        assert!(allocations() - before < 100 + keys, "{dialect}: {}", allocations() - before);

        let mut caller = pair.connect(&mut out);
        pair.ask(&mut caller, &mut out, message);
        let before = allocations();
        for _ in 0..1000 {
            pair.ask(&mut caller, &mut out, message);
        }
        assert!(allocations() - before < 100, "{dialect}: {}", allocations() - before);
    }
}

#[test]
fn a_batch_allocates_nothing() {
    let _turn = TURN.lock();
    let _profiler = dhat::Profiler::builder().testing().build();
    let mut pair = Pair::new(Dialect::Countersign, Framing::Lines);
    let mut out = Vec::with_capacity(2048);
    let mut caller = pair.connect(&mut out);
    pair.ask_together(&mut caller, &mut out, 16);
    let before = allocations();
    for _ in 0..1000 {
        pair.ask_together(&mut caller, &mut out, 16);
    }
    assert!(allocations() - before < 100, "{}", allocations() - before);
}

#[test]
fn a_claimed_length_allocates_no_more_than_a_block_for_what_has_come() {
    let _turn = TURN.lock();
    let _profiler = dhat::Profiler::builder().testing().build();
    let mut pair = Pair::new(Dialect::Open, Framing::Length);
    let mut stream = pair.connect(&mut Vec::new()).stream;
    let before = dhat::HeapStats::get().curr_bytes;
    stream.write_all(b"\0\0\xff\xffsome").unwrap();
    while pair.server.counters().bytes_in < 8 {
        pair.server.turn(Some(Duration::from_secs(10))).unwrap();
    }
    let held = dhat::HeapStats::get().curr_bytes - before;
    assert!(held <= 1024 + 128, "{held} bytes for the 8 that have come");
}

/// Clients of a small server that leave it as much as they can: one half the front of a message,
/// the other replies that they don't read.
fn crowd(server: &mut Server<Echo>, path: &Path, lines: &[u8]) -> Vec<UnixStream> {
    let clients = Limits::small().connections as u64;
    let clients = (0..clients).map(|number| {
        let mut stream = UnixStream::connect(path).unwrap();
        stream.set_nonblocking(true).unwrap();
        while server.counters().accepted <= number {
            server.turn(Some(Duration::from_secs(10))).unwrap();
        }
        if number % 2 == 0 {
            stream.write_all(&lines[..4_000]).unwrap();
        } else {
            // Until the server doesn't read any more.
            while stream.write(lines).is_ok() {
                server.turn(Some(Duration::ZERO)).unwrap();
            }
        }
        while server.turn(Some(Duration::ZERO)).unwrap() > 0 {}
        stream
    });
    clients.collect()
}

#[test]
fn a_small_server_takes_no_more_than_its_limits_say() {
    let _turn = TURN.lock();
    let _profiler = dhat::Profiler::builder().testing().build();
    let path = std::env::temp_dir().join(format!("countersign-small-{}", std::process::id()));
    let lines = [vec![b'x'; 4_095], vec![b'\n']].concat().repeat(8);
    let config = ServerConfig::open().to_builder().with_message_max(4 << 10).build().unwrap();
    let listener = ListenerConfig::new(config).with_limits(Limits::small());
    let address = format!("unix:{}", path.display());
    let before = dhat::HeapStats::get().curr_bytes;
    let mut server = Server::new([listener.bind(&*address).unwrap()], Echo).unwrap();
    let streams = crowd(&mut server, &path, &lines);
    let (used, memory) = (dhat::HeapStats::get().max_bytes - before, server.memory_max());
    println!("{used} bytes of {memory:?}, {:?}", server.counters());
    assert!(used <= memory.total, "{used} bytes are more than {memory:?}");
    assert!(used > memory.total / 2, "{used} bytes are little of {memory:?}");
    drop(streams);
}
