//! The share that one of several loops has of a load.

/// The share that one of several loops has of a load. Whatever is counted, such as clients and
/// messages, goes to the loops in turn, so all shares together are the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share {
    /// Which one of the loops it is, from 0.
    pub(super) index: u64,
    /// How many loops there are.
    pub(super) of: u64,
}

impl Share {
    /// The share of a single loop.
    pub(super) const WHOLE: Self = Self { index: 0, of: 1 };

    /// All shares of this many loops.
    pub(super) fn all(loops: usize) -> impl Iterator<Item = Self> {
        (0..loops as u64).map(move |index| Self { index, of: loops as u64 })
    }

    /// How many of `whole` go to this share.
    pub(super) fn part(self, whole: u64) -> u64 {
        // Of the numbers from 0 on, those that leave the index when divided by the number of loops.
        (whole + self.of - 1 - self.index) / self.of
    }

    /// The same of a number that is in memory.
    pub(super) fn part_of(self, whole: usize) -> usize {
        usize::try_from(self.part(whole as u64)).unwrap_or(whole)
    }

    /// The number of the nth one of this share, among all.
    pub(super) fn number(self, nth: usize) -> usize {
        usize::try_from(nth as u64 * self.of + self.index).unwrap_or(nth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_shares_together_are_the_whole() {
        for loops in 1..9 {
            for whole in 0..40 {
                let parts: Vec<u64> = Share::all(loops).map(|share| share.part(whole)).collect();
                assert_eq!(parts.iter().sum::<u64>(), whole, "{loops}");
                let (most, least) = (parts.iter().max(), parts.iter().min());
                assert!(most.unwrap() - least.unwrap() <= 1, "{parts:?} of {whole}");
            }
        }
        assert_eq!((Share::WHOLE.part_of(7), Share::WHOLE.number(7)), (7, 7));
        let numbers = Share::all(3).map(|share| [share.number(0), share.number(4)]);
        assert_eq!(numbers.collect::<Vec<_>>(), [[0, 12], [1, 13], [2, 14]]);
    }
}
