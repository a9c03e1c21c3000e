//! The server: the engine over the system's sockets.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};

use crate::address::{Address, ToAddresses};
use crate::chance;
use crate::clock;
use crate::contract::counters::Counters;
use crate::contract::limits::{Limits, Memory};
use crate::contract::peer::{PeerId, SLOTS_MAX};
use crate::contract::service::Service;
use crate::proto::keys::KeyRing;
use crate::proto::protocol::Protocol;
use crate::server::engine::{Engine, TellError};
use crate::server::handle::{Handle, Order};
use crate::server::listen::{self, Bound};
use crate::server::mio_net::{Listener, MioNet};
use crate::server::moment::Moment;
use crate::server::net::Readiness;

/// The events that one turn takes from the system.
const EVENTS: usize = 1024;

/// The place among the listeners of what only wakes the loop. They stand under the generation that
/// is nobody's.
const WAKER: usize = SLOTS_MAX;

/// What the driver keeps beside the engine: the events and the random bytes, in bytes.
const DRIVER: usize = 32 << 10;

/// A server on one thread: listeners, connections and a service.
///
/// ```no_run
/// use countersign::{KeyRing, Reply, Server};
///
/// let keys = KeyRing::from_file("keys")?;
/// let shout = |message: &[u8], reply: &mut Reply<'_>| {
///     reply.message(&message.to_ascii_uppercase());
/// };
/// Server::bind("127.0.0.1:9527", keys, shout)?.run()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [`run`](Self::run) has the thread to itself. A host with a loop of its own watches
/// [`as_fd`](AsFd::as_fd) for input, calls [`turn`](Self::turn) with no time to wait when there is
/// some, and again when the [`deadline`](Self::deadline) has come.
pub struct Server<S: Service> {
    events: Events,
    engine: Engine<MioNet, S>,
    handle: Handle,
    /// How long a turn looks for events before it sleeps.
    busy_poll: Duration,
    /// From here moments are counted.
    epoch: Instant,
    addresses: Vec<Address>,
    /// The host's descriptors that wake the loop.
    watched: Vec<OwnedFd>,
}

/// Sets up a [`Server`] with other limits, or with several listeners.
///
/// ```
/// use countersign::services::Timestamp;
/// use countersign::{Limits, Protocol, Server};
///
/// let server = Server::builder(Protocol::open(), Timestamp::local())
///     .limits(Limits { connections: 100, ..Limits::default() })
///     .bind("127.0.0.1:0")?
///     .bind("127.0.0.1:0")?
///     .build()?;
/// assert_eq!(server.addresses().len(), 2);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Builder<S> {
    protocol: Protocol,
    service: S,
    limits: Limits,
    listeners: Vec<Bound>,
    /// Who may use the Unix sockets that are bound from now on.
    unix_mode: u32,
}

impl<S: Service> Builder<S> {
    /// With other limits than the default ones.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Listens at an address too; port 0 is any free one, and `unix:/path` a Unix socket.
    ///
    /// What a dead server has left at the path is replaced, but no file of another kind and no
    /// socket that somebody listens at. When the server stops, it removes its file.
    ///
    /// # Errors
    ///
    /// The address can't be bound.
    pub fn bind(mut self, address: impl ToAddresses) -> io::Result<Self> {
        self.listeners.push(listen::bind(address, self.unix_mode)?);
        Ok(self)
    }

    /// Who may connect to the Unix sockets that are bound after this, as the mode of their files:
    /// whoever may write. At first it is `0o600`, the owner alone.
    #[must_use]
    pub fn unix_mode(mut self, mode: u32) -> Self {
        self.unix_mode = mode;
        self
    }

    /// Listens with a socket that is bound and listens already: a
    /// [`TcpListener`](std::net::TcpListener) of std's or a
    /// [`UnixListener`](std::os::unix::net::UnixListener). Its options are set as those of
    /// [`bind`](Self::bind) are: not blocking, and over TCP `TCP_NODELAY` and keepalive. The file
    /// of a Unix socket is its maker's to remove.
    #[must_use]
    pub fn listener(mut self, listener: impl Into<OwnedFd>) -> Self {
        self.listeners.push(Bound::from(listener.into()));
        self
    }

