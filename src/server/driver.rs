//! The server: the engine over the system's sockets.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::{self, Duration};

use countersign_proto::KeyRing;
use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};

use crate::address::Address;
use crate::clock;
use crate::contract::access::Access;
use crate::contract::limits::{Limits, Memory};
use crate::contract::listener_id::{ListenerId, UnknownListenerError};
use crate::contract::peer::PeerId;
use crate::contract::service::Service;
use crate::random::POOL;
use crate::reactor::instant::Instant;
use crate::reactor::readiness::Readiness;
use crate::reactor::token::{self, SLOTS_MAX};
use crate::server::bind_error::BindError;
use crate::server::engine::{Engine, TellError};
use crate::server::handle::{Command, Handle};
use crate::server::listener::Listener;
use crate::server::listener::socket::BoundSocket;
use crate::server::mio_net::{ListeningSocket, MioNet};
use crate::stats::Stats;
use crate::stats::counters::Counters;
use crate::stats::loop_times::LoopTimes;

/// The most events that one turn takes from the system.
const EVENTS_MAX: usize = 1024;

/// The slot for events that only wake the loop. Like listening sockets, it has the generation that
/// no connection has.
const WAKER: usize = SLOTS_MAX;

/// A server on one thread: listeners, connections and a service.
///
/// ```no_run
/// use countersign::{KeyRing, KeyRingExt as _, Reply, Server};
///
/// let keys = KeyRing::from_file("keys")?;
/// let shout = |message: &[u8], reply: &mut Reply<'_>| {
///     reply.message(&message.to_ascii_uppercase());
/// };
/// Server::bind("127.0.0.1:9527", keys, shout)?.run()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [`run`](Self::run) has the thread to itself. A host with a loop of its own watches the server's
/// descriptor ([`AsFd`], [`AsRawFd`]) for input and calls [`turn`](Self::turn) with no time to
/// wait when there is input, and when the [`deadline`](Self::deadline) has come. It asks for the
/// deadline before every wait: the [manual](crate::manual::embedding) has the loop.
pub struct Server<S: Service> {
    events: Events,
    engine: Engine<MioNet, S>,
    handle: Handle,
    /// How long a turn polls before it sleeps.
    busy_poll: Duration,
    /// How long turns took, if they are timed.
    loop_times: Option<LoopTimes>,
    /// The beginning of the engine's clock.
    epoch: time::Instant,
    /// The host's descriptors that wake the loop.
    watched: Vec<OwnedFd>,
    /// One of these descriptors, or a [`Handle`], has woken the loop.
    is_woken: bool,
    /// The last poll filled `events` or was interrupted: the system may have more events, of which
    /// an edge-triggered host is not notified again.
    has_more_events: bool,
}

