//! Accepting connections: last in a turn, a few at a time, and only while there is room.

use std::io;
use std::time::SystemTime;

use countersign_proto::{CHALLENGE, Refusal, SessionCore};

use crate::contract::close::CloseReason;
use crate::contract::listener_id::ListenerId;
use crate::contract::peer::{PeerAddress, PeerId};
use crate::contract::service::Service;
use crate::reactor::acceptor::AcceptFailure;
use crate::reactor::instant::Instant;
use crate::reactor::token::SLOTS_MAX;
use crate::server::admission::Admission;
use crate::server::admission_control;
use crate::server::connection::{Connection, NextStep, State};
use crate::server::engine::Engine;
use crate::server::listener::Listener;
use crate::server::net::Net;
use crate::server::timer::Timer;

/// The maximum number of connections that one turn accepts, so that open ones have their turns.
const ACCEPTS_PER_TURN: usize = 256;

/// What became of an accepted connection.
#[derive(Debug, Clone, Copy)]
struct Admitted {
    start: Start,
    /// The slot of the connection that was evicted for it, if one was.
    evicted: Option<usize>,
}

/// How an accepted connection begins.
#[derive(Debug, Clone, Copy)]
enum Start {
    /// Its source isn't known yet: a load balancer will report it.
    AwaitProxyHeader,
    Delay,
    Handshake,
}

impl<N: Net, S: Service> Engine<N, S> {
    pub(super) fn accept(&mut self, now: Instant, wall: SystemTime) -> io::Result<()> {
        for _ in 0..ACCEPTS_PER_TURN {
            let has_room = |listener| self.room_at(listener).is_some_and(|room| room <= now);
            let Some((socket, listener)) = self.acceptor.next(now, has_room) else { break };
            let counters = &mut self.listeners[usize::from(listener)].counters;
            match self.shared.net.accept(socket) {
                Ok((stream, address)) => {
                    self.acceptor.accepted(socket);
                    counters.accepted += 1;
                    match self.admit(listener, address, now, wall) {
                        Ok(Admitted { start, .. }) => {
                            self.register(stream, (listener, address), start, now, wall);
                        }
                        Err(why) => self.reject(listener, address, why, now),
                    }
                }
                Err(error) => match AcceptFailure::of(&error) {
                    AcceptFailure::Nobody => self.acceptor.drained(socket),
                    AcceptFailure::Retry => counters.accept_failures += 1,
                    AcceptFailure::Pause => {
                        counters.accept_pauses += 1;
                        if self.acceptor.pause(now) {
                            self.log.paused(now, &error);
                        }
                        break;
                    }
                    AcceptFailure::Gone => {
                        self.acceptor.drained(socket);
                        return Err(error);
                    }
                },
            }
        }
        Ok(())
    }

    /// When a listener has room for one more: at once, when its oldest unauthenticated connection
    /// may be evicted, or not before a connection closes.
    pub(super) fn room_at(&self, listener: ListenerId) -> Option<Instant> {
        if self.conns.len() >= SLOTS_MAX {
            None
        } else if self.listeners[usize::from(listener)].is_full() {
            self.oldest_unauthenticated(listener).map(|(_, since)| self.evictable(listener, since))
        } else {
            Some(Instant::default())
        }
    }

    /// The unauthenticated connection of a listener that has waited longest, and since when.
    pub(super) fn oldest_unauthenticated(&self, listener: ListenerId) -> Option<(usize, Instant)> {
        let oldest = [Timer::Delay, Timer::Handshake]
            .map(|timer| self.timers.oldest(listener.into(), timer));
        oldest.into_iter().flatten().min_by_key(|(_, since)| *since)
    }

    fn evictable(&self, listener: ListenerId, since: Instant) -> Instant {
        admission_control::evictable(&self.listeners[usize::from(listener)].limits, since)
    }

    /// Rejects a connection before it is registered.
    pub(super) fn reject(
        &mut self,
        listener: ListenerId,
        address: PeerAddress,
        why: CloseReason,
        now: Instant,
    ) {
        let listener = &mut self.listeners[usize::from(listener)];
        listener.counters.count(why);
        self.log.rejected(now, listener, address, why);
    }

    /// Decides on a new connection, and makes room for it if it is accepted. Behind a load
    /// balancer, its source is not known yet.
    fn admit(
        &mut self,
        number: ListenerId,
        address: PeerAddress,
        now: Instant,
        wall: SystemTime,
    ) -> Result<Admitted, CloseReason> {
        let Listener { proxies, .. } = &self.listeners[usize::from(number)];
        let mut admitted = if proxies.is_empty() {
            self.check_source(number, address, now, wall)?
        } else if proxies.contains(address) {
            Admitted { start: Start::AwaitProxyHeader, evicted: None }
        } else {
            return Err(Refusal::Denied.into());
        };
        // A connection that has replaced one of its own network evicts no second one, even if the
        // listener is still full because its limits were lowered.
        if admitted.evicted.is_none() {
            admitted.evicted = self.make_room(number, now, wall)?;
        }
        Ok(admitted)
    }

    /// Decides on a new connection by its source, and makes room for it among those of the same
    /// network.
    fn check_source(
        &mut self,
        number: ListenerId,
        address: PeerAddress,
        now: Instant,
        wall: SystemTime,
    ) -> Result<Admitted, CloseReason> {
        let Listener { access, throttle, limits, .. } = &self.listeners[usize::from(number)];
        let start = match admission_control::check_source(access, (throttle, limits), address, now)
        {
            Admission::Accept => Start::Handshake,
            Admission::Delay => Start::Delay,
            // First, so that no other connection is evicted for it.
            Admission::Reject(refusal) => return Err(refusal.into()),
        };
        let evicted = self.make_room_among(number, address, now, wall)?;
        Ok(Admitted { start, evicted })
    }

