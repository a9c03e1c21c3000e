//! Timers: a queue for each kind, in the order in which the waits began.
//!
//! All timers of one kind are equally long, so the first in the queue is the first that expires:
//! queues are exact where a wheel rounds, and every step is O(1) where a heap takes log n. An entry
//! takes 12 bytes, because every connection has one.

use std::fmt::Debug;
use std::marker::PhantomData;
use std::time::Duration;

use crate::reactor::instant::{CompactInstant, Instant};
use crate::reactor::linked_slab::{LinkedSlab, List};

/// The longest timer: an entry knows its beginning for a day longer, for turns that come late. The
/// beginning of a timer without an end isn't needed; if the timer gets an end later, it doesn't
/// expire early.
pub const LONGEST: Duration =
    CompactInstant::<1>::REACH.saturating_sub(Duration::from_secs(24 * 60 * 60));

/// The kinds of timers of one table. Mostly an enum without data.
pub trait TimerKind: Copy + Debug + 'static {
    /// All kinds; each stands at its index.
    const ALL: &'static [Self];

    /// The place of this kind in [`ALL`](Self::ALL).
    fn index(self) -> usize;
}

/// The timers of connections, which go by their slots: each has one at most.
///
/// How long a kind of timer lasts may differ between groups of connections, such as the listeners
/// that they came by. It is an argument, because it can change while timers run.
#[derive(Debug)]
pub struct Timers<K> {
    /// When each connection's timer began, by slot.
    since: LinkedSlab<CompactInstant<1>>,
    /// The queues of each group, one for each kind.
    queues: Vec<List>,
    /// The latest time that was seen; all timers have begun by then.
    now: Instant,
    kinds: PhantomData<K>,
}

impl<K: TimerKind> Timers<K> {
    /// The bytes that a connection takes here.
    pub const ENTRY: usize = LinkedSlab::<CompactInstant<1>>::ENTRY;

    /// Timers with room for this many connections, so that nothing is reallocated later.
    #[must_use]
    pub fn new(groups: usize, connections: usize) -> Self {
        Self {
            since: LinkedSlab::with_capacity(connections),
            queues: vec![List::default(); groups * K::ALL.len()],
            now: Instant::default(),
            kinds: PhantomData,
        }
    }

    /// Starts the timer of a connection that has none.
    pub fn start(&mut self, slot: usize, (group, kind): (usize, K), now: Instant) {
        debug_assert!(self.now <= now, "time runs forward");
        self.now = now;
        self.since.reserve(slot, now.into());
        self.since[slot] = now.into();
        self.since.push_back(&mut self.queues[queue(group, kind)], slot);
    }

    /// Restarts a running timer from now.
    // Inlined by force: a call costs a message 15 instructions (budget "instructions/message").
    #[inline(always)]
    pub fn restart(&mut self, slot: usize, (group, kind): (usize, K), now: Instant) {
        debug_assert!(self.now <= now, "time runs forward");
        self.now = now;
        self.since[slot] = now.into();
        self.since.move_to_back(&mut self.queues[queue(group, kind)], slot);
    }

    /// Stops the timer of a connection. Returns whether it had one; it had none of another kind.
    pub fn stop(&mut self, slot: usize, (group, kind): (usize, K)) -> bool {
        self.since.remove(&mut self.queues[queue(group, kind)], slot)
    }

    /// The connection of a group whose timer of this kind has run longest, and since when.
    #[must_use]
    pub fn oldest(&self, group: usize, kind: K) -> Option<(usize, Instant)> {
        let slot = self.queues[queue(group, kind)].front()?;
        Some((slot, self.since(slot)))
    }

    /// When the timer of a connection began.
    #[must_use]
    pub fn since(&self, slot: usize) -> Instant {
        self.since[slot].before(self.now)
    }

    /// A connection whose timer has expired. `length` returns how long each kind lasts in a group;
    /// `None` is for ever. It stays expired until it is stopped.
    pub fn expired(
        &self,
        now: Instant,
        length: impl Fn(usize, K) -> Option<Duration>,
    ) -> Option<(usize, K)> {
        self.first(length).find(|(end, ..)| *end <= now).map(|(_, slot, kind)| (slot, kind))
    }

    /// When the first timer expires. `length` returns how long each kind lasts in a group.
    pub fn deadline(&self, length: impl Fn(usize, K) -> Option<Duration>) -> Option<Instant> {
        self.first(length).map(|(end, ..)| end).min()
    }