impl<S: Service> Server<S> {
    /// A server with these listeners, and their sockets.
    pub(super) fn over(
        all: Vec<(Listener, Vec<BoundSocket>)>,
        service: S,
    ) -> Result<Self, BindError> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), Token(WAKER))?;
        let (mut listeners, mut sockets) = (Vec::new(), Vec::new());
        for (listener, bound) in all {
            for (bound, address) in bound.into_iter().zip(listener.addresses()) {
                let token = Token(sockets.len());
                sockets.push(ListeningSocket::watched(bound, address, &poll, token)?);
            }
            listeners.push(listener);
        }
        let room = listeners.iter().map(|each| each.limits().connections + each.sockets);
        let room = room.fold(1, usize::saturating_add);
        Ok(Self {
            engine: Engine::new(MioNet::new(poll, sockets), listeners, service)?,
            events: Events::with_capacity(room.clamp(1, EVENTS_MAX)),
            handle: Handle::new(waker),
            busy_poll: Duration::ZERO,
            loop_times: None,
            epoch: clock::monotonic(),
            watched: Vec::new(),
            is_woken: false,
            has_more_events: false,
        })
    }

    /// Serves until a [`Handle`] stops it.
    ///
    /// # Errors
    ///
    /// The poll or a listening socket fails. Nothing that a peer does is an error.
    pub fn run(&mut self) -> io::Result<()> {
        while !self.is_finished() {
            self.turn(None)?;
        }
        Ok(())
    }

    /// Runs one pass: waits for events, at most for this time and never past the
    /// [`deadline`](Self::deadline), and serves each ready connection. Returns the number of
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
        let (wait, spun) = match self.engine.pause_end() {
            Some(end) => until_pause((wait, spun), end.saturating_duration_since(now)),
            None => (wait, spun),
        };
        if spun.is_zero() || !self.spin(spun)? {
            self.poll(wait)?;
        }
        let mut taken = 0;
        for event in &self.events {
            self.is_woken |= report(&mut self.engine, event);
            taken += 1;
        }
        self.has_more_events |= taken >= self.events.capacity();
        let begun = clock::monotonic();
        let now = self.instant(begun);
        match self.handle.command() {
            Command::Run => {}
            Command::Drain => self.drain(now),
            Command::Stop => {
                self.drain(now);
                self.engine.stop(now);
            }
        }
        let visits = self.engine.turn(now, clock::wall())?;
        if let Some(times) = &mut self.loop_times {
            times.record(clock::monotonic().saturating_duration_since(begun));
        }
        Ok(visits)
    }

    fn poll(&mut self, wait: Option<Duration>) -> io::Result<()> {
        let polled = self.engine.net_mut().poll.poll(&mut self.events, wait);
        // A signal interrupted the poll. What was ready will be reported again.
        self.has_more_events =
            polled.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::Interrupted);
        if self.has_more_events {
            self.events.clear();
            return Ok(());
        }
        polled
    }

    /// Polls for this long without sleeping. Returns whether there are events.
    fn spin(&mut self, most: Duration) -> io::Result<bool> {
        let end = clock::after(most);
        loop {
            self.poll(Some(Duration::ZERO))?;
            if !self.events.is_empty() || clock::monotonic() >= end {
                return Ok(!self.events.is_empty());
            }
        }
    }

    /// When the next turn is due, if no event comes before; `None` if only an event is waited for.
    ///
    /// A turn serves a limited number of connections. If more of them are ready, the next turn is
    /// due at once, and this is an instant in the past: the system doesn't report them again.
    #[must_use]
    pub fn deadline(&self) -> Option<time::Instant> {
        if self.has_more_events {
            return Some(self.epoch);
        }
        let due = self.engine.deadline()?;
        self.epoch.checked_add(due.elapsed())
    }

    /// Whether the server was told to stop.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.engine.is_draining()
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

    /// Makes [`turn`](Self::turn) also return when a descriptor of yours becomes readable: a pipe
    /// that a signal handler writes to, a timer, another server. The server watches it and reads
    /// nothing from it; [`take_woken`](Self::take_woken) returns whether it was readable.
    ///
    /// # Errors
    ///
    /// The system can't watch the descriptor.
    pub fn wake_on(&mut self, descriptor: impl Into<OwnedFd>) -> io::Result<()> {
        let descriptor = descriptor.into();
        let raw = descriptor.as_raw_fd();
        let registry = self.engine.net().poll.registry();
        registry.register(&mut SourceFd(&raw), Token(WAKER), Interest::READABLE)?;
        self.watched.push(descriptor);
        Ok(())
    }

    /// Whether a descriptor of [`wake_on`](Self::wake_on) or a [`Handle`] has woken the loop since
    /// this was last called. It clears the flag, so a second call returns `false`.
    #[must_use]
    pub fn take_woken(&mut self) -> bool {
        std::mem::take(&mut self.is_woken)
    }

    /// Measures each turn from now on, for [`Stats::loop_times`]. This reads the clock once more in
    /// each turn.
    pub fn time_loop(&mut self) {
        self.loop_times.get_or_insert_default();
    }

    /// Sets how long each turn polls for events before it sleeps. The default is zero: it sleeps at
    /// once.
    ///
    /// Messages that arrive meanwhile are answered without the delay of waking up. The price is a
    /// core that is always busy.
    pub fn set_busy_poll(&mut self, most: Duration) {
        self.busy_poll = most;
    }

    /// Sends a message to a peer between turns, without a message of the peer to answer.
    ///
    /// # Errors
    ///
    /// The connection is closed or closing, the peer is slow, or the message is too long for it:
    /// the [`TellError`] says which. In each case nothing of the message was sent.
    pub fn tell(&mut self, peer: PeerId, message: &[u8]) -> Result<(), TellError> {
        let now = self.now();
        self.engine.tell(peer, message, now, clock::wall())
    }

    /// Closes a connection at once: unsent output is lost. The service gets
    /// [`ClosedByService`](crate::CloseReason::ClosedByService) as the reason. Returns whether
    /// there was such a connection.
    pub fn dismiss(&mut self, peer: PeerId) -> bool {
        let now = self.now();
        self.engine.dismiss(peer, now)
    }

    /// Replaces the keys of a listener, for new connections. Open connections stay: see
    /// [`close_revoked`](Self::close_revoked). With a ring that has no usable key, no client can
    /// authenticate.
    ///
    /// # Errors
    ///
    /// The server has no such listener; nothing is replaced.
    pub fn replace_keys(
        &mut self,
        listener: ListenerId,
        keys: KeyRing,
    ) -> Result<(), UnknownListenerError> {
        self.engine.replace_keys(listener, keys)
    }

    /// Replaces the limits of a listener. Open connections stay, even if there are more than the
    /// new limits allow; until they close, they can use more memory than
    /// [`memory_max`](Self::memory_max). If their age had no limit, it counts from now. You may
    /// have to raise the process's limit on descriptors.
    ///
    /// # Errors
    ///
    /// The server has no such listener; nothing is replaced.
    pub fn replace_limits(
        &mut self,
        listener: ListenerId,
        limits: Limits,
    ) -> Result<(), UnknownListenerError> {
        let now = self.now();
        self.engine.replace_limits(listener, limits, now)
    }

    /// Replaces the access lists of a listener, for new connections. Open connections stay.
    ///
    /// # Errors
    ///
    /// The server has no such listener; nothing is replaced.
    pub fn replace_access(
        &mut self,
        listener: ListenerId,
        access: Access,
    ) -> Result<(), UnknownListenerError> {
        self.engine.replace_access(listener, access)
    }

    /// Closes the connections whose peers could no longer authenticate as they did, because their
    /// keys were removed from the ring, have other secrets, have expired, or are no longer for the
    /// same dialect and audience. [`replace_keys`](Self::replace_keys) alone closes none. Returns
    /// how many were closed.
    pub fn close_revoked(&mut self) -> usize {
        let now = self.now();
        self.engine.close_revoked(now, clock::wall())
    }

    /// Sets whether connections are closed when their keys expire; the default is yes. Connections
    /// whose keys expired before it is turned on stay until [`close_revoked`](Self::close_revoked).
    pub fn set_close_expired(&mut self, closes: bool) {
        self.engine.set_close_expired(closes);
    }

    /// Where the server listens, in the order of the calls that bound it.
    #[must_use]
    pub fn addresses(&self) -> Vec<Address> {
        self.listeners().iter().flat_map(Listener::addresses).cloned().collect()
    }

    /// The listeners, as they are now.
    #[must_use]
    pub fn listeners(&self) -> &[Listener] {
        self.engine.listeners()
    }

    /// What the server has done since it began and what it does now. It looks at every connection.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let loop_times = self.loop_times.clone().unwrap_or_default();
        let memory_max = self.memory_max();
        Stats { loop_times, memory_max, ..self.engine.stats(self.now()) }
    }

    /// What all listeners have done since they began.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.engine.counters()
    }

    /// The service.
    #[must_use]
    pub fn service(&self) -> &S {
        self.engine.service()
    }

    /// The service, to change it.
    pub fn service_mut(&mut self) -> &mut S {
        self.engine.service_mut()
    }

    /// The most memory that the limits allow, in bytes: no peer can make the server use more. It
    /// doesn't include what a service keeps besides its states, nor what the system keeps for
    /// sockets.
    #[must_use]
    pub fn memory_max(&self) -> Memory {
        let memory = self.engine.memory_max();
        let driver = self.events.capacity() * size_of::<Event>() + POOL;
        Memory {
            fixed: memory.fixed.saturating_add(driver),
            total: memory.total.saturating_add(driver),
            ..memory
        }
    }

    fn drain(&mut self, now: Instant) {
        // Closed, so that the system refuses new connections and a successor can bind the address.
        self.engine.net_mut().sockets.clear();
        self.engine.drain(now);
    }

    fn now(&self) -> Instant {
        self.instant(clock::monotonic())
    }

    fn instant(&self, at: time::Instant) -> Instant {
        Instant::after(at.saturating_duration_since(self.epoch))
    }
}

