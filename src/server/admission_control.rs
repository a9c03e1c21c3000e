//! The admission of unauthenticated connections: the rules of one listener, for the engine and for
//! programs with a loop of their own.

use std::collections::HashMap;

use countersign_proto::Refusal;

use crate::contract::access::Access;
use crate::contract::close::CloseReason;
use crate::contract::limits::Limits;
use crate::contract::peer::PeerAddress;
use crate::reactor::instant::Instant;
use crate::reactor::timers::Timers;
use crate::server::admission::Admission;
use crate::server::throttle::Throttle;
use crate::server::timer::Timer;
use crate::server::unauthenticated::{Unauthenticated, UnauthenticatedId};

/// A connection can be evicted once this fraction of the handshake timeout has passed: an honest
/// client has finished its handshake by then.
const GRACE: u32 = 10;

/// The admission of a new connection from this address, if there is room for it.
pub(super) fn check_source(
    access: &Access,
    (throttle, limits): (&Throttle, &Limits),
    address: PeerAddress,
    now: Instant,
) -> Admission {
    if !access.permits(address) {
        return Admission::Reject(Refusal::Denied);
    }
    throttle.admission(address, now, limits)
}

/// Makes room for a new connection among those of its network: returns the slot of the connection
/// to evict, if there is one.
pub(super) fn room_among(
    (unauthenticated, limits): (&Unauthenticated, &Limits),
    address: PeerAddress,
    now: Instant,
    since: impl Fn(usize) -> Instant,
) -> Result<Option<usize>, Refusal> {
    if !unauthenticated.has_from(address, limits.unauthenticated_per_address) {
        return Ok(None);
    }
    let oldest = unauthenticated.oldest_from(address).ok_or(Refusal::TooManyConnections)?;
    if now < evictable(limits, since(oldest)) {
        Err(Refusal::TooManyConnections)
    } else {
        Ok(Some(oldest))
    }
}

/// When a connection that has waited since then can be evicted.
pub(super) fn evictable(limits: &Limits, since: Instant) -> Instant {
    since + limits.handshake_timeout / GRACE
}

/// The connections of one listener that have not authenticated, for a program with a loop and
/// sockets of its own. It admits, evicts and throttles as a [`Server`](crate::Server) does.
///
/// Connections go by the program's own numbers, its slots. Time is an argument.
#[derive(Debug)]
pub struct AdmissionControl {
    limits: Limits,
    unauthenticated: Unauthenticated,
    throttle: Throttle,
    /// By slot.
    ids: HashMap<usize, UnauthenticatedId>,
    /// When the current wait of each began, by the keys of the ids: there can be many more slots.
    waiting: Timers<Timer>,
}

/// The only queue: connections wait in it for the end of a delay or for a proof.
const QUEUE: (usize, Timer) = (0, Timer::Handshake);

