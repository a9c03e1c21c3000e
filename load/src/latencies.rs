//! Latencies in a histogram of a fixed size.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;

/// The shortest latency in the histogram, in nanoseconds.
const SHORTEST: u64 = 1_000;

/// The longest, in nanoseconds: 292 years. No run lasts that long, so nothing is cut.
const LONGEST: u64 = i64::MAX.unsigned_abs();

/// Latencies of a microsecond and more, to three digits.
#[derive(Clone)]
pub struct Latencies(Option<Histogram<u64>>);

impl Default for Latencies {
    fn default() -> Self {
        // The bounds are valid, so there is a histogram.
        Self(Histogram::new_with_bounds(SHORTEST, LONGEST, 3).ok())
    }
}

impl fmt::Debug for Latencies {
    /// In few words: a histogram has ten thousand numbers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {:?} to {:?}", self.count(), self.min(), self.max())
    }
}

impl Latencies {
    pub(super) fn record(&mut self, nanos: u64) {
        self.record_many(nanos, 1);
    }

    /// Records the same latency several times.
    pub fn record_many(&mut self, nanos: u64, times: u64) {
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record_n(nanos, times);
        }
    }

    /// Adds others.
    pub fn add(&mut self, others: &Self) {
        if let (Some(histogram), Some(others)) = (&mut self.0, &others.0) {
            // Their bounds are the same, so it fits.
            let _ = histogram.add(others);
        }
    }

    /// The latencies that were recorded, in nanoseconds, to three digits, with how often each was;
    /// the least first.
    pub fn recorded(&self) -> impl Iterator<Item = (u64, u64)> {
        let all = self.0.iter().flat_map(Histogram::iter_recorded);
        all.map(|step| (step.value_iterated_to(), step.count_since_last_iteration()))
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.as_ref().map_or(0, Histogram::len)
    }

    /// The latency that this share (0 to 1) stay within.
    #[must_use]
    pub fn at(&self, quantile: f64) -> Duration {
        self.value(|histogram| histogram.value_at_quantile(quantile))
    }

    /// The least.
    #[must_use]
    pub fn min(&self) -> Duration {
        self.value(Histogram::min)
    }

    /// The greatest.
    #[must_use]
    pub fn max(&self) -> Duration {
        self.value(Histogram::max)
    }

    /// The mean.
    #[must_use]
    pub fn mean(&self) -> Duration {
        Duration::from_secs_f64(self.0.as_ref().map_or(0.0, Histogram::mean) / 1e9)
    }

    /// A histogram with this many equal steps from the least to the greatest value: the upper end
    /// of each step, and the count.
    #[must_use]
    pub fn bars(&self, steps: u32) -> Vec<(Duration, u64)> {
        let (least, greatest) = (self.min(), self.max());
        let step = (greatest - least) / steps.max(1);
        let Some(histogram) = self.0.as_ref().filter(|histogram| !histogram.is_empty()) else {
            return Vec::new();
        };
        let upto = |duration: Duration| {
            let nanos = u64::try_from(duration.as_nanos()).unwrap_or(LONGEST);
            histogram.count_between(0, nanos)
        };
        let mut before = 0;
        let ends = (1..=steps).map(|n| if n == steps { greatest } else { least + step * n });
        ends.map(|end| {
            let count = upto(end);
            (end, count - std::mem::replace(&mut before, count))
        })
        .collect()
    }

    fn value(&self, of: impl Fn(&Histogram<u64>) -> u64) -> Duration {
        let filled = self.0.as_ref().filter(|histogram| !histogram.is_empty());
        Duration::from_nanos(filled.map_or(0, of))
    }
}

impl Extend<(u64, u64)> for Latencies {
    /// Records latencies in nanoseconds, each so many times.
    fn extend<I: IntoIterator<Item = (u64, u64)>>(&mut self, recorded: I) {
        recorded.into_iter().for_each(|(nanos, times)| self.record_many(nanos, times));
    }
}

impl FromIterator<(u64, u64)> for Latencies {
    fn from_iter<I: IntoIterator<Item = (u64, u64)>>(recorded: I) -> Self {
        let mut latencies = Self::default();
        latencies.extend(recorded);
        latencies
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_cover_every_latency_once() {
        let mut latencies = Latencies::default();
        assert!(latencies.bars(5).is_empty());
        for millis in 1..=100 {
            latencies.record(millis * 1_000_000);
        }
        let bars = latencies.bars(5);
        assert_eq!(bars.len(), 5);
        assert_eq!(bars.iter().map(|(_, count)| count).sum::<u64>(), 100);
        assert!(bars.iter().all(|(_, count)| (19..=21).contains(count)), "{bars:?}");
    }

    #[test]
    fn a_latency_of_hours_or_years_is_kept_as_it_is() {
        for seconds in [84, 3_600 * 30, 86_400 * 365 * 200] {
            let mut latencies = Latencies::default();
            latencies.record(seconds * 1_000_000_000);
            let max = latencies.max().as_secs_f64();
            assert!((max / seconds as f64 - 1.0).abs() < 1e-3, "{seconds} s became {max} s");
        }
        let mut latencies = Latencies::default();
        latencies.record(u64::MAX);
        assert_eq!(latencies.count(), 1);
    }

    #[test]
    fn latencies_are_the_same_made_of_those_that_were_recorded() {
        let latencies = Latencies::from_iter([(1, 2), (1_000_000, 3), (u64::MAX, 1)]);
        let again = Latencies::from_iter(latencies.recorded());
        assert!(latencies.recorded().eq(again.recorded()));
        assert_eq!((again.count(), again.max()), (6, latencies.max()));
    }
}