    /// The server, which listens from now on and answers from its first turn.
    ///
    /// # Errors
    ///
    /// The keys serve nobody, or the system refuses what a loop needs.
    pub fn build(self) -> io::Result<Server<S>> {
        let Self { mut protocol, service, limits, listeners, .. } = self;
        protocol.prepare(clock::wall(), chance::bytes)?;
        protocol
            .check_server()
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), Token(WAKER))?;
        let mut addresses = Vec::new();
        let mut watched = Vec::new();
        for (number, bound) in listeners.into_iter().enumerate() {
            let address = listen::prepare(&bound.socket, &limits)?;
            watched.push(Listener::watched(bound, &address, &poll, Token(number))?);
            addresses.push(address);
        }
        let net = MioNet::new(poll, watched);
        Ok(Server {
            engine: Engine::new(net, addresses.len(), protocol, limits, service),
            events: Events::with_capacity(EVENTS),
            handle: Handle::new(waker),
            busy_poll: Duration::ZERO,
            epoch: clock::monotonic(),
            addresses,
            watched: Vec::new(),
        })
    }
}

impl<S: Service> Server<S> {
    /// Listens at an address, such as `127.0.0.1:9527` or `unix:/run/garden.sock`, with the
    /// default [`Limits`]. A [`KeyRing`] alone stands for the
    /// dialect `raw`.
    ///
    /// # Errors
    ///
    /// The address can't be bound, the keys serve nobody, or the system refuses what a loop needs.
    pub fn bind(
        address: impl ToAddresses,
        protocol: impl Into<Protocol>,
        service: S,
    ) -> io::Result<Self> {
        Self::builder(protocol, service).bind(address)?.build()
    }

    /// Listens with a socket that is bound and listens already, as [`Builder::listener`] does.
    ///
    /// # Errors
    ///
    /// As for [`bind`](Self::bind).
    pub fn from_std(
        listener: impl Into<OwnedFd>,
        protocol: impl Into<Protocol>,
        service: S,
    ) -> io::Result<Self> {
        Self::builder(protocol, service).listener(listener).build()
    }

    /// Sets up a server with other limits, or with several listeners.
    pub fn builder(protocol: impl Into<Protocol>, service: S) -> Builder<S> {
        Builder {
            protocol: protocol.into(),
            service,
            limits: Limits::default(),
            listeners: Vec::new(),
            unix_mode: listen::MODE,
        }
    }

    /// Serves until a [`Handle`] stops it.
    ///
    /// # Errors
    ///
    /// The poll or a listener is gone. Nothing that a peer does is an error.
    pub fn run(&mut self) -> io::Result<()> {
        while !self.is_finished() {
            self.turn(None)?;
        }
        Ok(())
    }

    /// One pass: waits for events, at most as long as this and never past the
    /// [`deadline`](Self::deadline), and serves everyone who is ready. Returns the number of
    /// connections that had a turn.
    ///
    /// # Errors
    ///
    /// As for [`run`](Self::run).
    pub fn turn(&mut self, timeout: Option<Duration>) -> io::Result<usize> {
        let now = self.now();
        let due = self.engine.deadline().map(|due| due.elapsed().saturating_sub(now.elapsed()));
        let wait = [timeout, due].into_iter().flatten().min();
        let spun = wait.map_or(self.busy_poll, |wait| wait.min(self.busy_poll));
        if spun.is_zero() || !self.spin(spun)? {
            self.poll(wait)?;
        }
        for event in &self.events {
            report(&mut self.engine, event);
        }
        let now = self.now();
        match self.handle.given() {
            Order::Run => {}
            Order::Drain => self.drain(now),
            Order::Halt => {
                self.drain(now);
                self.engine.halt(now);
            }
        }
        self.engine.turn(now, clock::wall())
    }

