//! Waits of individual lengths, which a table of timers of equal lengths can't keep.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::reactor::instant::Instant;
use crate::reactor::token::Token;

/// Waits of individual lengths, of few connections: a heap, which takes no memory while it is
/// empty.
#[derive(Debug, Default)]
pub struct Pauses {
    heap: BinaryHeap<Reverse<Pause>>,
    /// How many pauses have begun: of those that end at the same time, the first to begin ends
    /// first.
    count: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Pause {
    end: Instant,
    number: u64,
    token: Token,
}

impl Pauses {
    /// The bytes that a pause takes, in a heap that has just doubled.
    pub const ENTRY: usize = 2 * size_of::<Pause>();

    /// Begins a pause.
    pub fn begin(&mut self, token: Token, end: Instant) {
        self.heap.push(Reverse(Pause { end, number: self.count, token }));
        self.count += 1;
    }

    /// Takes a pause that has ended, with its end.
    pub fn ended(&mut self, now: Instant) -> Option<(Token, Instant)> {
        self.deadline().filter(|end| *end <= now)?;
        self.heap.pop().map(|Reverse(pause)| (pause.token, pause.end))
    }

    /// When the first pause ends.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse(pause)| pause.end)
    }

    /// How many pauses there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.heap.len()
    }

    /// Forgets the pauses of connections that are gone.
    pub fn retain(&mut self, mut is_there: impl FnMut(Token) -> bool) {
        self.heap.retain(|Reverse(pause)| is_there(pause.token));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(nanos: u64) -> Instant {
        Instant::after(Duration::from_nanos(nanos))
    }

    #[test]
    fn pauses_end_in_time_and_equal_ones_in_order() {
        let mut pauses = Pauses::default();
        let token = |slot| Token::new(slot, 1);
        assert_eq!((pauses.deadline(), pauses.ended(at(9))), (None, None));
        for (slot, end) in [(1, 30), (5, 10), (3, 20), (4, 10), (2, 10)] {
            pauses.begin(token(slot), at(end));
        }
        assert_eq!((pauses.deadline(), pauses.ended(at(9))), (Some(at(10)), None));
        pauses.retain(|each| each != token(4));
        let mut ended =
            |now| std::iter::from_fn(|| Some(pauses.ended(at(now))?.0)).collect::<Vec<_>>();
        assert_eq!(ended(10), [5, 2].map(token));
        assert_eq!(ended(40), [3, 1].map(token));
        assert_eq!(pauses.count(), 0);
    }
}
