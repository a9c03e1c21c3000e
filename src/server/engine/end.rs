//! The ends of connections, and of the server.

use std::time::{Duration, SystemTime};

use countersign_proto::{Refusal, RefusalCode};

use crate::contract::close::CloseReason;
use crate::contract::listener_id::ListenerId;
use crate::contract::peer::{PeerAddress, PeerId};
use crate::contract::service::Service;
use crate::reactor::instant::Instant;
use crate::reactor::readiness::Readiness;
use crate::reactor::timers::Timers;
use crate::reactor::token::Token;
use crate::server::connection::{AuthStatus, Connection};
use crate::server::context;
use crate::server::engine::Engine;
use crate::server::event_log::{self, Ended};
use crate::server::flags::Flags;
use crate::server::listener::Listener;
use crate::server::net::Net;
use crate::server::timer::{SessionAge, Timer};

/// The maximum number of connections that one turn closes because their timers have expired.
const EXPIRIES_PER_TURN: usize = 256;

impl<N: Net, S: Service> Engine<N, S> {
    /// Stops gracefully: no more connections are accepted, what has arrived is answered, and every
    /// connection is closed, at the latest when [`drain_timeout`] has passed.
    ///
    /// [`drain_timeout`]: crate::Limits::drain_timeout
    pub fn drain(&mut self, now: Instant) {
        if self.shared.drain.is_some() {
            return;
        }
        event_log::stopping(self.conns.len());
        let longest = self.listeners.iter().map(|listener| listener.limits.drain_timeout).max();
        self.shared.drain = Some(now + longest.unwrap_or_default());
        self.acceptor.close();
        // Connections whose greeting is delayed have nothing to receive.
        for listener in 0..self.listeners.len() {
            while let Some((slot, _)) = self.timers.oldest(listener, Timer::Delay) {
                self.remove(slot, CloseReason::Stopped, now);
            }
        }
        self.remove_ungreeted(now);
        // What has arrived may not have been reported: a turn sees a limited number of events. It
        // may contain urgent data, before which the system stops a read.
        let arrived = Readiness { readable: true, urgent: true, ..Readiness::default() };
        for (slot, conn) in self.conns.iter_mut() {
            conn.notice(arrived);
            if !conn.flags.set(Flags::QUEUED, true) {
                self.ready.push(slot);
            }
        }
    }

    /// Stops at once: every connection is closed, and unsent output is lost.
    pub fn stop(&mut self, now: Instant) {
        self.drain(now);
        self.shared.drain = Some(now);
        self.expire_all(now);
    }

