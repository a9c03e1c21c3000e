//! The interval log of HdrHistogram.

use std::time::{Duration, SystemTime};

use countersign_load::Report;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::IntervalLogWriterBuilder;

use crate::histogram::histogram;

/// The longest latency of an interval is shown in milliseconds. All else is in nanoseconds.
const MILLISECOND: f64 = 1e6;

/// The latencies of the replies in each interval, in nanoseconds, in the format of HdrHistogram's
/// interval log (files that end in `.hlog`).
#[must_use]
pub fn hlog(report: &Report) -> String {
    let (mut out, mut serializer) = (Vec::new(), V2DeflateSerializer::new());
    let start = SystemTime::UNIX_EPOCH.checked_add(report.start).unwrap_or(SystemTime::UNIX_EPOCH);
    let mut builder = IntervalLogWriterBuilder::new();
    builder
        .add_comment("[Histogram log format version 1.3]")
        .add_comment("[Latencies of replies in nanoseconds]")
        .with_start_time(start)
        .with_base_time(start)
        .with_max_value_divisor(MILLISECOND);
    // Memory takes whatever is written.
    if let Ok(mut log) = builder.begin_log_with(&mut out, &mut serializer) {
        for (start, interval) in report.intervals.iter() {
            let Some(replies) = histogram(interval.reply.recorded()) else { continue };
            let length = interval.length.max(Duration::from_millis(1));
            let _ = log.write_histogram(&replies, start, length, None);
        }
    }
    String::from_utf8(out).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use countersign_load::{Interval, Intervals, Latencies};
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    use super::*;
    use crate::histogram::decode;

    #[test]
    fn the_intervals_of_a_log_have_all_replies() {
        let mut report = Report::default();
        report.start = Duration::from_millis(1_800_000_000_250);
        let intervals = [10_000, 20_000].map(|nanos| {
            let mut interval = Interval::default();
            interval.length = Duration::from_secs(1);
            interval.reply = [(nanos, 5)].into_iter().collect();
            interval
        });
        report.intervals = Intervals::new(Duration::from_secs(1), intervals.to_vec());
        let log = hlog(&report);
        assert!(log.starts_with("#[Histogram log format version 1.3]\n"), "{log}");
        let mut read = Latencies::default();
        let mut starts = Vec::new();
        for entry in IntervalLogIterator::new(log.as_bytes()) {
            match entry.unwrap() {
                LogEntry::Interval(interval) => {
                    starts.push(interval.start_timestamp().as_secs());
                    read.add(&decode(interval.encoded_histogram()).unwrap());
                }
                LogEntry::BaseTime(time) | LogEntry::StartTime(time) => {
                    assert_eq!(time, report.start);
                }
            }
        }
        assert_eq!((starts, read.count()), (vec![0, 1], 10));
    }
}
