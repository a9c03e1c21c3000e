//! Hostile clients, from 512 addresses, and honest ones beside them.

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use countersign::session::Event;
use countersign::{ClientConfig, Dialect, Key, KeyRing, KeyRingExt as _, Session};
use countersign_load::{Arrival, Disconnect, Plan};
use socket2::{Domain, Socket, Type};

use crate::clock::now;

/// The addresses that they come from.
const ADDRESSES: u32 = 512;

/// How long a connection is held that the server has had enough of at once.
const REFUSED: Duration = Duration::from_millis(700);

/// How long a client that never reads may take to prove itself.
const JOINING: Duration = Duration::from_secs(2);

/// The messages of a client that never reads, and the bytes of each.
const UNREAD: [usize; 2] = [64, 1000];

/// The nonce of a client; the server's own differs each time.
const NONCE: [u8; 32] = [5; 32];

/// What honest clients do for so long: 200 a second connect, prove themselves, say one line, and
/// hang up.
pub(crate) fn honest(duration: Duration) -> Plan {
    Plan {
        connections: 64,
        reconnect: true,
        arrival: Arrival::Poisson(200.0),
        duration: Some(duration),
        disconnect: Disconnect::Rst,
        ..Plan::default()
    }
}

/// What a hostile client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Sends nothing.
    Silent,
    /// Sends a byte a second, of a handshake that is never complete.
    Drips,
    /// Proves that it has another key.
    ProvesWrongly,
    /// Sends a byte, ends its stream, and waits.
    HalfCloses,
    /// Holds the key, sends messages, and reads no reply. Its segments and its window are small, so
    /// the system takes few of the replies from the server.
    NeverReads,
    /// Resets the connection at once.
    Resets,
}

impl Kind {
    /// Whether the server can't tell it from a slow client.
    fn is_held(self) -> bool {
        matches!(self, Self::Silent | Self::Drips | Self::NeverReads)
    }
}

/// What hostile clients do, in turn, how many connections a second they make, and for how long they
/// hold one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pattern {
    pub(crate) kinds: &'static [Kind],
    pub(crate) rate: u32,
    pub(crate) held: Duration,
}

/// A thread of hostile clients.
pub(crate) struct Attack {
    stop: Arc<AtomicBool>,
    made: Arc<AtomicU32>,
    thread: thread::JoinHandle<Duration>,
}

impl Attack {
    /// Begins it. Those that never read hold the key of this configuration.
    pub(crate) fn start(address: SocketAddr, config: &ClientConfig, pattern: Pattern) -> Self {
        let (stop, made) = (Arc::default(), Arc::default());
        let mut clients = Clients::new(address, config, pattern, Arc::clone(&made));
        let told: Arc<AtomicBool> = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let began = now();
            while !told.load(Ordering::Relaxed) {
                clients.turn(began.elapsed());
                thread::park_timeout(Duration::from_millis(1));
            }
            began.elapsed()
        });
        Self { stop, made, thread }
    }

    /// The connections that it has made.
    pub(crate) fn made(&self) -> u32 {
        self.made.load(Ordering::Relaxed)
    }

    /// Ends it. Returns how many connections it has made a second.
    pub(crate) fn stop(self) -> f64 {
        self.stop.store(true, Ordering::Relaxed);
        let took = self.thread.join().unwrap();
        f64::from(self.made.load(Ordering::Relaxed)) / took.as_secs_f64()
    }
}

/// A connection that is held.
struct Held {
    socket: Socket,
    until: Instant,
    /// For a client that drips, how many bytes it has sent.
    dripped: Option<usize>,
}

/// A client that is about to read nothing more.
struct Joining {
    socket: Socket,
    session: Session,
    since: Instant,
}

struct Clients {
    address: SocketAddr,
    pattern: Pattern,
    config: Arc<ClientConfig>,
    /// What a client says that has another key.
    words: Vec<u8>,
    made: Arc<AtomicU32>,
    held: VecDeque<Held>,
    refused: VecDeque<Held>,
    joining: Vec<Joining>,
    /// Which of those that are held may drip next.
    next: usize,
}

impl Clients {
    fn new(
        address: SocketAddr,
        config: &ClientConfig,
        pattern: Pattern,
        made: Arc<AtomicU32>,
    ) -> Self {
        Self {
            address,
            pattern,
            config: Arc::new(config.clone()),
            words: first_bytes(config.dialect()),
            made,
            held: VecDeque::new(),
            refused: VecDeque::new(),
            joining: Vec::new(),
            next: 0,
        }
    }

