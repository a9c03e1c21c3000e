//! Faults that are injected: pauses, and connections that are refused. And the calls of a service
//! at times of its own.

use std::time::{Duration, SystemTime};

use crate::contract::close::CloseReason;
use crate::contract::listener_id::ListenerId;
use crate::contract::peer::PeerAddress;
use crate::contract::service::Service;
use crate::faults::connection::AcceptFault;
use crate::faults::injector::Injector;
use crate::faults::kind::FaultKind;
use crate::reactor::instant::Instant;
use crate::reactor::pauses::Pauses;
use crate::server::connection::Connection;
use crate::server::context::EngineShared;
use crate::server::engine::Engine;
use crate::server::flags::Flags;
use crate::server::net::Net;
use crate::server::timer::Timer;

/// The pauses of closed connections that are kept besides those of open ones, before they are
/// looked for.
const ENDED_MAX: usize = 64;

/// How much the calls of a service may be behind its times.
const LATE_MAX: Duration = Duration::from_millis(10);

impl<N: Net, S: Service> Engine<N, S> {
    /// When the first pause of a connection ends that is held for a fault. Such a pause can be
    /// shorter than the millisecond to which most systems can sleep.
    #[must_use]
    pub fn pause_end(&self) -> Option<Instant> {
        self.shared.pauses.deadline()
    }

    /// What faults add to the memory of a connection, at most.
    pub(super) fn faults_entry(&self) -> usize {
        // Of as many connections as there are, and of as many closed ones, pauses are kept.
        let injector = self.shared.service.injector();
        let faults = injector.map_or(0, |_| Injector::ENTRY + 2 * Pauses::ENTRY);
        faults + if self.shared.wakes.count() > 0 { 2 * Pauses::ENTRY } else { 0 }
    }

    /// Gives a turn to connections whose pauses have ended.
    #[inline]
    pub(super) fn end_pauses(&mut self, now: Instant) {
        if self.shared.pauses.deadline().is_some_and(|end| end <= now) {
            self.end_due_pauses(now);
        }
    }

    #[cold]
    #[inline(never)]
    fn end_due_pauses(&mut self, now: Instant) {
        while let Some((token, _)) = self.shared.pauses.ended(now) {
            let Some(conn) = self.conns.find(token) else { continue };
            conn.flags.set(Flags::PAUSED, false);
            // The peer could do nothing meanwhile.
            self.timers.restart(token.slot(), (conn.listener.into(), conn.timer), now);
            if !conn.flags.set(Flags::QUEUED, true) {
                self.ready.push(token.slot());
            }
        }
    }

    /// Removes the connections of a server that drains which a fault keeps from being greeted.
    pub(super) fn remove_ungreeted(&mut self, now: Instant) {
        let is_ungreeted =
            |conn: &Connection<N, S>| conn.flags.has(Flags::PAUSED) && !conn.is_authenticated();
        let ungreeted = self.conns.iter().filter(|(_, conn)| is_ungreeted(conn));
        let slots: Vec<usize> = ungreeted.map(|(slot, _)| slot).collect();
        slots.into_iter().for_each(|slot| self.remove(slot, CloseReason::Stopped, now));
    }

    /// Restarts the timer of a connection, if it waits for the end of a pause and not for its peer.
    /// Returns whether it does.
    #[inline]
    pub(super) fn restart_if_paused(&mut self, slot: usize, timer: Timer, now: Instant) -> bool {
        let conn = self.conns.get(slot).filter(|conn| conn.flags.has(Flags::PAUSED));
        let group = conn.map(|conn| usize::from(conn.listener));
        group.inspect(|group| self.timers.restart(slot, (*group, timer), now)).is_some()
    }

    /// Calls the service for connections whose times for that have come.
    #[inline]
    pub(super) fn wake_due(&mut self, now: Instant, wall: SystemTime) {
        if self.shared.wakes.deadline().is_some_and(|end| end <= now) {
            self.wake_connections(now, wall);
        }
    }

    #[cold]
    #[inline(never)]
    fn wake_connections(&mut self, now: Instant, wall: SystemTime) {
        while let Some((token, due)) = self.shared.wakes.ended(now) {
            let conn = self.conns.find(token).filter(|conn| conn.is_open());
            if conn.is_some() && self.shared.drain.is_none() {
                // What a late loop has missed is made up for, but not without bounds.
                let due = due.max(now.before(LATE_MAX));
                self.visit(token.slot(), now, wall, |conn, inbox, cx| conn.wake(due, inbox, cx));
            }
        }
    }

    /// Forgets the faults of a connection that is removed.
    #[inline]
    pub(super) fn forget_faults(&mut self, listener: ListenerId, slot: usize) {
        if let Some(injector) = self.shared.service.injector_mut() {
            injector.remove(listener, slot);
        }
        if self.shared.pauses.count() + self.shared.wakes.count() > 0 {
            self.forget_ended_pauses();
        }
    }

    /// Forgets the pauses of connections that are gone, once they are many.
    #[cold]
    #[inline(never)]
    fn forget_ended_pauses(&mut self) {
        let Self { shared, conns, .. } = self;
        for pauses in [&mut shared.pauses, &mut shared.wakes] {
            if pauses.count() > 2 * conns.len() + ENDED_MAX {
                pauses.retain(|token| conns.find(token).is_some());
            }
        }
    }

    /// Closes a connection before it is registered.
    #[cold]
    #[inline(never)]
    pub(super) fn refuse_for_fault(
        &mut self,
        listener: ListenerId,
        address: PeerAddress,
        now: Instant,
    ) {
        self.listeners[usize::from(listener)].counters.count_fault(FaultKind::Refuse);
        self.reject(listener, address, CloseReason::InjectedFault, now);
    }
}

impl<N, S: Service> EngineShared<N, S> {
    /// Draws the faults of a connection that was accepted.
    #[inline]
    pub(super) fn accept_fault(&mut self, listener: ListenerId, slot: usize) -> AcceptFault {
        let injector = self.service.injector_mut();
        injector.map_or_else(AcceptFault::default, |injector| injector.accept(listener, slot))
    }
}
