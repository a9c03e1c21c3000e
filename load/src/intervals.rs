//! A load over time: what was counted in each of many intervals.

use std::time::Duration;

use crate::failure::Failures;
use crate::sparse_latencies::SparseLatencies;

/// The most intervals that are kept. It is even: if a run has more, each two become one.
const MOST: usize = 300;

/// A load over time, in intervals of equal length. When there are too many, they become twice as
/// long, so that memory is bounded.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Intervals {
    /// How long each is; the last may be shorter.
    length: Duration,
    list: Vec<Interval>,
}

/// What a load has done in a part of its time. What was in flight when the load ended has no place
/// here.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Interval {
    /// How long it was.
    pub length: Duration,
    /// Messages that clients took up to send.
    pub sent: u64,
    /// Messages that were answered rightly.
    pub answered: u64,
    /// Messages that failed.
    pub failures: Failures,
    /// Connections whose handshake was gone through.
    pub connected: u64,
    /// Connections that failed or were lost.
    pub connections_lost: u64,
    /// Bytes that were sent.
    pub bytes_out: u64,
    /// Bytes that were received.
    pub bytes_in: u64,
    /// How long the loops had something to do, added up.
    pub busy: Duration,
    /// The latencies of its replies.
    pub reply: SparseLatencies,
}

impl Intervals {
    /// Intervals of this length that follow each other; the last may be shorter.
    #[must_use]
    pub fn new(length: Duration, list: Vec<Interval>) -> Self {
        Self { length, list }
    }

    /// How long each is; the last may be shorter.
    #[must_use]
    pub fn length(&self) -> Duration {
        self.length
    }

    /// Each with the time at which it began, since the start of the measurement.
    pub fn iter(&self) -> impl Iterator<Item = (Duration, &Interval)> {
        let start =
            |number: usize| self.length.saturating_mul(u32::try_from(number).unwrap_or(u32::MAX));
        self.list.iter().enumerate().map(move |(number, each)| (start(number), each))
    }

    /// Whether there are none yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Adds those of another load, which began so long after this one.
    pub fn merge(&mut self, mut other: Self, after: Duration) {
        if other.list.is_empty() {
            return;
        }
        if self.list.is_empty() {
            self.length = other.length;
        }
        while self.length < other.length {
            self.double();
        }
        while other.length < self.length {
            other.double();
        }
        let offset = after.as_secs_f64() / self.length.as_secs_f64();
        let offset = (0..=MOST).rfind(|number| *number as f64 <= offset + 0.5).unwrap_or(0);
        let start = |number: usize| self.length * u32::try_from(number).unwrap_or(u32::MAX);
        let end = self.lasts().max(start(offset) + other.lasts());
        let count = self.list.len().max(offset + other.list.len());
        self.list.resize(count, Interval::default());
        for (ours, others) in self.list.iter_mut().skip(offset).zip(&other.list) {
            ours.add(others);
        }
        for (number, each) in self.list.iter_mut().enumerate() {
            each.length = end.saturating_sub(start(number)).min(self.length);
        }
        while self.list.len() > MOST {
            self.double();
        }
    }

    /// How long all of them last.
    fn lasts(&self) -> Duration {
        self.list.iter().map(|each| each.length).sum()
    }

    /// Adds one that follows the others.
    pub(super) fn push(&mut self, interval: Interval) {
        self.list.push(interval);
        if self.list.len() >= MOST {
            self.double();
        }
    }

    /// Adds to the last one what has come after it, within too short a time to be one of its own.
    pub(super) fn extend_last(&mut self, rest: &Interval) {
        if let Some(last) = self.list.last_mut() {
            last.add(rest);
            last.length += rest.length;
        }
    }

    /// Makes one of each two.
    pub fn double(&mut self) {
        self.length = self.length.saturating_mul(2);
        self.list = self
            .list
            .chunks(2)
            .map(|pair| {
                let mut both = Interval::default();
                for each in pair {
                    both.add(each);
                    both.length += each.length;
                }
                both
            })
            .collect();
    }
}

impl Interval {
    /// Messages that failed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failures.total()
    }

    /// Replies a second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        let seconds = self.length.as_secs_f64();
        if seconds > 0.0 { self.answered as f64 / seconds } else { 0.0 }
    }

    /// Adds what was counted in another.
    pub(super) fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.answered += other.answered;
        self.failures.merge(&other.failures);
        self.connected += other.connected;
        self.connections_lost += other.connections_lost;
        self.bytes_out += other.bytes_out;
        self.bytes_in += other.bytes_in;
        self.busy += other.busy;
        self.reply.merge(&other.reply);
    }

    /// What was counted here and not yet there.
    pub(super) fn since(&self, before: &Self) -> Self {
        let mut failures = Failures::default();
        for ((kind, count), (_, had)) in self.failures.iter().zip(before.failures.iter()) {
            failures.add(kind, count.saturating_sub(had));
        }
        Self {
            length: self.length.saturating_sub(before.length),
            sent: self.sent.saturating_sub(before.sent),
            answered: self.answered.saturating_sub(before.answered),
            failures,
            connected: self.connected.saturating_sub(before.connected),
            connections_lost: self.connections_lost.saturating_sub(before.connections_lost),
            bytes_out: self.bytes_out.saturating_sub(before.bytes_out),
            bytes_in: self.bytes_in.saturating_sub(before.bytes_in),
            busy: self.busy.saturating_sub(before.busy),
            reply: SparseLatencies::default(),
        }
    }
}
