//! How a load went.

use std::time::Duration;

use hdrhistogram::Histogram;

/// The longest latency that is told apart: a minute.
const LONGEST: u64 = 60_000_000_000;

/// Latencies, to three digits, between a microsecond and a minute.
#[derive(Debug, Clone)]
pub struct Latencies(Option<Histogram<u64>>);

impl Default for Latencies {
    fn default() -> Self {
        // The bounds are valid, so there is a histogram.
        Self(Histogram::new_with_bounds(1_000, LONGEST, 3).ok())
    }
}

impl Latencies {
    pub(crate) fn record(&mut self, nanos: u64) {
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record(nanos);
        }
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

    /// How many lie in each of so many equally wide steps from the least to the greatest: the
    /// upper end of each step, and the count.
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

/// What can go wrong with a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Failure {
    /// Nobody listens, or the system refused to dial.
    Connect,
    /// No port is left to dial from: too many connections to one address in too short a time.
    NoPort,
    /// The handshake was not over in time.
    ConnectTimeout,
    /// The server ended the stream after the proof, before any reply.
    Refused,
    /// The server ended the stream later.
    Closed,
    /// The connection broke.
    Reset,
    /// A reply was not what it must be.
    WrongReply,
    /// A reply came that nothing had asked for, or the framing was violated.
    Violation,
}

impl Failure {
    /// All of them, in the order in which they are reported.
    pub const ALL: [Self; 8] = [
        Self::Connect,
        Self::NoPort,
        Self::ConnectTimeout,
        Self::Refused,
        Self::Closed,
        Self::Reset,
        Self::WrongReply,
        Self::Violation,
    ];

    /// A few words for the report.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "cannot connect",
            Self::NoPort => "no port left",
            Self::ConnectTimeout => "connect timeout",
            Self::Refused => "refused",
            Self::Closed => "closed",
            Self::Reset => "reset",
            Self::WrongReply => "wrong reply",
            Self::Violation => "protocol violated",
        }
    }
}

/// How a load went, the warm-up left out.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Report {
    /// How long it took.
    pub elapsed: Duration,
    /// Messages that were answered rightly.
    pub answered: u64,
    /// Messages that were on their way when it ended. That is no failure.
    pub aborted: u64,
    /// Connections whose handshake was gone through.
    pub connected: u64,
    /// Bytes that were sent.
    pub bytes_out: u64,
    /// Bytes that were received.
    pub bytes_in: u64,
    /// From dialling until the connection stood.
    pub connect: Latencies,
    /// From then until the proof was sent.
    pub handshake: Latencies,
    /// From when the first message of a connection was due until its reply.
    pub first_reply: Latencies,
    /// From when a message was due until its reply.
    pub reply: Latencies,
    /// The share of the time in which the loop had something to do, from 0 to 1. Near 1, the load
    /// was limited by itself.
    pub busy: f64,
    failures: [u64; Failure::ALL.len()],
}

impl Report {
    /// How often something went wrong in this way.
    #[must_use]
    pub fn failures(&self, failure: Failure) -> u64 {
        self.by_failure().find(|(each, _)| *each == failure).map_or(0, |(_, count)| count)
    }

    /// Every way in which something can go wrong, with its count.
    pub fn by_failure(&self) -> impl Iterator<Item = (Failure, u64)> {
        Failure::ALL.into_iter().zip(self.failures)
    }

    /// How often something went wrong.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failures.iter().sum()
    }

    /// The share of what was tried that went right, from 0 to 1.
    #[must_use]
    pub fn success_rate(&self) -> f64 {
        let tried = self.answered + self.failed();
        if tried == 0 { 0.0 } else { self.answered as f64 / tried as f64 }
    }

    /// Replies a second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 { self.answered as f64 / seconds } else { 0.0 }
    }

    pub(crate) fn count(&mut self, failure: Failure) {
        let place = Failure::ALL.iter().position(|each| *each == failure);
        if let Some(count) = place.and_then(|place| self.failures.get_mut(place)) {
            *count += 1;
        }
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
    fn a_latency_past_the_longest_counts_as_the_longest() {
        let mut latencies = Latencies::default();
        latencies.record(u64::MAX);
        assert!(latencies.max() >= Duration::from_secs(59));
        assert_eq!(latencies.count(), 1);
    }

    #[test]
    fn the_share_that_went_right_counts_failures() {
        let mut report = Report { answered: 3, ..Report::default() };
        Failure::ALL.into_iter().for_each(|failure| report.count(failure));
        assert!(report.by_failure().all(|(_, count)| count == 1));
        assert!((report.success_rate() - 3.0 / 11.0).abs() < 1e-9);
    }
}
