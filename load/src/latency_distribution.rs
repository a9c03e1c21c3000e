//! The latencies of all messages, of which some had no answer yet when the load ended.
//!
//! Of a message that had waited for a while at the end, it is only known that its reply would have
//! taken longer. To leave it out would make latencies look shorter than they are, and so would
//! counting it with the time that it had waited. So it counts as one of the messages that took
//! longer, in equal parts: this is the estimator of Kaplan and Meier.

use std::time::Duration;

use crate::latencies::Latencies;

/// How messages are distributed over latencies.
#[derive(Debug, Clone, Default)]
pub struct LatencyDistribution {
    /// Each latency with the messages that took as long, in order.
    parts: Vec<(u64, f64)>,
    /// All messages, with those that were never answered.
    total: f64,
}

impl LatencyDistribution {
    /// The messages with these latencies, those that had waited for so long when the load ended,
    /// and those that were never answered.
    pub(super) fn new(known: &[&Latencies], waiting: &Latencies, never: u64) -> Self {
        let known = known.iter().flat_map(|latencies| latencies.recorded());
        let known = known.map(|(latency, count)| (latency, false, count));
        let waiting = waiting.recorded().map(|(waited, count)| (waited, true, count));
        // A message that had waited for as long as a reply took would have taken longer.
        let mut all: Vec<_> = known.chain(waiting).collect();
        all.sort_unstable();
        let longest = all.iter().rfind(|(_, is_waiting, _)| !is_waiting);
        let longest = longest.map_or(0, |(latency, ..)| *latency);
        let mut left = all.iter().map(|(.., count)| *count).sum::<u64>() + never;
        let mut distribution = Self { parts: Vec::new(), total: left as f64 };
        let mut weight = 1.0;
        for (latency, is_waiting, count) in all {
            left -= count;
            if is_waiting && latency < longest {
                weight *= (left + count) as f64 / left as f64;
            } else {
                // Where no reply took longer, the time that a message had waited is all there is.
                distribution.parts.push((latency, count as f64 * weight));
            }
        }
        distribution
    }

    /// The latencies with the messages that took as long, in order. Messages of which only a part
    /// is known to have taken as long count in parts.
    pub fn parts(&self) -> impl Iterator<Item = (Duration, f64)> {
        self.parts.iter().map(|(latency, messages)| (Duration::from_nanos(*latency), *messages))
    }

    /// All messages, also those that were never answered.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.total
    }

    /// The time within which this share (0 to 1) was answered; `None` if a smaller share was.
    #[must_use]
    pub fn within(&self, share: f64) -> Option<Duration> {
        // A percentage isn't exact: 99.9 % of 1000 is the 999th, and not the one after it.
        let rank = (share * self.total * (1.0 - 1e-12)).max(f64::MIN_POSITIVE);
        let mut seen = 0.0;
        let found = self.parts().find(|(_, messages)| {
            seen += messages;
            seen * (1.0 + 1e-12) >= rank
        });
        found.map(|(latency, _)| latency)
    }

    /// The mean of the known latencies; `None` without any.
    #[must_use]
    pub fn mean(&self) -> Option<Duration> {
        let known: f64 = self.parts.iter().map(|(_, messages)| messages).sum();
        let sum: f64 =
            self.parts.iter().map(|(latency, messages)| *latency as f64 * messages).sum();
        (known > 0.0).then(|| Duration::from_secs_f64(sum / known / 1e9))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MILLI: u64 = 1_000_000;

    fn latencies(all: &[(u64, u64)]) -> Latencies {
        let mut latencies = Latencies::default();
        all.iter().for_each(|(millis, count)| latencies.record_many(millis * MILLI, *count));
        latencies
    }

    fn millis(distribution: &LatencyDistribution, percent: f64) -> Option<u128> {
        distribution.within(percent / 100.0).map(|latency| latency.as_millis())
    }

    #[test]
    fn a_message_that_waited_counts_as_one_that_took_longer() {
        let replies = latencies(&[(1, 80), (100, 10)]);
        let of = |waiting: &[(u64, u64)], never| {
            LatencyDistribution::new(&[&replies], &latencies(waiting), never)
        };
        // Nobody waits: ranks are exact.
        let all = of(&[], 0);
        assert_eq!([88.0, 88.9, 100.0].map(|at| millis(&all, at)), [Some(1), Some(100), Some(100)]);
        // Ten that had waited for 50 ms took 100 ms or so, like those that are known to.
        let all = of(&[(50, 10)], 0);
        assert_eq!([80.0, 80.1, 100.0].map(|at| millis(&all, at)), [Some(1), Some(100), Some(100)]);
        // Ten that had waited for no time say nothing.
        let all = of(&[(0, 10)], 0);
        assert_eq!([88.0, 89.0, 100.0].map(|at| millis(&all, at)), [Some(1), Some(100), Some(100)]);
        // Half of what takes longer than 50 ms is never answered.
        let all = of(&[(50, 10)], 10);
        assert_eq!([72.7, 72.8, 86.3].map(|at| millis(&all, at)), [Some(1), Some(100), Some(100)]);
        assert_eq!(millis(&all, 86.5), None);
        // Longer than any reply: at least that.
        let all = of(&[(200, 10)], 0);
        assert_eq!(
            [90.0, 90.1, 100.0].map(|at| millis(&all, at)),
            [Some(100), Some(200), Some(200)]
        );
        assert_eq!(millis(&LatencyDistribution::default(), 50.0), None);
    }

    proptest! {
        #[test]
        fn all_messages_are_in_it_and_none_is_quicker_than_it_waited(
            replies in prop::collection::vec((0_u64..500, 1_u64..50), 1..20),
            waiting in prop::collection::vec((0_u64..500, 1_u64..50), 0..20),
            never in 0_u64..100,
        ) {
            let (replies, waiting) = (latencies(&replies), latencies(&waiting));
            let all = LatencyDistribution::new(&[&replies], &waiting, never);
            let known: f64 = all.parts().map(|(_, messages)| messages).sum();
            prop_assert!(known <= all.total() + 1e-6, "{known}");
            prop_assert!(all.total() - known >= never as f64 - 1e-6);
            // At no time are fewer without an answer than are known to be.
            for (at, _) in replies.recorded().chain(waiting.recorded()) {
                let quick = |(latency, _): &(u64, u64)| *latency <= at;
                let answered: u64 = replies.recorded().filter(quick).map(|(_, count)| count).sum();
                let ended: u64 = waiting.recorded().filter(quick).map(|(_, count)| count).sum();
                let at = Duration::from_nanos(at);
                let within = all.parts().filter(|(latency, _)| *latency <= at);
                let within: f64 = within.map(|(_, messages)| messages).sum();
                prop_assert!(within <= (answered + ended) as f64 + 1e-6, "{within} at {at:?}");
                prop_assert!(within >= answered as f64 - 1e-6, "{within} at {at:?}");
            }
        }
    }
}
