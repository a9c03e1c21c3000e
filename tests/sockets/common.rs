//! A client that says exactly the bytes it is told to, and what else these tests share.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread::{self};
use std::time::Duration;

use countersign::session::SessionCore;
use countersign::{
    BindError, ClientConfig, Dialect, Key, KeyRing, KeyRingExt as _, ListenerId, Protection, Reply,
    Server, Service,
};
use socket2::{Domain, SockRef, Socket, Type};

use crate::both_ends::BothEnds;
pub(crate) use crate::in_memory::in_memory;
pub(crate) use crate::progress::PATIENCE;
use crate::progress::Progress;

/// The bytes of a challenge.
pub(crate) const CHALLENGE: usize = 32;

/// The bytes of a server's hello and of its acceptance, in `countersign/1`.
const SERVER_HELLO: usize = 62;
const ACCEPTANCE: usize = 21;

/// The dialects that speak in lines, where nobody asks for another framing.
pub(crate) const IN_LINES: [Dialect; 4] =
    [Dialect::Countersign, Dialect::Raw, Dialect::Hex, Dialect::Open];

/// The kind of the system's error behind one of binding.
pub(crate) fn kind_of(error: &BindError) -> ErrorKind {
    error.io_error().map(std::io::Error::kind).unwrap()
}

/// The text of an error and of all that it comes from.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// The id of a listener, by its place.
pub(crate) fn id_of<S: Service>(server: &Server<S>, place: usize) -> ListenerId {
    server.listeners()[place].id()
}

/// A dialect with a key, if it needs one, and without records: messages travel as the framing says.
pub(crate) fn speaking(dialect: Dialect) -> BothEnds {
    let ends = BothEnds::new(dialect, ring("sixteen bytes or more"));
    if dialect == Dialect::Countersign { ends.with_records(Protection::Off) } else { ends }
}

/// A ring with one key that serves every dialect but Python's, which shares none with `raw`.
pub(crate) fn ring(secret: &str) -> KeyRing {
    KeyRing::from_key(key(secret)).unwrap()
}

/// Its key.
pub(crate) fn key(secret: &str) -> Key {
    let key = Key::new("key", secret.as_bytes()).unwrap();
    let dialects = [Dialect::Countersign, Dialect::Raw, Dialect::Hex];
    dialects.into_iter().fold(key, Key::with_dialect)
}

/// The same for the client's end. Clones of a ring are one program's, and don't talk to themselves.
pub(crate) fn other_end(ends: &BothEnds) -> ClientConfig {
    let config = ends.client();
    let mut ring = KeyRing::empty().unwrap();
    let keys = config.keys().into_iter().flat_map(KeyRing::keys);
    keys.for_each(|key| ring.add(key.clone()).unwrap());
    config.to_builder().with_keys(ring).build().unwrap()
}

/// Gives the server turns until it is so.
#[track_caller]
pub(crate) fn turn_until<S: Service>(
    server: &mut Server<S>,
    is_so: impl Fn(&mut Server<S>) -> bool,
) {
    let mut progress = Progress::since(server.counters());
    while !is_so(server) {
        server.turn(Some(Duration::from_millis(50))).unwrap();
        assert!(progress.continues(server.counters()), "it never came to that");
    }
}

/// A service: each message in brackets, so that it shows where one ends.
pub(crate) fn bracket(message: &[u8], reply: &mut Reply<'_>) {
    reply.push(b"[");
    reply.push(message);
    reply.message(b"]");
}

/// How a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Fin,
    Reset,
}