    fn poll(&mut self, wait: Option<Duration>) -> io::Result<()> {
        match self.engine.net_mut().poll.poll(&mut self.events, wait) {
            // A signal of the host's. What was ready will be reported again.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                self.events.clear();
                Ok(())
            }
            polled => polled,
        }
    }

    /// Looks for events for so long, without sleeping. Says whether there are any.
    fn spin(&mut self, most: Duration) -> io::Result<bool> {
        let end = clock::monotonic() + most;
        loop {
            self.poll(Some(Duration::ZERO))?;
            if !self.events.is_empty() || clock::monotonic() >= end {
                return Ok(!self.events.is_empty());
            }
        }
    }

    /// When the next turn is due, if no event comes before; `None` if only an event is waited for.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.engine.deadline().map(|due| self.epoch + due.elapsed())
    }

    /// Whether the server was told to stop and every connection is closed.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.engine.is_finished()
    }

    /// Stops and wakes this server from another thread.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Has [`turn`](Self::turn) return also when something arrives at a descriptor of the host's: a
    /// pipe that a signal writes to, a timer. The server watches it and leaves what arrives alone.
    ///
    /// # Errors
    ///
    /// The system won't watch it.
    pub fn wake_on(&mut self, descriptor: impl Into<OwnedFd>) -> io::Result<()> {
        let descriptor = descriptor.into();
        let raw = descriptor.as_raw_fd();
        let registry = self.engine.net().poll.registry();
        registry.register(&mut SourceFd(&raw), Token(WAKER), Interest::READABLE)?;
        self.watched.push(descriptor);
        Ok(())
    }

    /// Has each turn look for events for so long before it sleeps; zero, as it is at first, has it
    /// sleep at once.
    ///
    /// What comes meanwhile is answered without the time that waking takes. The price is a core
    /// that is busy all the time.
    pub fn set_busy_poll(&mut self, most: Duration) {
        self.busy_poll = most;
    }

    /// Sends a message to a peer of our own accord, between turns.
    ///
    /// # Errors
    ///
    /// The connection is closed or closing, or the peer doesn't take what was written before. In
    /// either case nothing of the message was sent.
    pub fn tell(&mut self, peer: PeerId, message: &[u8]) -> Result<(), TellError> {
        let now = self.now();
        self.engine.tell(peer, message, now, clock::wall())
    }

    /// Serves newcomers with other keys. Those who are in stay.
    pub fn replace_keys(&mut self, keys: KeyRing) {
        self.engine.replace_keys(keys);
    }

    /// Closes the connections whose keys are not on the ring any more, as
    /// [`replace_keys`](Self::replace_keys) by itself does not. Returns how many.
    pub fn close_revoked(&mut self) -> usize {
        let now = self.now();
        self.engine.close_revoked(now, clock::wall())
    }

    /// Where the server listens, in the order of the calls that bound it.
    #[must_use]
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// What the server has done since it began.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        self.engine.counters()
    }

    /// The limits in force.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        self.engine.limits()
    }

    /// What the listeners speak.
    #[must_use]
    pub fn protocol(&self) -> &Protocol {
        self.engine.protocol()
    }

    /// The service.
    pub fn service(&mut self) -> &mut S {
        self.engine.service()
    }

    /// What the limits come to, in bytes: no peer can make the server use more. What a service
    /// keeps beside its states isn't in it, nor what the system keeps for sockets.
    #[must_use]
    pub fn memory_max(&self) -> Memory {
        let memory = self.engine.memory_max();
        Memory { fixed: memory.fixed + DRIVER, total: memory.total + DRIVER, ..memory }
    }

    fn drain(&mut self, now: Moment) {
        // Closed, so that the system turns newcomers away and a successor can take the address.
        self.engine.net_mut().listeners.clear();
        self.engine.drain(now);
    }

    fn now(&self) -> Moment {
        Moment::after(clock::monotonic().saturating_duration_since(self.epoch))
    }
}

/// Tells the engine of an event.
fn report<S: Service>(engine: &mut Engine<MioNet, S>, event: &Event) {
    let peer = PeerId(event.token().0);
    match (peer.generation(), peer.slot()) {
        (0, WAKER) => {}
        (0, listener) => engine.call(listener),
        _ => engine.event(
            peer,
            Readiness {
                readable: event.is_readable() || event.is_read_closed(),
                ended: event.is_read_closed(),
                writable: event.is_writable(),
                failed: event.is_error(),
            },
        ),
    }
}

impl<S: Service> AsFd for Server<S> {
    /// The poll's descriptor: it is readable when a turn has something to do.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.engine.net().poll.registry().as_fd()
    }
}

impl<S: Service> fmt::Debug for Server<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("engine", &self.engine).finish_non_exhaustive()
    }
}
