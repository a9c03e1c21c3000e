//! The histogram of the loop's turns.

use std::time::Duration;

/// The buckets with a bound: 1 µs, 2 µs, … 2^20 µs. One more has all longer turns.
const BOUNDS: usize = 21;

/// A histogram of how long the turns of a loop took, without sleeping. The buckets are powers of
/// two, from one microsecond to about a second.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LoopTimes {
    counts: [u64; BOUNDS + 1],
    sum: Duration,
    longest: Duration,
}

impl LoopTimes {
    /// How many turns were timed.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The time that all of them took.
    #[must_use]
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// The time that the longest of them took.
    #[must_use]
    pub fn longest(&self) -> Duration {
        self.longest
    }

    /// The buckets in ascending order: the upper bound of each, and how many turns are in it. The
    /// last has no bound.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<Duration>, u64)> {
        let bound = |power| (power < BOUNDS).then(|| Duration::from_micros(1_u64 << power));
        (0..).map(bound).zip(self.counts)
    }

    /// The time within which this part of the turns, between 0 and 1, ended. It is the bound of a
    /// bucket, so it is up to twice as long as it really was.
    #[must_use]
    pub fn quantile(&self, part: f64) -> Duration {
        let wanted = part * self.count() as f64;
        let mut seen = 0;
        let reached = self.buckets().find(|(_, count)| {
            seen += count;
            seen as f64 >= wanted
        });
        let bound = reached.and_then(|(bound, _)| bound);
        bound.map_or(self.longest, |bound| bound.min(self.longest))
    }

    /// Adds those of another loop.
    pub fn merge(&mut self, other: &Self) {
        self.counts.iter_mut().zip(other.counts).for_each(|(count, more)| *count += more);
        self.sum += other.sum;
        self.longest = self.longest.max(other.longest);
    }

    /// Counts one turn, for a program that has a loop of its own.
    pub fn record(&mut self, time: Duration) {
        let micros = time.as_nanos().div_ceil(1_000).max(1);
        let bucket = (u128::BITS - (micros - 1).leading_zeros()) as usize;
        self.counts[bucket.min(BOUNDS)] += 1;
        self.sum += time;
        self.longest = self.longest.max(time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_counted_under_the_first_bound_that_it_does_not_pass() {
        let cases = [
            (0, 0),
            (1_000, 0),
            (1_001, 1),
            (2_000, 1),
            (2_001, 2),
            (1_048_576_000, 20),
            (1_048_576_001, 21),
            (u64::MAX, 21),
        ];
        for (nanos, bucket) in cases {
            let time = Duration::from_nanos(nanos);
            let mut times = LoopTimes::default();
            times.record(time);
            let (bound, count) = times.buckets().nth(bucket).unwrap();
            assert_eq!(count, 1, "{nanos} ns");
            assert!(bound.is_none_or(|bound| time <= bound));
            assert_eq!((times.count(), times.sum(), times.longest()), (1, time, time));
            let mut twice = times.clone();
            twice.merge(&times);
            assert_eq!((twice.count(), twice.longest()), (2, time));
        }
    }

    #[test]
    fn a_part_of_the_turns_is_bounded_by_its_bucket_and_by_the_longest() {
        let mut times = LoopTimes::default();
        assert_eq!(times.quantile(0.5), Duration::ZERO);
        for (count, micros) in [(10, 1), (80, 2), (9, 3), (1, 7_000)] {
            (0..count).for_each(|_| times.record(Duration::from_micros(micros)));
        }
        let micros = |part| times.quantile(part).as_micros();
        assert_eq!([micros(0.5), micros(0.9), micros(0.99), micros(1.0)], [2, 2, 4, 7000]);
        let mut times = LoopTimes::default();
        times.record(Duration::from_nanos(1500));
        assert_eq!(times.quantile(0.99), times.longest());
    }
}
