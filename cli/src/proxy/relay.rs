//! The loop that all pairs are on.

use std::collections::HashMap;
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use countersign::stats::Counters;
use countersign::{Key, KeyRing, Protocol};
use log::info;
use mio::event::Event;
use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token, Waker};
use slab::Slab;

use super::acceptor::Acceptor;
use super::admission::Callers;
use super::bounds::Bounds;
use super::event_log::{CloseCause, EventLog};
use super::lookup::{Answer, Lookup};
use super::pair::{Pair, Stage, Visit};
use super::pair_id::PairId;
use super::pump::{BUFFERS_MAX, INBOX};
use super::shared::{ByteCounts, Role, Shared};
use super::timers::Timers;
use crate::reload::Outcomes;
use crate::signals::POLL_INTERVAL;
use crate::version::VERSION;
use crate::{system, units};

/// The events that one turn takes from the system.
const EVENTS: usize = 1024;

/// These tokens are of the generation that is nobody's.
const SIGNALS: Token = Token(0);
const WAKER: Token = Token(1);
/// The first of the sockets that listen; the others follow, of which a name has but a few.
const LISTENERS: Token = Token(2);

/// All pairs on one loop.
#[derive(Debug)]
pub(super) struct Relay {
    poll: Poll,
    events: Events,
    pub(super) shared: Shared,
    pub(super) acceptor: Acceptor,
    pub(super) pairs: Slab<Pair>,
    /// Of the pair that came last.
    pub(super) generation: usize,
    /// The slots of those that have a turn now, and of those that have one after them.
    ready: Vec<usize>,
    again: Vec<usize>,
    timers: Timers,
    pub(super) log: EventLog,
    /// Who could not come in again, because a key has gone or run out, is closed.
    closes_revoked: bool,
    /// When the next key runs out.
    key_expiry: Option<Duration>,
    /// We were told to stop, and what is open then is cut.
    drain: Option<Instant>,
    /// Wakes the loop from another thread.
    waker: Arc<Waker>,
    /// What wakes the loop when a signal has come; it is only watched.
    _woken: mio::net::UnixStream,
}

/// Where a relay listens, and whom it dials.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) role: Role,
    pub(super) listeners: Vec<TcpListener>,
    pub(super) lookup: Lookup,
    pub(super) closes_revoked: bool,
}

