//! Deadlines: for each kind of timer, a list of connections in the order in which it began.
//!
//! All timers of one kind are equally long, so the first in the list is the first that is due:
//! lists are exact where a wheel rounds, and every step is O(1) where a heap takes log n. The links
//! lie in an array beside the slab, indexed by slot; each list is a ring around a sentinel of its
//! own, so that a connection can leave its list without knowing which it is. A node takes 12 bytes,
//! because every connection has one. Each listener has limits of its own, and so lists of its own.

use std::time::Duration;

use crate::contract::limits::Limits;
use crate::server::instant::{CompactInstant, Instant};
use crate::server::listener::ListenerId;

/// What a connection waits for: one thing at a time, and its age beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timer {
    /// The greeting, delayed because its network has failed too often; absolute.
    Delay,
    /// The peer's proof; from the greeting, absolute.
    Handshake,
    /// The beginning of a message.
    Idle,
    /// The rest of a message that has begun; absolute.
    Message,
    /// Room for what was written: the peer has to take it.
    Write,
    /// The end of the peer's stream, after ours has ended; absolute.
    Linger,
    /// The end of its session, by age; from the proof, absolute. Kept in a table of its own,
    /// because it runs beside the other timer of the connection.
    Age,
}

/// How long the server waits for the end of a peer's stream. A second is many round trips.
const LINGER: Duration = Duration::from_secs(1);

/// The longest timer: a node can tell for a day longer when it began, for turns that come late. The
/// beginning of a timer without an end is not asked for; if it is given an end later, that counts
/// from no earlier than it should.
pub(super) const LONGEST: Duration =
    CompactInstant::<1>::REACH.saturating_sub(Duration::from_secs(24 * 60 * 60));

impl Timer {
    const KINDS: u32 = 7;

    const ALL: [Self; Self::KINDS as usize] = [
        Self::Delay,
        Self::Handshake,
        Self::Idle,
        Self::Message,
        Self::Write,
        Self::Linger,
        Self::Age,
    ];

    /// How long it may last; none for ever.
    fn length(self, limits: &Limits) -> Option<Duration> {
        let length = match self {
            Self::Delay => limits.failure_delay,
            Self::Handshake => limits.handshake_timeout,
            Self::Idle => limits.idle_timeout,
            Self::Message => limits.message_timeout,
            Self::Write => limits.write_timeout,
            Self::Linger => LINGER,
            Self::Age => limits.session_age_max?,
        };
        (length != Duration::MAX).then_some(length.min(LONGEST))
    }

    /// When it expires, if it ever does.
    fn end(self, since: Instant, limits: &Limits) -> Option<Instant> {
        self.length(limits).map(|length| since + length)
    }
}

/// The connections' timers: which of them runs, and since when.
#[derive(Debug)]
pub(super) struct Timers {
    /// First the sentinels, for each listener one of each kind, then a node for each slot.
    nodes: Vec<Node>,
    /// How many sentinels there are.
    lists: usize,
    /// The latest time that was seen; all timers have begun by then.
    now: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Node {
    older: u32,
    newer: u32,
    since: CompactInstant<1>,
}

impl Node {
    fn alone(at: u32) -> Self {
        Self { older: at, newer: at, since: CompactInstant::default() }
    }
}

impl Timers {
    /// The bytes that a connection takes here.
    pub(super) const NODE: usize = size_of::<Node>();

    /// With room for so many connections, so that nothing is moved later.
    pub(super) fn new(listeners: usize, connections: usize) -> Self {
        let lists = listeners * Timer::ALL.len();
        let mut nodes = Vec::with_capacity(lists + connections);
        nodes.extend((0..).map(Node::alone).take(lists));
        Self { nodes, lists, now: Instant::default() }
    }

    /// Puts a connection at the end of a list of its listener's; it is in none.
    pub(super) fn enter(&mut self, slot: usize, listener: ListenerId, timer: Timer, now: Instant) {
        let (at, sentinel) = (self.node_of(slot), sentinel(listener, timer));
        while self.nodes.len() <= at as usize {
            let next = self.node_of(self.nodes.len() - self.lists);
            self.nodes.push(Node::alone(next));
        }
        debug_assert!(self.now <= now, "time runs forward");
        self.now = now;
        let newest = self.node(sentinel).older;
        *self.node(at) = Node { older: newest, newer: sentinel, since: now.into() };
        self.node(newest).newer = at;
        self.node(sentinel).older = at;
    }

    /// Takes a connection from the list it is in, if it is in one.
    pub(super) fn leave(&mut self, slot: usize) {
        let at = self.node_of(slot);
        let Some(&Node { older, newer, .. }) = self.nodes.get(at as usize) else { return };
        self.node(older).newer = newer;
        self.node(newer).older = older;
        *self.node(at) = Node::alone(at);
    }

    /// The connection of a listener's that has waited longest for this, and since when.
    pub(super) fn oldest(&self, listener: ListenerId, timer: Timer) -> Option<(usize, Instant)> {
        let at = self.nodes[sentinel(listener, timer) as usize].newer as usize;
        let slot = at.checked_sub(self.lists)?;
        Some((slot, self.nodes[at].since.before(self.now)))
    }

