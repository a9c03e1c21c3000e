//! The loop of all pairs.

use std::collections::HashMap;
use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{self, Duration};

use countersign::reactor::acceptor::Acceptor;
use countersign::reactor::instant::{Clock, Instant};
use countersign::reactor::readiness::Readiness;
use countersign::reactor::timers::Timers;
use countersign::reactor::token::{Token, TokenSlab};
use countersign::stats::Counters;
use countersign::unix_time::since_epoch;
use countersign::{KeyRing, clock};
use log::info;
use mio::event::Event;
use mio::{Events, Interest, Poll, Waker};

use crate::event_log::{CloseCause, RelayLog};
use crate::limits::RelayLimits;
use crate::lookup::{Answer, RelayTarget};
use crate::pair::{Pair, PairState, PairTimer, Visit};
use crate::pump::{BUFFERS_MAX, INBOX};
use crate::shared::{self, RelayConfig, RelayRole, Shared};
use crate::sockets::{self, RelayListener};

/// The events that one turn takes from the system.
const EVENTS: usize = 1024;

/// The tokens of everything but pairs: their generation is 0.
const SIGNALS: mio::Token = mio::Token(0);
const WAKER: mio::Token = mio::Token(1);
/// The first listening socket; the others follow. A name has only a few addresses.
const LISTENERS: usize = 2;

/// All pairs on one loop.
#[derive(Debug)]
pub struct Relay {
    poll: Poll,
    events: Events,
    pub(crate) shared: Shared,
    addresses: Vec<String>,
    /// Empty when no more connections are accepted.
    pub(crate) listeners: Vec<RelayListener>,
    pub(crate) acceptor: Acceptor<()>,
    pub(crate) pairs: TokenSlab<Pair>,
    /// The slots of the pairs that have a turn now, and of those that have one after them.
    ready: Vec<usize>,
    again: Vec<usize>,
    timers: Timers<PairTimer>,
    pub(crate) log: RelayLog,
    /// Whether connections are closed whose peers could not authenticate again, because their key
    /// was removed or has expired.
    closes_revoked: bool,
    /// When the next key expires.
    key_expiry: Option<Duration>,
    /// When the proxy stops and closes all connections.
    drain: Option<Instant>,
    /// Wakes the loop from another thread.
    waker: Arc<Waker>,
    /// What wakes the loop when a signal has come; it is only watched.
    _woken: mio::net::UnixStream,
}

/// Where a relay listens, and what it dials.
#[derive(Debug)]
pub struct Route {
    /// Sockets that are bound and listening.
    pub listeners: Vec<TcpListener>,
    /// The target.
    pub target: RelayTarget,
    /// Whether connections are closed whose keys are no longer valid.
    pub closes_revoked: bool,
}