    /// Of each queue, the first timer that expires, if one does.
    fn first(
        &self,
        length: impl Fn(usize, K) -> Option<Duration>,
    ) -> impl Iterator<Item = (Instant, usize, K)> {
        let running = self.queues.iter().enumerate().filter_map(|(at, queue)| {
            let slot = queue.front()?;
            Some((at / K::ALL.len(), K::ALL[at % K::ALL.len()], slot))
        });
        running.filter_map(move |(group, kind, slot)| {
            let length = length(group, kind).filter(|length| *length != Duration::MAX)?;
            Some((self.since(slot) + length.min(LONGEST), slot, kind))
        })
    }
}

/// The place of a queue among all.
fn queue<K: TimerKind>(group: usize, kind: K) -> usize {
    debug_assert!(kind.index() < K::ALL.len(), "{kind:?} is one of all");
    group * K::ALL.len() + kind.index()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Kind {
        Idle,
        Message,
        Write,
    }

    impl TimerKind for Kind {
        const ALL: &'static [Self] = &[Self::Idle, Self::Message, Self::Write];

        fn index(self) -> usize {
            self as usize
        }
    }

    fn at(millis: u64) -> Instant {
        Instant::after(Duration::from_millis(millis))
    }

    #[test]
    fn the_oldest_expires_first_and_on_time() {
        let length = |group, kind| match (group, kind) {
            (0, Kind::Idle) => Some(Duration::from_millis(10)),
            (_, Kind::Idle) => Some(Duration::from_millis(12)),
            (_, Kind::Message) => Some(Duration::from_millis(30)),
            (_, Kind::Write) => None,
        };
        let mut timers = Timers::new(2, 8);
        timers.start(3, (0, Kind::Idle), at(0));
        timers.start(4, (1, Kind::Idle), at(1));
        timers.start(1, (0, Kind::Idle), at(4));
        timers.start(2, (0, Kind::Message), at(5));
        timers.start(0, (0, Kind::Write), at(5));
        assert_eq!(timers.deadline(length), Some(at(10)));
        assert_eq!(timers.expired(at(9), length), None);
        assert_eq!(timers.expired(at(10), length), Some((3, Kind::Idle)));
        assert!(timers.stop(3, (0, Kind::Idle)));
        assert_eq!(timers.deadline(length), Some(at(13)), "the other group's");
        assert_eq!(timers.expired(at(13), length), Some((4, Kind::Idle)));
        assert!(timers.stop(4, (1, Kind::Idle)));
        assert_eq!(timers.deadline(length), Some(at(14)));
        assert!(timers.stop(1, (0, Kind::Idle)));
        assert_eq!(timers.deadline(length), Some(at(35)));
        assert!(timers.stop(2, (0, Kind::Message)));
        assert!(!timers.stop(2, (0, Kind::Message)), "it has none any more");
        assert_eq!((timers.deadline(length), timers.since(0)), (None, at(5)));
    }

    #[test]
    fn a_timer_without_end_never_expires_and_the_longest_is_by_its_entry() {
        let mut timers = Timers::new(1, 1);
        timers.start(0, (0, Kind::Idle), at(0));
        for never in [None, Some(Duration::MAX)] {
            let length = |_, _| never;
            assert_eq!(
                (timers.deadline(length), timers.expired(at(u64::MAX), length)),
                (None, None)
            );
        }
        let long = |_, _| Some(Duration::MAX - Duration::from_nanos(1));
        assert_eq!(timers.deadline(long), Some(at(0) + LONGEST));
        assert_eq!(LONGEST + Duration::from_secs(86_400), CompactInstant::<1>::REACH);
        assert_eq!(timers.expired(at(0) + LONGEST, long), Some((0, Kind::Idle)));
        assert_eq!(Timers::<Kind>::ENTRY, 12);
    }

    proptest! {
        #[test]
        fn queues_are_what_a_plain_vector_is(
            steps in prop::collection::vec((0..8usize, 0..3usize, 0..3usize), 1..200)
        ) {
            let mut timers = Timers::new(3, 8);
            let mut plain: Vec<(usize, (usize, Kind))> = Vec::new();
            for (now, (slot, group, kind)) in (0..).zip(steps) {
                if let Some(place) = plain.iter().position(|(each, _)| *each == slot) {
                    let (_, which) = plain.remove(place);
                    if kind == 0 {
                        timers.restart(slot, which, at(now));
                        plain.push((slot, which));
                    } else {
                        prop_assert!(timers.stop(slot, which));
                    }
                } else {
                    plain.push((slot, (group, Kind::ALL[kind])));
                    timers.start(slot, (group, Kind::ALL[kind]), at(now));
                }
                let kinds = |group| Kind::ALL.iter().map(move |kind| (group, *kind));
                for which in (0..3).flat_map(kinds) {
                    let oldest = plain.iter().find(|(_, each)| *each == which);
                    let oldest = oldest.map(|(slot, _)| *slot);
                    prop_assert_eq!(timers.oldest(which.0, which.1).map(|(slot, _)| slot), oldest);
                }
            }
        }
    }
}