    /// Since when a connection has waited.
    pub(super) fn since(&self, slot: usize) -> Instant {
        self.nodes[self.node_of(slot) as usize].since.before(self.now)
    }

    /// A connection whose timer has expired, by the limits of each listener.
    pub(super) fn due<'l>(
        &self,
        now: Instant,
        limits: impl IntoIterator<Item = &'l Limits>,
    ) -> Option<(usize, Timer)> {
        (0..).zip(limits).find_map(|(listener, limits)| {
            Timer::ALL.into_iter().find_map(|timer| {
                let (slot, since) = self.oldest(listener, timer)?;
                timer.end(since, limits).is_some_and(|end| end <= now).then_some((slot, timer))
            })
        })
    }

    /// When the first timer expires, by the limits of each listener.
    pub(super) fn deadline<'l>(
        &self,
        limits: impl IntoIterator<Item = &'l Limits>,
    ) -> Option<Instant> {
        let mut first: Option<Instant> = None;
        for (listener, limits) in (0..).zip(limits) {
            for timer in Timer::ALL {
                let oldest = self.oldest(listener, timer);
                if let Some(end) = oldest.and_then(|(_, since)| timer.end(since, limits)) {
                    first = Some(first.map_or(end, |first| first.min(end)));
                }
            }
        }
        first
    }

    /// The node of a slot. Slots are capped by the names' halves, so they fit.
    fn node_of(&self, slot: usize) -> u32 {
        u32::try_from(slot + self.lists).unwrap_or(u32::MAX)
    }

    fn node(&mut self, at: u32) -> &mut Node {
        &mut self.nodes[at as usize]
    }
}

/// Where the list of a listener begins and ends.
fn sentinel(listener: ListenerId, timer: Timer) -> u32 {
    u32::from(listener) * Timer::KINDS + timer as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::after(Duration::from_millis(millis))
    }

    #[test]
    fn the_oldest_is_due_first_and_on_time() {
        let limits = Limits { idle_timeout: Duration::from_millis(10), ..Limits::default() };
        let slower = Limits { idle_timeout: Duration::from_millis(12), ..Limits::default() };
        let limits = [limits, slower];
        let mut timers = Timers::new(2, 8);
        timers.enter(3, 0, Timer::Idle, at(0));
        timers.enter(4, 1, Timer::Idle, at(1));
        timers.enter(1, 0, Timer::Idle, at(4));
        timers.enter(2, 0, Timer::Message, at(5));
        assert_eq!(timers.deadline(&limits), Some(at(10)));
        assert_eq!(timers.due(at(9), &limits), None);
        assert_eq!(timers.due(at(10), &limits), Some((3, Timer::Idle)));
        timers.leave(3);
        assert_eq!(timers.deadline(&limits), Some(at(13)), "the other listener's");
        assert_eq!(timers.due(at(13), &limits), Some((4, Timer::Idle)));
        timers.leave(4);
        assert_eq!(timers.deadline(&limits), Some(at(14)));
        timers.leave(1);
        assert_eq!(timers.deadline(&limits), Some(at(5) + limits[0].message_timeout));
        timers.leave(2);
        assert_eq!(timers.deadline(&limits), None);
    }

    #[test]
    fn a_wait_without_end_is_never_due_and_the_longest_is_by_its_node() {
        let limits = |idle_timeout| [Limits { idle_timeout, ..Limits::default() }];
        let mut timers = Timers::new(1, 1);
        timers.enter(0, 0, Timer::Idle, at(0));
        let never = limits(Duration::MAX);
        assert_eq!((timers.deadline(&never), timers.due(at(u64::MAX), &never)), (None, None));
        let long = limits(Duration::MAX - Duration::from_nanos(1));
        assert_eq!(timers.deadline(&long), Some(at(0) + LONGEST));
        assert_eq!(timers.due(at(0) + LONGEST, &long), Some((0, Timer::Idle)));
        timers.leave(0);
        timers.enter(0, 0, Timer::Age, at(0));
        assert_eq!(timers.deadline(&never), None, "there is no limit on the age");
    }

    proptest! {
        #[test]
        fn lists_are_what_a_plain_vector_is(
            steps in prop::collection::vec((0..8usize, 0..3u8, 0..7usize), 1..200)
        ) {
            let mut timers = Timers::new(3, 8);
            let mut plain: Vec<(usize, ListenerId, Timer)> = Vec::new();
            for (now, (slot, listener, kind)) in (0..).zip(steps) {
                if let Some(place) = plain.iter().position(|(each, ..)| *each == slot) {
                    plain.remove(place);
                    timers.leave(slot);
                } else {
                    plain.push((slot, listener, Timer::ALL[kind]));
                    timers.enter(slot, listener, Timer::ALL[kind], at(now));
                }
                let lists = (0..3).flat_map(|listener| Timer::ALL.map(|timer| (listener, timer)));
                for (listener, timer) in lists {
                    let is_in = |(_, at, each): &&(_, _, _)| (*at, *each) == (listener, timer);
                    let oldest = plain.iter().find(is_in);
                    let oldest = oldest.map(|(slot, ..)| *slot);
                    prop_assert_eq!(timers.oldest(listener, timer).map(|(slot, _)| slot), oldest);
                }
            }
        }
    }
}
