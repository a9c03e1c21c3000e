//! When to visit each pair again.
//!
//! A pair waits for one thing at a time, and has one timer: it expires no later than what the pair
//! waits for is due, and perhaps sooner. A pair that has been busy in the meantime is then given a
//! new one, so that relaying costs no bookkeeping.

use std::collections::BTreeSet;
use std::time::Instant;

/// The timers of all pairs, by slot.
#[derive(Debug, Default)]
pub(super) struct Timers(BTreeSet<(Instant, usize)>);

impl Timers {
    /// Has the timer of a slot expire at `new` instead of `old`.
    pub(super) fn set(&mut self, slot: usize, old: Option<Instant>, new: Option<Instant>) {
        if let Some(old) = old {
            self.0.remove(&(old, slot));
        }
        if let Some(new) = new {
            self.0.insert((new, slot));
        }
    }

    /// A slot whose timer has expired. It stays expired until another is set.
    pub(super) fn expired(&self, now: Instant) -> Option<usize> {
        self.0.first().filter(|(when, _)| *when <= now).map(|(_, slot)| *slot)
    }

    /// When the next timer expires.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.first().map(|(when, _)| *when)
    }
}
