//! The intervals of a load in JSON.

use std::time::Duration;

use countersign_load::{Interval, Report};
use serde::{Deserialize, Serialize};

use crate::error::{COUNT_MAX, SECONDS_MAX, SavedReportError};
use crate::figures::{Counts, Percentiles, counts, duration, failures, percentiles, seconds};
use crate::histogram::{decode, encode, histogram};

/// The percentiles of an interval.
pub(crate) const PERCENTILES: [f64; 5] = [50.0, 90.0, 99.0, 99.9, 99.99];

/// What a load has done in a part of its time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct IntervalRecord {
    /// When it began, since the start of the measurement.
    pub start: f64,
    /// How long it was.
    pub duration: f64,
    /// Messages that clients took up to send.
    pub sent: u64,
    /// Messages that were answered correctly.
    pub answered: u64,
    /// Messages that failed.
    pub failed: u64,
    /// Replies per second.
    pub requests_per_sec: f64,
    /// Messages per second that the stages of an open loop asked for, on average.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_rate: Option<f64>,
    /// How many cores the server has used on average, if its metrics were read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_busy: Option<f64>,
    /// Of the replies in this interval; null without any.
    pub latency_percentiles: Percentiles,
    /// The longest latency of a reply in this interval.
    pub slowest: Option<f64>,
    /// The mean latency of the replies in this interval.
    pub average: Option<f64>,
    /// Messages that failed, by the kind of failure.
    pub error_distribution: Counts,
    /// Handshakes that were completed.
    pub connected: u64,
    /// Connections that failed or were lost.
    pub connections_lost: u64,
    /// Bytes that were sent.
    pub bytes_sent: u64,
    /// Bytes that were received.
    pub bytes_received: u64,
    /// The share of its time that the load generator was busy, from 0 to 1.
    pub load_busy: f64,
    /// All latencies of the replies in this interval, as in [`Histograms`](crate::Histograms).
    pub histogram: String,
}

/// All intervals of a report.
pub(crate) fn interval_records(report: &Report) -> Vec<IntervalRecord> {
    let loops = report.busy.len().max(1);
    let intervals = report.intervals.iter();
    intervals.map(|(start, interval)| IntervalRecord::new(start, interval, loops)).collect()
}

impl IntervalRecord {
    /// That of an interval in which there were so many loops.
    fn new(start: Duration, interval: &Interval, loops: usize) -> Self {
        let replies = histogram(interval.reply.recorded()).filter(|replies| !replies.is_empty());
        let nanos = |nanos| seconds(Duration::from_nanos(nanos));
        let time = interval.length.as_secs_f64() * loops as f64;
        Self {
            start: seconds(start),
            duration: seconds(interval.length),
            sent: interval.sent,
            answered: interval.answered,
            failed: interval.failed(),
            requests_per_sec: interval.per_second(),
            requested_rate: None,
            server_busy: None,
            latency_percentiles: percentiles(&PERCENTILES, |share| interval.reply.at(share)),
            slowest: replies.as_ref().map(|replies| nanos(replies.max())),
            average: replies.as_ref().map(|replies| replies.mean() / 1e9),
            error_distribution: counts(&interval.failures),
            connected: interval.connected,
            connections_lost: interval.connections_lost,
            bytes_sent: interval.bytes_out,
            bytes_received: interval.bytes_in,
            load_busy: if time > 0.0 { (seconds(interval.busy) / time).min(1.0) } else { 0.0 },
            histogram: encode(interval.reply.recorded()),
        }
    }

    /// Whether a load can have these figures.
    pub(crate) fn is_possible(&self) -> bool {
        let counts = [
            self.sent,
            self.answered,
            self.connected,
            self.connections_lost,
            self.bytes_sent,
            self.bytes_received,
        ];
        let mut counts = counts.iter().chain(self.error_distribution.values());
        (0.0..=SECONDS_MAX).contains(&self.duration)
            && (0.0..=1.0).contains(&self.load_busy)
            && counts.all(|count| *count <= COUNT_MAX)
    }

    /// The interval that this one was made of, in which there were so many loops.
    pub(crate) fn to_interval(&self, loops: usize) -> Result<Interval, SavedReportError> {
        let replies =
            decode(&self.histogram).ok_or(SavedReportError::Histogram("of an interval"))?;
        let mut interval = Interval::default();
        interval.length = duration(self.duration);
        interval.sent = self.sent;
        interval.answered = self.answered;
        interval.failures = failures(&self.error_distribution)?;
        interval.connected = self.connected;
        interval.connections_lost = self.connections_lost;
        interval.bytes_out = self.bytes_sent;
        interval.bytes_in = self.bytes_received;
        interval.busy = duration(self.load_busy * self.duration * loops as f64);
        interval.reply = replies.recorded().collect();
        Ok(interval)
    }
}