    /// Admits a registered connection whose source the load balancer has reported, as if it had
    /// connected directly.
    #[cold]
    #[inline(never)]
    pub(super) fn check_located_source(&mut self, slot: usize, now: Instant, wall: SystemTime) {
        let Some(conn) = self.conns.get(slot) else { return };
        let (number, Some(id)) = (conn.listener, conn.state.unauthenticated()) else { return };
        let unauthenticated = &self.listeners[usize::from(number)].unauthenticated;
        let address = unauthenticated.address_of(id);
        let decision = self.check_source(number, address, now, wall);
        let Listener { unauthenticated, counters, .. } = &mut self.listeners[usize::from(number)];
        unauthenticated.join(id);
        match decision.map(|admitted| admitted.start) {
            Err(why) => self.remove(slot, why, now),
            Ok(Start::Delay) if self.shared.drain.is_some() => {
                self.remove(slot, CloseReason::Stopped, now);
            }
            Ok(Start::Delay) => {
                counters.delayed += 1;
                self.visit(slot, now, wall, |conn, _, _| {
                    conn.delay();
                    Ok(NextStep::Wait)
                });
            }
            Ok(Start::AwaitProxyHeader | Start::Handshake) => {
                self.visit(slot, now, wall, Connection::begin);
            }
        }
    }

    /// Evicts the oldest unauthenticated connection of a network that has too many. Returns its
    /// slot.
    fn make_room_among(
        &mut self,
        number: ListenerId,
        address: PeerAddress,
        now: Instant,
        wall: SystemTime,
    ) -> Result<Option<usize>, CloseReason> {
        let Listener { unauthenticated, limits, .. } = &self.listeners[usize::from(number)];
        let since = |slot| self.timers.since(slot);
        let oldest = admission_control::room_among((unauthenticated, limits), address, now, since)?;
        Ok(oldest.inspect(|slot| self.evict(*slot, now, wall)))
    }

    /// Evicts the oldest unauthenticated connection of a listener that is full. Returns the slot
    /// that it had.
    fn make_room(
        &mut self,
        number: ListenerId,
        now: Instant,
        wall: SystemTime,
    ) -> Result<Option<usize>, CloseReason> {
        if !self.listeners[usize::from(number)].is_full() {
            return Ok(None);
        }
        let (slot, _) = self.oldest_unauthenticated(number).ok_or(Refusal::TooManyConnections)?;
        self.evict(slot, now, wall);
        Ok(Some(slot))
    }

    /// Evicts an unauthenticated connection: tells it that there is no room, and closes it at once.
    /// If it was already refused, that reason stays.
    fn evict(&mut self, slot: usize, now: Instant, wall: SystemTime) {
        self.refuse(slot, Refusal::TooManyConnections, now, wall);
        self.close_now(slot, CloseReason::Refused(Refusal::TooManyConnections), now);
    }

    /// Registers a new connection, and sends the challenge unless that is delayed. Until then, its
    /// socket has no events, so no event needs to be checked.
    fn register(
        &mut self,
        mut socket: N::Socket,
        (number, address): (ListenerId, PeerAddress),
        start: Start,
        now: Instant,
        wall: SystemTime,
    ) {
        let listener = &mut self.listeners[usize::from(number)];
        let token = self.conns.next_token();
        let fault = self.shared.accept_fault(number, token.slot());
        if fault.is_refused {
            return self.refuse_for_fault(number, address, now);
        }
        let mut nonce = [0; CHALLENGE];
        let random = match listener.config.dialect().authenticates() {
            true => self.shared.net.random(&mut nonce),
            false => Ok(()),
        };
        let watched = random.and_then(|()| match start {
            Start::Delay => Ok(()),
            Start::AwaitProxyHeader | Start::Handshake => {
                self.shared.net.watch(&mut socket, PeerId(token))
            }
        });
        if let Err(error) = watched {
            self.log.unavailable(now, address, &error);
            listener.counters.count(CloseReason::Unavailable);
            return;
        }
        let session = SessionCore::server(&listener.config, nonce);
        let (unauthenticated, slot) = (&mut listener.unauthenticated, token.slot());
        let state = match start {
            Start::AwaitProxyHeader => {
                State::AwaitingProxyHeader(unauthenticated.enter_proxied(address, slot))
            }
            Start::Delay => {
                State::Delayed { id: unauthenticated.enter(address, slot), is_watched: false }
            }
            Start::Handshake => State::Handshake(unauthenticated.enter(address, slot)),
        };
        listener.open += 1;
        let tenant = (number, token.generation());
        let conn = Connection::new(socket, tenant, session, state, now);
        let timer = conn.timer;
        let slot = self.conns.insert(conn);
        self.timers.start(slot, (number.into(), timer), now);
        match start {
            Start::AwaitProxyHeader => {}
            Start::Delay => listener.counters.delayed += 1,
            Start::Handshake => {}
        }
        if let Some(delay) = fault.delay.filter(|_| !matches!(start, Start::Delay)) {
            self.visit(slot, now, wall, |conn, _, cx| conn.hold_accepted(delay, cx));
        } else if let Start::Handshake = start {
            self.visit(slot, now, wall, Connection::pump);
        }
    }
}