impl AdmissionControl {
    /// No connections yet, for a listener with these limits.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let limits = limits.coherent();
        let counts = !limits.failure_decay.is_zero();
        Self {
            unauthenticated: Unauthenticated::new(limits.unauthenticated),
            throttle: Throttle::new(if counts { limits.failure_networks } else { 0 }),
            ids: HashMap::with_capacity(limits.unauthenticated),
            waiting: Timers::new(1, limits.unauthenticated),
            limits,
        }
    }

    /// The memory that its tables can take, in bytes.
    #[must_use]
    pub fn memory_max(&self) -> usize {
        // A table is at least half full when it has just grown.
        const ENTRY: usize =
            3 * (size_of::<(usize, UnauthenticatedId)>() + 1) + Timers::<Timer>::ENTRY;
        self.throttle.bytes() + self.limits.unauthenticated * (Unauthenticated::ENTRY + ENTRY)
    }

    /// The number of connections that have not authenticated.
    #[must_use]
    pub fn count(&self) -> usize {
        self.unauthenticated.count()
    }

    /// The number of networks whose new connections are delayed or rejected because of failed
    /// proofs.
    #[must_use]
    pub fn throttled(&self, now: Instant) -> usize {
        self.throttle.count(now, &self.limits)
    }

    /// When there is room for one more connection, given the number of all open ones: at once, when
    /// the one that has waited longest can be evicted, or not before a connection closes.
    #[must_use]
    pub fn room_at(&self, open: usize) -> Option<Instant> {
        match self.is_full(open) {
            false => Some(Instant::default()),
            true => self.oldest().map(|(_, since)| evictable(&self.limits, since)),
        }
    }

    /// Decides on a new connection, given the number of all open connections. Also returns the slot
    /// of the connection to evict, if there is one: close it before the new one
    /// [enters](Self::enter).
    #[must_use]
    pub fn admit(
        &self,
        address: PeerAddress,
        open: usize,
        now: Instant,
    ) -> (Admission, Option<usize>) {
        let admission = self.throttle.admission(address, now, &self.limits);
        if matches!(admission, Admission::Reject(_)) {
            // First, so that no other connection is evicted for this one.
            return (admission, None);
        }
        let since = |slot| self.ids.get(&slot).map_or(now, |id| self.waiting.since(id.key()));
        match room_among((&self.unauthenticated, &self.limits), address, now, since) {
            Err(refusal) => (Admission::Reject(refusal), None),
            Ok(Some(slot)) => (admission, Some(slot)),
            Ok(None) if self.is_full(open) => match self.oldest() {
                Some((slot, since)) if evictable(&self.limits, since) <= now => {
                    (admission, Some(slot))
                }
                _ => (Admission::Reject(Refusal::TooManyConnections), None),
            },
            Ok(None) => (admission, None),
        }
    }

    /// Adds a new connection, which waits to authenticate from now on.
    pub fn enter(&mut self, slot: usize, address: PeerAddress, now: Instant) {
        let id = self.unauthenticated.enter(address, slot);
        let before = self.ids.insert(slot, id);
        debug_assert!(before.is_none(), "a slot has one connection");
        self.waiting.start(id.key(), QUEUE, now);
    }

    /// The delay of a connection is over, and its handshake begins.
    pub fn greet(&mut self, slot: usize, now: Instant) {
        if let Some(id) = self.ids.get(&slot) {
            self.waiting.restart(id.key(), QUEUE, now);
        }
    }

    /// Records that a connection has authenticated or ended: with this refusal, if it was refused.
    /// If that changes the admission of its network for the worse, returns the new admission.
    pub fn leave(
        &mut self,
        slot: usize,
        refusal: Option<Refusal>,
        now: Instant,
    ) -> Option<Admission> {
        let id = self.ids.remove(&slot)?;
        self.waiting.stop(id.key(), QUEUE);
        let address = self.unauthenticated.leave(id);
        let has_failed =
            refusal.is_some_and(|refusal| CloseReason::from(refusal).is_failed_proof());
        let worse = || self.throttle.fail(address, now, &self.limits);
        has_failed.then(worse).flatten()
    }

    /// The slot of the connection that has waited longest, and since when.
    fn oldest(&self) -> Option<(usize, Instant)> {
        let (group, timer) = QUEUE;
        let (key, since) = self.waiting.oldest(group, timer)?;
        Some((self.unauthenticated.slot_of(UnauthenticatedId::of(key)), since))
    }

    fn is_full(&self, open: usize) -> bool {
        open >= self.limits.connections || self.count() >= self.limits.unauthenticated
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use super::*;

    fn from(host: u8) -> PeerAddress {
        SocketAddr::from(([127, 0, 0, host], 9)).into()
    }

    fn at(millis: u64) -> Instant {
        Instant::after(Duration::from_millis(millis))
    }

    /// Four connections, three of them unauthenticated, two of those from one address.
    fn unauthenticated() -> AdmissionControl {
        AdmissionControl::new(Limits {
            connections: 4,
            unauthenticated: 3,
            unauthenticated_per_address: 2,
            handshake_timeout: Duration::from_secs(1),
            failure_burst: 1,
            failure_limit: 3,
            ..Limits::default()
        })
    }

    #[test]
    fn its_memory_is_that_of_its_tables_and_little_more() {
        for unauthenticated in [10, 1_000] {
            let all = AdmissionControl::new(Limits { unauthenticated, ..Limits::default() });
            let id = size_of::<(usize, UnauthenticatedId)>() + 1;
            let ids = (unauthenticated * 8 / 7).next_power_of_two() * id;
            let each = Unauthenticated::ENTRY + Timers::<Timer>::ENTRY;
            let least = all.throttle.bytes() + ids + unauthenticated * each;
            let most = least + unauthenticated * 2 * id;
            let said = all.memory_max();
            assert!((least..=most).contains(&said), "{least} to {most} bytes, not {said}");
        }
    }

    #[test]
    fn the_one_that_has_waited_longest_is_evicted_once_it_has_had_its_time() {
        let mut all = unauthenticated();
        let crowded = (Admission::Reject(Refusal::TooManyConnections), None);
        all.enter(0, from(1), at(0));
        all.enter(1, from(1), at(10));
        // Of its own network first, where that has too many.
        assert_eq!(all.admit(from(1), 2, at(99)), crowded);
        assert_eq!(all.admit(from(1), 2, at(100)), (Admission::Accept, Some(0)));
        assert_eq!(all.admit(from(2), 2, at(20)), (Admission::Accept, None));
        all.enter(2, from(2), at(20));
        assert_eq!(all.room_at(3), Some(at(100)));
        assert_eq!(all.admit(from(3), 3, at(99)), crowded);
        assert_eq!(all.admit(from(3), 3, at(100)), (Admission::Accept, Some(0)));
        assert_eq!(all.leave(0, None, at(100)), None);
        assert_eq!((all.count(), all.room_at(3)), (2, Some(at(0))));
        // All places are taken, and not by these.
        assert_eq!(all.room_at(4), Some(at(110)));
        all.leave(1, None, at(100));
        all.leave(2, None, at(100));
        assert_eq!(all.room_at(4), None);
    }

    #[test]
    fn where_failures_are_forgotten_at_once_they_hinder_nobody() {
        let mut all = AdmissionControl::new(Limits {
            failure_burst: 0,
            failure_limit: 1,
            failure_decay: Duration::ZERO,
            ..Limits::default()
        });
        for slot in 0..4 {
            all.enter(slot, from(1), at(0));
            assert_eq!(all.leave(slot, Some(Refusal::WrongProof), at(0)), None);
            assert_eq!(all.admit(from(1), 0, at(0)), (Admission::Accept, None));
        }
    }

    #[test]
    fn a_wait_begins_anew_for_connections_that_are_there() {
        let mut all = unauthenticated();
        all.enter(0, from(1), at(0));
        all.greet(0, at(10));
        all.greet(1, at(20));
        assert_eq!((all.count(), all.oldest()), (1, Some((0, at(10)))));
    }

    #[test]
    fn wrong_proofs_delay_and_then_reject_newcomers_of_their_network() {
        let mut all = unauthenticated();
        assert_eq!(all.throttled(at(0)), 0);
        let mut heard = Vec::new();
        for slot in 0..4 {
            all.enter(slot, from(1), at(0));
            heard.extend(all.leave(slot, Some(Refusal::WrongProof), at(0)));
        }
        let rejected = Admission::Reject(Refusal::Throttled);
        assert_eq!(heard, [Admission::Delay, rejected]);
        assert_eq!(all.admit(from(1), 0, at(1)), (rejected, None));
        assert_eq!(all.admit(from(2), 0, at(1)), (Admission::Accept, None));
        assert_eq!(all.throttled(at(1)), 1);
        // Nothing else counts.
        all.enter(0, from(2), at(1));
        assert_eq!(all.leave(0, Some(Refusal::HandshakeTimeout), at(1)), None);
    }

    #[test]
    fn one_that_was_delayed_waits_from_its_greeting_on() {
        let mut all = unauthenticated();
        all.enter(0, from(1), at(0));
        all.enter(1, from(2), at(5));
        all.enter(2, from(3), at(6));
        all.greet(0, at(50));
        assert_eq!(all.admit(from(4), 3, at(105)), (Admission::Accept, Some(1)));
        assert!(all.memory_max() > 0);
    }
}