    /// Does what is due after so much time.
    fn turn(&mut self, elapsed: Duration) {
        let due = elapsed.as_secs_f64() * f64::from(self.pattern.rate);
        while f64::from(self.made.load(Ordering::Relaxed)) < due {
            self.strike(self.made.fetch_add(1, Ordering::Relaxed) + 1);
        }
        for queue in [&mut self.held, &mut self.refused] {
            while queue.front().is_some_and(|held| held.until < now()) {
                queue.pop_front();
            }
        }
        for joining in std::mem::take(&mut self.joining) {
            self.join(joining);
        }
        // A turn takes a millisecond, so each has its turn about once a second.
        for _ in 0..self.held.len() / 1000 {
            self.next = (self.next + 1) % self.held.len();
            let Held { socket, dripped: Some(count), .. } = &mut self.held[self.next] else {
                continue;
            };
            if *count + 1 < self.words.len() {
                let _ = socket.write(&self.words[*count..][..1]);
                *count += 1;
            }
        }
    }

    /// Makes a hostile connection, if the system has a socket for it.
    fn strike(&mut self, number: u32) {
        let kind = self.pattern.kinds[number as usize % self.pattern.kinds.len()];
        let Some(mut socket) = connect(self.address, kind, number) else { return };
        let mut dripped = None;
        // The connection may be under way or refused: then it fails, which is as good.
        match kind {
            Kind::Silent => {}
            Kind::Drips => {
                let _ = socket.write(&self.words[..1]);
                dripped = Some(1);
            }
            Kind::ProvesWrongly => {
                let _ = socket.write(&self.words);
            }
            Kind::HalfCloses => {
                let _ = socket.write(&self.words[..1]);
                let _ = socket.shutdown(std::net::Shutdown::Write);
            }
            Kind::NeverReads => {
                let config = Arc::clone(&self.config);
                let mut session = Session::client(config, Duration::ZERO, NONCE).unwrap();
                let mut said = Vec::new();
                session.process(Duration::ZERO, &mut &[][..], &mut said).unwrap();
                let _ = socket.write(&said);
                return self.joining.push(Joining { socket, session, since: now() });
            }
            Kind::Resets => {
                let _ = socket.set_linger(Some(Duration::ZERO));
                return;
            }
        }
        self.hold(socket, kind, dripped);
    }

    fn hold(&mut self, socket: Socket, kind: Kind, dripped: Option<usize>) {
        let (queue, held) = if kind.is_held() {
            (&mut self.held, self.pattern.held)
        } else {
            (&mut self.refused, self.pattern.held.min(REFUSED))
        };
        queue.push_back(Held { socket, until: now() + held, dripped });
    }

    /// Goes on with the handshake. After it come all messages, as far as they can be sent.
    fn join(&mut self, mut joining: Joining) {
        let mut buffer = [0; 1024];
        let Ok(length) = joining.socket.read(&mut buffer) else {
            if joining.since.elapsed() < JOINING {
                self.joining.push(joining);
            }
            return;
        };
        let (mut input, mut said) = (&buffer[..length], Vec::new());
        let event = joining.session.process(Duration::ZERO, &mut input, &mut said);
        let is_open = matches!(event, Ok(Some(Event::Open(_))));
        // The server may have closed the connection.
        if event.is_err() || length == 0 {
            return;
        }
        if is_open {
            let [count, size] = UNREAD;
            let message = vec![b'x'; size];
            joining.session.send_all((0..count).map(|_| &message[..]), &mut said).unwrap();
        }
        let _ = joining.socket.write(&said);
        if is_open {
            self.hold(joining.socket, Kind::NeverReads, None);
        } else {
            self.joining.push(joining);
        }
    }
}

/// A connection that is begun.
fn connect(address: SocketAddr, kind: Kind, number: u32) -> Option<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).ok()?;
    let host = u32::from(Ipv4Addr::new(127, 1, 0, 1)) + number % ADDRESSES;
    socket.bind(&SocketAddr::from((host.to_be_bytes(), 0)).into()).ok()?;
    socket.set_nonblocking(true).ok()?;
    if kind == Kind::NeverReads {
        socket.set_tcp_mss(536).ok()?;
        socket.set_recv_buffer_size(2048).ok()?;
    }
    let _ = socket.connect(&address.into());
    Some(socket)
}

/// What a client says that has another key.
fn first_bytes(dialect: Dialect) -> Vec<u8> {
    if dialect != Dialect::Countersign {
        return vec![b'x'; 32];
    }
    let key = Key::new("bench", b"another key's secret").unwrap();
    let config =
        ClientConfig::builder(dialect).with_keys(KeyRing::from_key(key).unwrap()).build().unwrap();
    let mut said = Vec::new();
    let mut session = Session::client(config, Duration::ZERO, NONCE).unwrap();
    session.process(Duration::ZERO, &mut &[][..], &mut said).unwrap();
    said
}