    /// Whether the engine was told to drain or to stop.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.shared.drain.is_some()
    }

    /// Whether the engine was told to stop and every connection is closed.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.shared.drain.is_some() && self.conns.is_empty()
    }

    /// Ends connections whose timers have expired, and greets those whose delay is over.
    pub(super) fn expire(&mut self, now: Instant, wall: SystemTime) {
        if self.shared.drain.is_some_and(|end| end <= now) {
            self.expire_all(now);
        }
        for _ in 0..EXPIRIES_PER_TURN {
            let Some((slot, timer)) = self.due(now) else { break };
            if self.restart_if_paused(slot, timer, now) {
                continue;
            }
            match timer {
                Timer::Idle => self.close_gracefully(slot, CloseReason::IdleTimeout, now, wall),
                Timer::Message => {
                    self.close_gracefully(
                        slot,
                        CloseReason::Refused(Refusal::MessageTimeout),
                        now,
                        wall,
                    );
                }
                Timer::Delay => self.visit(slot, now, wall, Connection::begin),
                Timer::Handshake => {
                    let awaits_proxy_header =
                        self.conns.get(slot).is_some_and(Connection::awaits_proxy_header);
                    let why = match awaits_proxy_header {
                        true => Refusal::ProxyHeader,
                        false => Refusal::HandshakeTimeout,
                    };
                    self.refuse(slot, why, now, wall);
                    // If there is no room for the message, the connection doesn't wait for it.
                    if self.due(now) == Some((slot, Timer::Handshake)) {
                        self.remove(slot, why.into(), now);
                    }
                }
                Timer::Write | Timer::Linger => {
                    self.close_now(slot, CloseReason::WriteTimeout, now);
                }
            }
        }
    }

    fn due(&self, now: Instant) -> Option<(usize, Timer)> {
        self.timers.expired(now, self.length())
    }

    /// How long a timer lasts for connections of a listener.
    pub(super) fn length(&self) -> impl Fn(usize, Timer) -> Option<Duration> {
        |listener, timer| timer.length(&self.listeners[listener].limits)
    }

    /// The maximum age of connections of a listener.
    pub(super) fn age_max(&self) -> impl Fn(usize, SessionAge) -> Option<Duration> {
        |listener, SessionAge| self.listeners[listener].limits.session_age_max
    }

    /// Closes the connections that have reached the maximum age.
    pub(super) fn expire_ages(&mut self, now: Instant, wall: SystemTime) {
        for _ in 0..EXPIRIES_PER_TURN {
            let due = self.ages.as_ref().and_then(|ages| ages.expired(now, self.age_max()));
            let Some((slot, _)) = due else { break };
            if let Some(conn) = self.conns.get(slot) {
                self.stop_age(slot, conn.listener);
            }
            self.close_gracefully(slot, CloseReason::SessionAge, now, wall);
        }
    }

    /// Starts or stops counting the age of a listener's authenticated connections.
    pub(super) fn change_ages(&mut self, listener: usize, counts: bool, now: Instant) {
        let room = self.conns.capacity();
        let ages = self.ages.get_or_insert_with(|| Timers::new(self.listeners.len(), room));
        for (slot, conn) in self.conns.iter() {
            if usize::from(conn.listener) == listener && conn.is_authenticated() {
                ages.stop(slot, (listener, SessionAge));
                if counts {
                    ages.start(slot, (listener, SessionAge), now);
                }
            }
        }
    }

    fn stop_age(&mut self, slot: usize, listener: ListenerId) {
        if let Some(ages) = &mut self.ages {
            ages.stop(slot, (listener.into(), SessionAge));
        }
    }

    fn expire_all(&mut self, now: Instant) {
        let slots: Vec<usize> = self.conns.iter().map(|(slot, _)| slot).collect();
        for slot in slots {
            self.close_now(slot, CloseReason::Stopped, now);
        }
    }

    /// Closes a connection once its output is sent, with the close message of its dialect.
    pub(super) fn close_gracefully(
        &mut self,
        slot: usize,
        why: CloseReason,
        now: Instant,
        wall: SystemTime,
    ) {
        self.visit(slot, now, wall, |conn, inbox, cx| {
            conn.close(why);
            conn.pump(inbox, cx)
        });
    }

    /// Ends a handshake from our side, with a refusal where the dialect has one.
    pub(super) fn refuse(&mut self, slot: usize, why: Refusal, now: Instant, wall: SystemTime) {
        let reason = why.code().unwrap_or(RefusalCode::Refused);
        self.visit(slot, now, wall, |conn, inbox, cx| {
            conn.refuse(reason, why.into(), cx);
            conn.pump(inbox, cx)
        });
    }

    /// Closes a connection at once. If it was ending already, the earlier reason stays.
    pub(super) fn close_now(&mut self, slot: usize, otherwise: CloseReason, now: Instant) {
        if let Some(why) = self.conns.get(slot).map(|conn| conn.reason(otherwise)) {
            self.remove(slot, why, now);
        }
    }

    /// Closes the connections of a listener that have been blocked longest, until its buffered
    /// bytes are within their limit. The connection in this slot has added the last of them.
    ///
    /// Connections that have buffered bytes for long make room for those that need some for a short
    /// time: if the newest were closed instead, a few slow peers could keep everybody else out. For
    /// an unauthenticated connection only other unauthenticated ones are closed, and only those
    /// that have buffered bytes.
    pub(super) fn relieve(
        &mut self,
        number: ListenerId,
        buffered_max: usize,
        slot: usize,
        now: Instant,
    ) {
        let is_unauthenticated = self.conns.get(slot).is_some_and(|conn| !conn.is_authenticated());
        while self.listeners[usize::from(number)].held > buffered_max {
            let backlog = [Timer::Message, Timer::Write]
                .map(|timer| self.timers.oldest(number.into(), timer));
            let longest = match is_unauthenticated {
                true => self.oldest_unauthenticated(number).filter(|(slot, _)| self.holds(*slot)),
                false => backlog.into_iter().flatten().min_by_key(|(_, since)| *since),
            };
            let victim = longest.map_or(slot, |(slot, _)| slot);
            self.remove(victim, CloseReason::Overloaded, now);
            if victim == slot {
                // What it has added is gone, and was what is too much.
                break;
            }
        }
    }

    fn holds(&self, slot: usize) -> bool {
        self.conns.get(slot).is_some_and(|conn| conn.bytes_buffered() > 0)
    }

    /// Counts a failed proof against the network that it came from.
    fn record_failure(&mut self, listener: ListenerId, from: PeerAddress, now: Instant) {
        let Listener { throttle, limits, name, .. } = &mut self.listeners[usize::from(listener)];
        if let Some(admission) = throttle.fail(from, now, limits) {
            self.log.throttled(now, name, from, admission);
        }
    }

    /// Closes a connection and removes everything that was kept for it.
    pub(super) fn remove(&mut self, slot: usize, why: CloseReason, now: Instant) {
        let Some(mut conn) = self.conns.try_remove(slot) else { return };
        conn.reset_if_unsent(&mut self.shared.net);
        self.timers.stop(slot, (conn.listener.into(), conn.timer));
        if conn.is_authenticated() {
            self.stop_age(slot, conn.listener);
        }
        self.acceptor.resume();
        self.forget_faults(conn.listener, slot);
        let listener = &mut self.listeners[usize::from(conn.listener)];
        listener.open -= 1;
        listener.held -= conn.bytes_buffered();
        listener.counters.count(why);
        let peer = PeerId(Token::new(slot, conn.generation));
        let ended = Ended { peer, listener: &listener.name, since: conn.since, why };
        match conn.state.leave() {
            AuthStatus::Unauthenticated(id) => {
                let address = listener.unauthenticated.leave(id);
                self.log.unauthenticated(now, &ended, address);
                if why.is_failed_proof() {
                    self.record_failure(conn.listener, address, now);
                }
            }
            AuthStatus::Authenticated(state) => {
                let key = conn.key();
                self.log.authenticated(now, &ended, key.and_then(|key| listener.keys.id(key)));
                key.into_iter().for_each(|key| listener.keys.closed(key));
                if let Some(state) = state {
                    context::closed(&mut self.shared.service, state, why);
                }
            }
        }
    }
}