/// How long to sleep, and how long to poll without sleeping, while a pause of an injected fault
/// ends after this time: systems sleep for whole milliseconds, and it may be shorter.
#[cold]
fn until_pause(
    (wait, spun): (Option<Duration>, Duration),
    pause: Duration,
) -> (Option<Duration>, Duration) {
    let wait = wait.map_or(pause, |wait| wait.min(pause));
    match Duration::from_millis(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)) {
        Duration::ZERO => (Some(Duration::ZERO), spun.max(wait)),
        whole => (Some(whole), spun),
    }
}

/// Passes an event to the engine. Returns whether it only wakes the loop.
fn report<S: Service>(engine: &mut Engine<MioNet, S>, event: &Event) -> bool {
    let token = token::Token::from(event.token().0);
    match (token.generation(), token.slot()) {
        (0, WAKER) => return true,
        (0, socket) => engine.listener_ready(socket),
        _ => engine.event(
            PeerId(token),
            Readiness {
                readable: event.is_readable() || event.is_read_closed(),
                ended: event.is_read_closed(),
                writable: event.is_writable(),
                urgent: event.is_priority(),
                failed: event.is_error(),
            },
        ),
    }
    false
}

impl<S: Service> AsFd for Server<S> {
    /// The poll's descriptor: it becomes readable when a turn has something to do.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.engine.net().poll.registry().as_fd()
    }
}

impl<S: Service> AsRawFd for Server<S> {
    /// The same as [`as_fd`](AsFd::as_fd), for runtimes that own what they watch.
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl<S: Service> fmt::Debug for Server<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("engine", &self.engine).finish_non_exhaustive()
    }
}