impl Relay {
    /// A relay that accepts from its first turn, and wakes when something arrives at `woken`. Its
    /// messages must have room for [`RECORD`](crate::RECORD) bytes.
    ///
    /// # Errors
    ///
    /// The system refuses something that a loop needs, or a socket isn't listening.
    pub fn new(
        route: Route,
        config: RelayConfig,
        limits: RelayLimits,
        woken: UnixStream,
    ) -> io::Result<Self> {
        let Route { listeners, target: mut lookup, closes_revoked } = route;
        let listeners = listeners.into_iter().map(sockets::listening);
        let mut listeners = listeners.collect::<io::Result<Vec<_>>>()?;
        let poll = Poll::new()?;
        let registry = poll.registry().try_clone()?;
        let mut addresses = Vec::new();
        for (number, listener) in (LISTENERS..).zip(&mut listeners) {
            addresses.push(listener.local_addr()?.to_string());
            registry.register(listener, mio::Token(number), Interest::READABLE)?;
        }
        woken.set_nonblocking(true)?;
        let mut woken = mio::net::UnixStream::from_std(woken);
        registry.register(&mut woken, SIGNALS, Interest::READABLE)?;
        let waker = Arc::new(Waker::new(&registry, WAKER)?);
        lookup.wake(Arc::clone(&waker));
        let wall = since_epoch(clock::wall());
        let key_expiry = config.keys().and_then(|ring| ring.next_expiry(wall));
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS),
            addresses,
            acceptor: Acceptor::new(listeners.iter().map(|_| ())),
            listeners: listeners.into_iter().map(RelayListener::new).collect(),
            pairs: TokenSlab::with_capacity(0),
            ready: Vec::new(),
            again: Vec::new(),
            timers: Timers::new(1, 0),
            log: RelayLog::default(),
            closes_revoked,
            key_expiry,
            drain: None,
            waker,
            _woken: woken,
            shared: Shared {
                role: config.role(),
                lookup,
                admission: shared::admission(config.role(), &limits),
                config,
                limits,
                registry,
                clock: Clock::new(clock::monotonic()),
                now: Instant::default(),
                wall,
                inbox: vec![0; INBOX].into(),
                outbox: Vec::new(),
                control_out: Vec::new(),
                counters: Counters::default(),
                by_key: HashMap::new(),
            },
        })
    }

    /// Runs one pass: waits until an event occurs or a timer is due, the relay's or the caller's,
    /// and handles it.
    ///
    /// # Errors
    ///
    /// The system can't poll.
    pub fn turn(&mut self, due: Option<time::Instant>) -> io::Result<()> {
        let start = clock::monotonic();
        let now = self.shared.clock.instant(start);
        let own = self.due(now).map(|due| due.saturating_duration_since(now));
        let others = due.map(|due| due.saturating_duration_since(start));
        match self.poll.poll(&mut self.events, own.into_iter().chain(others).min()) {
            // A signal has interrupted it. Events will be reported again.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.events.clear(),
            polled => polled?,
        }
        self.shared.now = self.shared.clock.instant(clock::monotonic());
        self.shared.wall = since_epoch(clock::wall());
        self.close_expired();
        for event in &self.events {
            let token = Token::from(event.token().0);
            match event.token() {
                SIGNALS | WAKER => {}
                mio::Token(number) if token.generation() == 0 => {
                    self.acceptor.ready(number - LISTENERS);
                }
                _ => notice(&mut self.pairs, &mut self.ready, event),
            }
        }
        if let Some(answer) = self.shared.lookup.answer() {
            self.dial(answer);
        }
        // Pairs that have used up their budget come after those that have just become ready.
        self.ready.append(&mut self.again);
        for at in 0..self.ready.len() {
            let slot = self.ready[at];
            let is_queued = self.pairs.get_mut(slot).map(|pair| &mut pair.is_queued);
            if is_queued.is_some_and(std::mem::take) {
                self.visit(slot, Pair::turn);
            }
        }
        self.ready.clear();
        self.expire();
        self.accept();
        Ok(())
    }

    /// Accepts no more connections, and lets open ones continue until the deadline.
    pub fn drain(&mut self) {
        self.close_listeners();
        info!("stopping; {} connections are open", self.pairs.len());
        let now = self.shared.clock.instant(clock::monotonic());
        self.drain = Some(now + self.shared.limits.admission.drain_timeout);
        for slot in self.slots(Pair::is_unauthenticated) {
            self.visit(slot, |pair, shared| pair.refuse(None, shared));
        }
    }

    /// Closes all connections.
    pub fn stop(&mut self) {
        self.close_listeners();
        for slot in self.slots(|_| true) {
            self.visit(slot, |_, _| Visit::Over(CloseCause::Stopped));
        }
    }

    /// From now on the system refuses connections, and a successor can take the port.
    fn close_listeners(&mut self) {
        self.acceptor.close();
        self.listeners.clear();
    }

    /// Replaces the keys for new connections. Open connections whose peers could not authenticate
    /// again are closed, if that was configured.
    pub fn replace_keys(&mut self, keys: KeyRing) {
        self.shared.config = self.shared.config.with_keys(keys);
        // The next turn finds out when these expire.
        self.key_expiry = Some(Duration::ZERO);
        self.shared.wall = since_epoch(clock::wall());
        self.close_expired();
    }

    /// Closes the connections whose keys have expired, if that was configured.
    fn close_expired(&mut self) {
        let now = self.shared.wall;
        if self.key_expiry.is_none_or(|end| now < end) {
            return;
        }
        self.key_expiry = self.shared.config.keys().and_then(|ring| ring.next_expiry(now));
        if !self.closes_revoked {
            return;
        }
        let config = &self.shared.config;
        let revoked = self.slots(|pair| pair.session.is_revoked(config, now));
        if !revoked.is_empty() {
            info!("closing {} connections whose keys are no longer valid", revoked.len());
        }
        for slot in revoked {
            self.visit(slot, |_, _| Visit::Over(CloseCause::Revoked));
        }
    }

    /// Whether it is stopping.
    pub(crate) fn is_draining(&self) -> bool {
        self.drain.is_some()
    }

    /// Which end of `countersign/1` it is.
    #[must_use]
    pub fn role(&self) -> RelayRole {
        self.shared.role
    }

    /// What wakes the loop from another thread.
    #[must_use]
    pub fn waker(&self) -> Arc<dyn Fn() + Send + Sync> {
        let waker = Arc::clone(&self.waker);
        Arc::new(move || drop(waker.wake()))
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// What it has counted since its start.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    /// How many connections there are.
    #[must_use]
    pub fn open(&self) -> usize {
        self.pairs.len()
    }

    /// The most memory that connections take, in bytes: no peer can make the proxy use more.
    #[must_use]
    pub fn memory_max(&self) -> usize {
        let pairs = (size_of::<Pair>() + BUFFERS_MAX) * self.shared.limits.admission.connections;
        let admission = match self.shared.role {
            RelayRole::Client => 0,
            RelayRole::Server => self.shared.admission.memory_max(),
        };
        pairs.saturating_add(admission)
    }

    fn slots(&self, wanted: impl Fn(&Pair) -> bool) -> Vec<usize> {
        self.pairs.iter().filter(|(_, pair)| wanted(pair)).map(|(slot, _)| slot).collect()
    }

    /// When the next turn is due, if no event comes before.
    fn due(&self, now: Instant) -> Option<Instant> {
        let work = (!self.again.is_empty()).then_some(now);
        let accept = self.acceptor.deadline(|()| self.room_at());
        let timers = self.timers.deadline(|_, timer| timer.length(&self.shared.limits));
        [work, accept, timers, self.drain].into_iter().flatten().min()
    }

    /// Gives a pair its turn, and handles the result.
    pub(crate) fn visit(&mut self, slot: usize, act: impl FnOnce(&mut Pair, &mut Shared) -> Visit) {
        let Some(pair) = self.pairs.get_mut(slot) else { return };
        let was_open = pair.info().is_open;
        let visit = act(pair, &mut self.shared);
        let now = self.shared.now;
        if !was_open && pair.info().is_open {
            self.shared.counters.authenticated += 1;
            // It has not failed, so its network is not throttled for it.
            let _ = self.shared.admission.leave(slot, None, now);
        }
        match visit {
            Visit::Over(cause) => return self.remove(slot, &cause),
            Visit::Again if !std::mem::replace(&mut pair.is_queued, true) => self.again.push(slot),
            Visit::Again | Visit::Rest => {}
        }
        let (timer, since) = (pair.running_timer(), pair.since);
        let before = pair.timer.replace((timer, since));
        match before {
            Some(before) if before == (timer, since) => {}
            Some((before, _)) if before == timer => self.timers.restart(slot, (0, timer), now),
            before => {
                before.map(|(timer, _)| self.timers.stop(slot, (0, timer)));
                self.timers.start(slot, (0, timer), now);
            }
        }
    }

    fn remove(&mut self, slot: usize, cause: &CloseCause) {
        let Some(pair) = self.pairs.try_remove(slot) else { return };
        pair.timer.map(|(timer, _)| self.timers.stop(slot, (0, timer)));
        let (now, info) = (self.shared.now, pair.info());
        self.shared.counters.count(cause.reason());
        self.log.ended(now, info, cause);
        let refusal = if let CloseCause::Refused(refusal) = cause { Some(*refusal) } else { None };
        if let Some(admission) = self.shared.admission.leave(slot, refusal, now) {
            self.log.throttled(now, info.address, admission);
        }
        pair.close(cause);
        self.acceptor.resume();
    }

    /// Visits the pairs whose timers have expired.
    fn expire(&mut self) {
        let now = self.shared.now;
        if self.drain.is_some_and(|end| end <= now) {
            self.stop();
        }
        while let Some((slot, timer)) =
            self.timers.expired(now, |_, timer| timer.length(&self.shared.limits))
        {
            self.timers.stop(slot, (0, timer));
            self.visit(slot, |pair, shared| {
                pair.timer = None;
                pair.expire(shared)
            });
        }
    }

    /// Makes all pairs dial that wait for the addresses of the target.
    fn dial(&mut self, Answer { addresses, failure }: Answer) {
        if let Some(failure) = failure {
            self.log.lookup_failed(self.shared.now, &failure);
        }
        for slot in self.slots(|pair| matches!(pair.state, PairState::LookingUp)) {
            let addresses = Arc::clone(&addresses);
            self.visit(slot, |pair, shared| {
                pair.dial(addresses, shared).map_or_else(Visit::Over, |()| Visit::Rest)
            });
        }
    }
}

/// Passes an event to its pair, unless the pair is gone.
fn notice(pairs: &mut TokenSlab<Pair>, ready: &mut Vec<usize>, event: &Event) {
    let (token, leg) = Pair::of_event(Token::from(event.token().0));
    let Some(pair) = pairs.find(token) else { return };
    let readiness = Readiness {
        readable: event.is_readable() || event.is_read_closed(),
        ended: event.is_read_closed(),
        writable: event.is_writable(),
        urgent: event.is_priority(),
        failed: event.is_error(),
    };
    pair.notice(leg, readiness);
    if !std::mem::replace(&mut pair.is_queued, true) {
        ready.push(token.slot());
    }
}
