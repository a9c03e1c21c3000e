//! Latencies of a short time, in little memory.

use std::cmp::Ordering;
use std::iter;
use std::time::Duration;

use crate::latencies::Latencies;

/// Latencies of a short time: those that were recorded, with their counts. That takes little memory
/// where a histogram would consist of zeros.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SparseLatencies(Vec<(u64, u64)>);

impl SparseLatencies {
    /// What these latencies have that they hadn't before, when they were `before`, which is brought
    /// up to date.
    pub(super) fn since(before: &mut Self, latencies: &Latencies) -> Self {
        let mut old = before.0.iter().copied().peekable();
        let mut new = Vec::new();
        let mut all = Vec::with_capacity(before.0.len());
        for (nanos, count) in latencies.recorded() {
            let had = old.next_if(|(each, _)| *each == nanos).map_or(0, |(_, count)| count);
            if count > had {
                new.push((nanos, count - had));
            }
            all.push((nanos, count));
        }
        before.0 = all;
        // It is kept for the rest of the run.
        new.shrink_to_fit();
        Self(new)
    }

    /// The latencies in nanoseconds, to three digits, with how often each was recorded; the least
    /// first.
    pub fn recorded(&self) -> impl Iterator<Item = (u64, u64)> {
        self.0.iter().copied()
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.recorded().map(|(_, count)| count).sum()
    }

    /// The latency that this share (0 to 1) stay within; `None` if there are none.
    #[must_use]
    pub fn at(&self, share: f64) -> Option<Duration> {
        let bound = share * self.count() as f64;
        let mut seen = 0;
        let mut reached = self.recorded().skip_while(|(_, count)| {
            seen += count;
            (seen as f64) < bound
        });
        let (nanos, _) = reached.next().or_else(|| self.recorded().last())?;
        Some(Duration::from_nanos(nanos))
    }

    /// Adds others.
    pub fn merge(&mut self, others: &Self) {
        let mut ours = std::mem::take(&mut self.0).into_iter().peekable();
        let mut others = others.recorded().peekable();
        let next = || match (ours.peek(), others.peek()) {
            (Some(our), Some(other)) => match our.0.cmp(&other.0) {
                Ordering::Less => ours.next(),
                Ordering::Greater => others.next(),
                Ordering::Equal => {
                    let more = others.next().map_or(0, |(_, count)| count);
                    ours.next().map(|(nanos, count)| (nanos, count + more))
                }
            },
            _ => ours.next().or_else(|| others.next()),
        };
        self.0 = iter::from_fn(next).collect();
    }
}

impl FromIterator<(u64, u64)> for SparseLatencies {
    /// Latencies in nanoseconds and their counts, the least first.
    fn from_iter<I: IntoIterator<Item = (u64, u64)>>(recorded: I) -> Self {
        Self(recorded.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_is_told_once() {
        let mut latencies = Latencies::from_iter([(2_000, 3), (5_000_000, 1)]);
        let mut before = SparseLatencies::default();
        let first = SparseLatencies::since(&mut before, &latencies);
        assert_eq!((first.count(), first.recorded().count()), (4, 2));
        assert_eq!(SparseLatencies::since(&mut before, &latencies), SparseLatencies::default());

        latencies.extend([(1_000, 1), (2_000, 2), (9_000_000, 4)]);
        let second = SparseLatencies::since(&mut before, &latencies);
        let counts: Vec<u64> = second.recorded().map(|(_, count)| count).collect();
        assert_eq!(counts, [1, 2, 4]);

        let mut both = first;
        both.merge(&second);
        assert!(both.recorded().eq(latencies.recorded()));
    }

    #[test]
    fn a_share_stays_within_a_latency() {
        let latencies = SparseLatencies::from_iter([(1, 50), (2, 49), (3, 1)]);
        let at = |share| latencies.at(share).map(|latency| latency.as_nanos());
        assert_eq!([0.0, 0.5, 0.51, 0.99, 1.0].map(at), [1, 1, 2, 2, 3].map(Some));
        assert_eq!(SparseLatencies::default().at(0.5), None);
    }
}