/// A client that says exactly the bytes it is told to.
pub(crate) struct Client(pub(crate) TcpStream);

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect_timeout(&address, PATIENCE).unwrap())
    }

    /// Comes from 127.0.0.HOST.
    pub(crate) fn connect_from(host: u8, address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, host], 0)).into()).unwrap();
        socket.connect_timeout(&address.into(), PATIENCE).unwrap();
        Self::over(socket.into())
    }

    /// The type of the stream is a descriptor, and knows no difference.
    pub(crate) fn connect_unix(path: impl AsRef<Path>) -> Self {
        Self::within(OwnedFd::from(UnixStream::connect(path).unwrap()).into())
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self::within(stream)
    }

    fn within(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self(stream)
    }

    /// Connects and proves itself.
    pub(crate) fn enter(address: SocketAddr, protocol: &BothEnds) -> Self {
        let mut client = Self::connect(address);
        client.prove(protocol);
        client
    }

    pub(crate) fn prove(&mut self, protocol: &BothEnds) {
        let proof = self.proof(protocol);
        self.say(&proof);
        self.welcome(protocol);
    }

    /// Hears the challenge, which `countersign/1` has to be called for, and makes the proof that
    /// answers it.
    pub(crate) fn proof(&mut self, protocol: &BothEnds) -> Vec<u8> {
        let protocol = &other_end(protocol);
        let mut session = SessionCore::client(protocol, Duration::ZERO, [7; 32]).unwrap();
        let mut proof = Vec::new();
        let mut challenge = Vec::new();
        if protocol.dialect() == Dialect::Countersign {
            session.next(protocol, Duration::ZERO, &mut &[][..], &mut proof).unwrap();
            self.say(&proof);
            proof.clear();
            challenge = self.hear(CHALLENGE + SERVER_HELLO);
        } else if protocol.dialect().authenticates() {
            challenge = self.hear(CHALLENGE);
        }
        session.next(protocol, Duration::ZERO, &mut &challenge[..], &mut proof).unwrap();
        proof
    }

    /// Hears that the proof was right, where the dialect has a word for it.
    pub(crate) fn welcome(&mut self, protocol: &BothEnds) {
        if protocol.dialect() == Dialect::Countersign {
            assert_eq!(self.hear(ACCEPTANCE)[..4], [4, 0, 0, 17]);
        }
    }

    pub(crate) fn say(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    /// Says it, or finds that nobody listens any more. Says whether somebody did.
    pub(crate) fn try_to_say(&mut self, bytes: &[u8]) -> bool {
        match self.0.write_all(bytes) {
            Ok(()) => true,
            Err(error) if is_reset(error.kind()) => false,
            Err(error) => panic!("{error}"),
        }
    }

    /// Hears so many bytes.
    pub(crate) fn hear(&mut self, length: usize) -> Vec<u8> {
        let mut heard = vec![0; length];
        self.0.read_exact(&mut heard).unwrap();
        heard
    }

    /// Hears exactly these bytes.
    #[track_caller]
    pub(crate) fn expect(&mut self, bytes: &[u8]) {
        let heard = self.hear(bytes.len());
        assert_eq!(heard.escape_ascii().to_string(), bytes.escape_ascii().to_string());
    }

    /// Hears all that comes until the end.
    pub(crate) fn hear_all(&mut self) -> (Vec<u8>, End) {
        let mut heard = Vec::new();
        // What was read before an error stays in the vector.
        let end = match self.0.read_to_end(&mut heard) {
            Ok(_) => End::Fin,
            Err(error) if is_reset(error.kind()) => End::Reset,
            Err(error) => panic!("{error} behind {} bytes", heard.len()),
        };
        (heard, end)
    }

    /// Waits for anything; `None` if nothing comes for so long, else whether it was a byte.
    pub(crate) fn hears_within(&mut self, wait: Duration) -> Option<bool> {
        self.0.set_read_timeout(Some(wait)).unwrap();
        let read = self.0.read(&mut [0]);
        self.0.set_read_timeout(Some(PATIENCE)).unwrap();
        match read {
            Ok(length) => Some(length > 0),
            Err(error) if is_reset(error.kind()) => Some(false),
            Err(error) if is_timeout(error.kind()) => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// Ends its own stream, and goes on to hear.
    pub(crate) fn finish(&self) {
        self.0.shutdown(Shutdown::Write).unwrap();
    }

    /// Breaks the connection.
    pub(crate) fn reset(self) {
        SockRef::from(&self.0).set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// The same connection, for another thread.
    pub(crate) fn twin(&self) -> Self {
        Self(self.0.try_clone().unwrap())
    }
}

/// The proof that answers a challenge.
pub(crate) fn proof(protocol: &BothEnds, challenge: &[u8]) -> Vec<u8> {
    let mut proof = Vec::new();
    let config = protocol.client();
    let mut session = SessionCore::client(&config, Duration::ZERO, [7; 32]).unwrap();
    session.next(&config, Duration::ZERO, &mut &challenge[..], &mut proof).unwrap();
    proof
}

fn is_reset(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

pub(crate) fn is_timeout(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Lets time pass where the system's own clock is what is tested.
#[expect(clippy::disallowed_methods, reason = "the peer is slow, or waits for nothing to come")]
pub(crate) fn pause(time: Duration) {
    thread::sleep(time);
}

/// The monotonic clock.
#[expect(clippy::disallowed_methods, reason = "a host's loop has a clock of its own")]
pub(crate) fn now() -> std::time::Instant {
    std::time::Instant::now()
}