impl Relay {
    /// A relay that lets people in from its first turn, and wakes when something arrives at
    /// `woken`.
    pub(super) fn new(
        route: Route,
        protocol: Protocol,
        bounds: Bounds,
        woken: UnixStream,
    ) -> io::Result<Self> {
        let Route { role, mut listeners, mut lookup, closes_revoked } = route;
        let poll = Poll::new()?;
        let registry = poll.registry().try_clone()?;
        for (number, listener) in listeners.iter_mut().enumerate() {
            registry.register(listener, Token(LISTENERS.0 + number), Interest::READABLE)?;
        }
        woken.set_nonblocking(true)?;
        let mut woken = mio::net::UnixStream::from_std(woken);
        registry.register(&mut woken, SIGNALS, Interest::READABLE)?;
        let waker = Arc::new(Waker::new(&registry, WAKER)?);
        lookup.wake(Arc::clone(&waker));
        let callers = Callers::new(role, &bounds, system::monotonic());
        let key_expiry = next_expiry(&protocol, system::unix_time());
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS),
            shared: Shared {
                role,
                protocol,
                lookup,
                failure_delay: bounds.limits().failure_delay,
                bounds,
                registry,
                now: system::monotonic(),
                inbox: vec![0; INBOX].into(),
                outbox: Vec::new(),
                words: Vec::new(),
                bytes: ByteCounts::default(),
                callers,
                counters: Counters::default(),
                by_key: HashMap::new(),
            },
            acceptor: Acceptor::new(listeners),
            pairs: Slab::new(),
            generation: 0,
            ready: Vec::new(),
            again: Vec::new(),
            timers: Timers::default(),
            log: EventLog::default(),
            closes_revoked,
            key_expiry,
            drain: None,
            waker,
            _woken: woken,
        })
    }

    /// One pass: waits until something happens or is due, here or for the caller, and serves
    /// everyone whom it concerns.
    pub(super) fn turn(&mut self, due: Option<Instant>) -> io::Result<()> {
        let now = system::monotonic();
        let due = self.due(now).into_iter().chain(due).min();
        let wait = due.map_or(POLL_INTERVAL, |due| due.saturating_duration_since(now));
        match self.poll.poll(&mut self.events, Some(wait.min(POLL_INTERVAL))) {
            // By a signal. What was ready will be reported again.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.events.clear(),
            polled => polled?,
        }
        self.shared.now = system::monotonic();
        self.set_time(system::unix_time());
        for event in &self.events {
            match event.token() {
                SIGNALS | WAKER => {}
                token if PairId::belongs_to_no_pair(token) => {
                    self.acceptor.ready(token.0 - LISTENERS.0);
                }
                _ => notice(&mut self.pairs, &mut self.ready, event),
            }
        }
        if let Some(answer) = self.shared.lookup.answer() {
            self.dial(answer);
        }
        // Those who have used up their budget stand behind those who have just become ready.
        self.ready.append(&mut self.again);
        for at in 0..self.ready.len() {
            let slot = self.ready[at];
            let waiting = self.pairs.get_mut(slot).map(|pair| &mut pair.queued);
            if waiting.is_some_and(std::mem::take) {
                self.visit(slot, Pair::turn);
            }
        }
        self.ready.clear();
        self.expire();
        self.admit();
        Ok(())
    }

    /// Lets nobody in any more, and has what is open go on until the deadline.
    pub(super) fn drain(&mut self) {
        self.acceptor.close();
        info!("stopping; {} connections are open", self.pairs.len());
        let now = system::monotonic();
        self.drain = now.checked_add(self.shared.bounds.drain_timeout);
        for slot in self.slots(Pair::is_visitor) {
            self.visit(slot, |pair, shared| pair.give_up(None, shared));
        }
    }

    /// Cuts what is open.
    pub(super) fn halt(&mut self) {
        self.acceptor.close();
        for slot in self.slots(|_| true) {
            self.visit(slot, |_, _| Visit::Over(CloseCause::Stopped));
        }
    }

    /// Takes other keys for newcomers. Connections whose peers could not authenticate again are
    /// closed if that is wanted.
    pub(super) fn replace_keys(&mut self, keys: KeyRing) {
        self.shared.protocol.replace_keys(keys);
        // The next look at the time sees when these run out.
        self.key_expiry = Some(Duration::ZERO);
        self.set_time(system::unix_time());
    }

    /// Tells the ring the time, by which keys run out.
    fn set_time(&mut self, now: Duration) {
        self.shared.protocol.set_time(now);
        if self.key_expiry.is_none_or(|end| now <= end) {
            return;
        }
        self.key_expiry = next_expiry(&self.shared.protocol, now);
        if !self.closes_revoked {
            return;
        }
        let protocol = &self.shared.protocol;
        let revoked = self.slots(|pair| pair.session.is_revoked(protocol));
        if !revoked.is_empty() {
            info!("{} connections are closed, whose keys have gone or run out", revoked.len());
        }
        for slot in revoked {
            self.visit(slot, |_, _| Visit::Over(CloseCause::Revoked));
        }
    }

    /// Whether it was told to stop.
    pub(super) fn is_draining(&self) -> bool {
        self.drain.is_some()
    }

    pub(super) fn role(&self) -> Role {
        self.shared.role
    }

    /// What wakes the loop from another thread.
    pub(super) fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    /// Says in the log how everything is.
    pub(super) fn log_status(&self, up: Duration, outcomes: &Outcomes) {
        let Shared { role, bounds, bytes, callers, counters, .. } = &self.shared;
        let ended = counters.closed_by_reason().filter(|(_, count)| *count > 0);
        let ended: Vec<_> = ended.map(|(cause, count)| format!("{cause}:{count}")).collect();
        let open = self.pairs.iter().filter(|(_, pair)| pair.stage == Stage::Carrying).count();
        info!(
            version = VERSION,
            pid = std::process::id(),
            uptime_s = up.as_secs(),
            role = role.name(),
            handshake = self.pairs.len() - open,
            open,
            most = bounds.max_connections,
            memory_max = self.memory_max(),
            throttled = callers.throttled(self.shared.now),
            accepted = counters.accepted,
            authenticated = counters.authenticated,
            received = bytes.out,
            sent = bytes.back,
            ended = ended.join(","),
            draining = self.drain.is_some(),
            reloads = outcomes.succeeded,
            reloads_failed = outcomes.failed,
            last_reload = outcomes.last.map(units::date_of),
            reload_error = outcomes.error.as_deref();
            "status"
        );
    }

    /// How many connections there are.
    pub(super) fn open(&self) -> usize {
        self.pairs.len()
    }

    /// What connections come to at most, in bytes: no peer can make the proxy use more.
    pub(super) fn memory_max(&self) -> usize {
        let pairs = (size_of::<Pair>() + BUFFERS_MAX) * self.shared.bounds.max_connections;
        pairs.saturating_add(self.shared.callers.memory_max())
    }

    fn slots(&self, wanted: impl Fn(&Pair) -> bool) -> Vec<usize> {
        self.pairs.iter().filter(|(_, pair)| wanted(pair)).map(|(slot, _)| slot).collect()
    }

    /// When the next turn is due, if no event comes before.
    fn due(&self, now: Instant) -> Option<Instant> {
        let work = (!self.again.is_empty()).then_some(now);
        [work, self.accept_due(now), self.timers.next(), self.drain].into_iter().flatten().min()
    }

    /// Gives a pair its turn, and sees to what came of it.
    pub(super) fn visit(&mut self, slot: usize, act: impl FnOnce(&mut Pair, &mut Shared) -> Visit) {
        let Some(pair) = self.pairs.get_mut(slot) else { return };
        let was_open = pair.info().is_open;
        let visit = act(pair, &mut self.shared);
        if !was_open && pair.info().is_open {
            self.shared.counters.authenticated += 1;
            // It hasn't failed, so nobody is worse off for it.
            let _ = self.shared.callers.leave(slot, None, self.shared.now);
        }
        match visit {
            Visit::Over(cause) => return self.remove(slot, &cause),
            Visit::Again if !std::mem::replace(&mut pair.queued, true) => self.again.push(slot),
            Visit::Again | Visit::Rest => {}
        }
        let due = pair.due(&self.shared);
        // A timer that expires too early is set again then.
        if pair.timer.is_none() || due.is_none() || due < pair.timer {
            self.timers.set(slot, pair.timer, due);
            pair.timer = due;
        }
    }

    fn remove(&mut self, slot: usize, cause: &CloseCause) {
        let pair = self.pairs.remove(slot);
        self.timers.set(slot, pair.timer, None);
        let (now, info) = (self.shared.now, pair.info());
        self.shared.counters.count(cause.close());
        self.log.ended(now, info, cause);
        let refusal = if let CloseCause::Refused(refusal) = cause { Some(*refusal) } else { None };
        if let Some(admission) = self.shared.callers.leave(slot, refusal, now) {
            self.log.throttled(now, info.address, admission);
        }
        pair.end(cause);
    }

    /// Visits the pairs whose timers have expired.
    fn expire(&mut self) {
        let now = self.shared.now;
        if self.drain.is_some_and(|end| end <= now) {
            self.halt();
        }
        while let Some(slot) = self.timers.expired(now) {
            let Some(pair) = self.pairs.get_mut(slot) else { return };
            self.timers.set(slot, pair.timer.take(), None);
            let late = pair.due(&self.shared).is_some_and(|due| due <= now);
            self.visit(slot, |pair, shared| if late { pair.time_up(shared) } else { Visit::Rest });
        }
    }

    /// Has everyone dial who waits for the addresses of the target.
    fn dial(&mut self, Answer { addresses, failure }: Answer) {
        if let Some(failure) = failure {
            self.log.lookup_failed(self.shared.now, &failure);
        }
        for slot in self.slots(Pair::is_looking) {
            let addresses = Arc::clone(&addresses);
            self.visit(slot, |pair, shared| {
                pair.dial_at(addresses, shared).map_or_else(Visit::Over, |()| Visit::Rest)
            });
        }
    }
}

/// When the next key of the ring runs out.
fn next_expiry(protocol: &Protocol, now: Duration) -> Option<Duration> {
    let keys = protocol.keys().into_iter().flat_map(KeyRing::keys);
    keys.filter_map(Key::not_after).filter(|end| *end >= now).min()
}

/// Tells a pair of an event. One for a pair that is gone is no harm.
fn notice(pairs: &mut Slab<Pair>, ready: &mut Vec<usize>, event: &Event) {
    let (id, leg) = PairId::of(event.token());
    let found = pairs.get_mut(id.slot).filter(|pair| pair.is(id));
    if let Some(pair) = found {
        pair.notice(leg, event);
        if !std::mem::replace(&mut pair.queued, true) {
            ready.push(id.slot);
        }
    }
}
