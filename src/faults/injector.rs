//! What a server injects: the faults of each listener and connection.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::time::Duration;

use crate::contract::listener_id::ListenerId;
use crate::faults::connection::{AcceptFault, ConnectionFaults};
use crate::faults::delivery::{Delivery, DeliveryStep};
use crate::faults::message::MessageFault;
use crate::faults::random::Random;
use crate::faults::schedule::ReplySchedule;
use crate::faults::spec::Faults;
use crate::reactor::instant::Instant;

/// The faults of a server's listeners and connections, which a [`Faulty`](crate::faults::Faulty)
/// service hands to its server.
pub struct Injector {
    seed: u64,
    /// What listeners have that were not given others.
    default: Faults,
    /// By listener, as far as one is known.
    listeners: Vec<ListenerFaults>,
    /// By slot, of the connections that have some.
    connections: Vec<Option<Box<ConnectionFaults>>>,
}

#[derive(Debug, Clone, Default)]
struct ListenerFaults {
    faults: Faults,
    /// Changes with the specification.
    version: u64,
    /// The connections so far.
    count: u64,
    schedule: ReplySchedule,
    /// The times in the schedule that clients had who have left.
    freed: BinaryHeap<Reverse<Instant>>,
}

impl ListenerFaults {
    /// When a message is answered at this rate. The time may be over.
    fn place(&mut self, rate: f64, now: Instant) -> Instant {
        while let Some(Reverse(freed)) = self.freed.pop() {
            if freed >= now {
                return freed;
            }
        }
        self.schedule.take(rate, now)
    }
}

impl Injector {
    /// The most bytes that a connection takes here; tables that grow double.
    pub(crate) const ENTRY: usize = 2
        * (size_of::<Option<Box<ConnectionFaults>>>() + size_of::<Instant>())
        + size_of::<ConnectionFaults>();

    pub(super) fn new(faults: Faults) -> Self {
        Self { seed: 0, default: faults, listeners: Vec::new(), connections: Vec::new() }
    }

    pub(super) fn of_listeners(faults: impl IntoIterator<Item = Faults>) -> Self {
        let listener = |faults| ListenerFaults { faults, ..ListenerFaults::default() };
        Self { listeners: faults.into_iter().map(listener).collect(), ..Self::new(Faults::none()) }
    }

    pub(super) fn set_seed(&mut self, seed: u64) {
        self.seed = seed;
    }

    /// Whether it has ever had faults to inject. From then on connections have state here.
    pub(super) fn is_used(&self) -> bool {
        !self.default.is_none()
            || self.listeners.iter().any(|each| each.version > 0 || !each.faults.is_none())
    }

    /// Replaces the faults of a listener, for messages and connections that come from now on.
    pub(super) fn replace(&mut self, listener: ListenerId, faults: Faults) {
        let of_listener = self.listener(listener);
        if of_listener.faults != faults {
            of_listener.faults = faults;
            of_listener.freed.clear();
            of_listener.version += 1;
        }
    }

    /// Whether messages of this listener have faults.
    #[inline]
    pub(crate) fn is_on(&self, listener: ListenerId) -> bool {
        let faults = self.listeners.get(listener.index()).map(|each| &each.faults);
        !faults.unwrap_or(&self.default).is_none()
    }

    /// Draws the faults of a connection that was accepted, for this slot.
    pub(crate) fn accept(&mut self, listener: ListenerId, slot: usize) -> AcceptFault {
        self.remove(listener, slot);
        if !self.is_on(listener) {
            return AcceptFault::default();
        }
        let (of_listener, connection) = self.connection(listener, slot);
        let drawn = connection.accept(&of_listener.faults);
        if drawn.is_refused {
            self.remove(listener, slot);
        }
        drawn
    }

    /// How late the proof of this connection is answered; returned once.
    pub(crate) fn take_handshake_delay(&mut self, slot: usize) -> Option<Duration> {
        self.connections.get_mut(slot)?.as_mut()?.take_handshake_delay()
    }

    /// The faults of the next message of a connection, if it has any.
    pub(crate) fn next(&mut self, listener: ListenerId, slot: usize) -> Option<MessageFault> {
        let (of_listener, connection) = self.connection(listener, slot);
        connection.next(of_listener.version, &of_listener.faults)
    }

    /// The same, when the message has come.
    pub(crate) fn take(&mut self, listener: ListenerId, slot: usize) -> Option<MessageFault> {
        let next = self.next(listener, slot);
        self.connection(listener, slot).1.advance();
        next
    }

    /// When a message that has this fault is answered, if it has come now; and whether the rate of
    /// its listener delays it.
    pub(crate) fn due(
        &mut self,
        listener: ListenerId,
        slot: usize,
        fault: &MessageFault,
        now: Instant,
    ) -> (Instant, bool) {
        let (of_listener, connection) = self.connection(listener, slot);
        let place = fault.rate.map(|rate| of_listener.place(rate, now));
        let place = place.filter(|place| *place > now);
        connection.place = place;
        (place.unwrap_or(now) + fault.delay.unwrap_or_default(), place.is_some())
    }

    /// Begins to send a reply.
    pub(crate) fn begin(&mut self, listener: ListenerId, slot: usize, delivery: Delivery) {
        self.connection(listener, slot).1.begin(delivery);
    }

    /// What can be done for the reply that a connection is sending, of which so many bytes are
    /// unsent.
    pub(crate) fn step(
        &mut self,
        slot: usize,
        now: Instant,
        unsent: usize,
    ) -> Option<DeliveryStep> {
        self.connections.get_mut(slot)?.as_mut()?.step(now, unsent)
    }

    /// So many bytes of the reply were sent, and so many are unsent.
    pub(crate) fn sent(&mut self, slot: usize, bytes: usize, unsent: usize, now: Instant) {
        if let Some(Some(connection)) = self.connections.get_mut(slot) {
            connection.sent(bytes, unsent, now);
        }
    }

    /// Forgets a connection. Another message gets the time that its own was to be answered at.
    pub(crate) fn remove(&mut self, listener: ListenerId, slot: usize) {
        let connection = self.connections.get_mut(slot).and_then(Option::take);
        if let Some(place) = connection.and_then(|connection| connection.place) {
            self.listener(listener).freed.push(Reverse(place));
        }
    }

    fn listener(&mut self, id: ListenerId) -> &mut ListenerFaults {
        let Self { listeners, default, .. } = self;
        let missing = (id.index() + 1).saturating_sub(listeners.len());
        let new = || ListenerFaults { faults: default.clone(), ..ListenerFaults::default() };
        listeners.extend(std::iter::repeat_with(new).take(missing));
        &mut listeners[id.index()]
    }

    /// A connection with its listener. One that was open before the listener had faults is new
    /// here.
    fn connection(
        &mut self,
        id: ListenerId,
        slot: usize,
    ) -> (&mut ListenerFaults, &mut ConnectionFaults) {
        self.listener(id);
        let listener = &mut self.listeners[id.index()];
        if self.connections.len() <= slot {
            self.connections.resize_with(slot + 1, || None);
        }
        let seed = self.seed;
        let connection = self.connections[slot].get_or_insert_with(|| {
            let number = listener.count;
            listener.count += 1;
            Box::new(ConnectionFaults::new(Random::of(seed, id.index(), number)))
        });
        (listener, connection)
    }
}

impl fmt::Debug for Injector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, default, listeners, .. } = self;
        let mut shown = f.debug_struct("Injector");
        shown.field("seed", seed).field("default", default).field("listeners", listeners);
        shown.finish_non_exhaustive()
    }
}
