//! The recorder of a load's intervals.
//!
//! Nothing is counted twice. At the end of an interval the report is compared to what it was at the
//! end of the interval before, so that a message costs nothing more.

use std::time::Duration;

use crate::busy::Busy;
use crate::intervals::{Interval, Intervals};
use crate::message_source::MessageSource;
use crate::pacer::{Nanos, nanos};
use crate::report::Report;
use crate::sparse_latencies::SparseLatencies;

/// The shortest interval: cutting one takes a look at the whole histogram.
const SHORTEST: Duration = Duration::from_millis(100);

/// The share of an interval's length below which the last one is a part of the one before.
const SHORT: f64 = 0.05;

/// Cuts a load into intervals while it runs.
#[derive(Debug)]
pub(super) struct IntervalRecorder {
    /// When the measurement began.
    start: Nanos,
    /// When the interval ends that is going on. The last instant if nobody wants intervals.
    end: Nanos,
    /// What was counted up to its beginning, without latencies.
    before: Interval,
    /// The latencies up to its beginning.
    replies: SparseLatencies,
}

impl IntervalRecorder {
    /// Begins at this time, with intervals of this length, or with none.
    pub(super) fn new(start: Nanos, length: Option<Duration>, report: &mut Report) -> Self {
        let length = length.map(|length| length.max(SHORTEST));
        report.intervals = Intervals::new(length.unwrap_or_default(), Vec::new());
        let (before, replies) = (Interval::default(), SparseLatencies::default());
        let end = length.map_or(Nanos::MAX, |length| start.saturating_add(nanos(length)));
        Self { start, end, before, replies }
    }

    /// Ends the interval that is going on if it is over. Then what has happened since counts for
    /// the one after it.
    #[inline]
    pub(super) fn turn(
        &mut self,
        now: Nanos,
        report: &mut Report,
        source: &MessageSource,
        busy: &Busy,
    ) {
        if now >= self.end {
            self.push(now, report, source, busy);
        }
    }

    /// Ends the interval that is over, and those that the loop has slept through.
    #[cold]
    fn push(&mut self, now: Nanos, report: &mut Report, source: &MessageSource, busy: &Busy) {
        let mut interval = self.cut(now, report, source, busy);
        while self.end <= now {
            interval.length = report.intervals.length();
            report.intervals.push(std::mem::take(&mut interval));
            let (length, count) = (report.intervals.length(), report.intervals.iter().count());
            let end = nanos(length).saturating_mul(count as u64 + 1);
            self.end = self.start.saturating_add(end);
        }
    }

    /// Ends the last interval, which the end of the load has shortened.
    pub(super) fn finish(
        &mut self,
        now: Nanos,
        report: &mut Report,
        source: &MessageSource,
        busy: &Busy,
    ) {
        if self.end == Nanos::MAX {
            return;
        }
        self.turn(now, report, source, busy);
        let begun = self.end - nanos(report.intervals.length());
        let mut last = self.cut(now, report, source, busy);
        last.length = Duration::from_nanos(now.saturating_sub(begun));
        let is_short = last.length < report.intervals.length().mul_f64(SHORT);
        match report.intervals.is_empty() || !is_short {
            true => report.intervals.push(last),
            false => report.intervals.extend_last(&last),
        }
    }

    /// What was counted since the last time.
    fn cut(
        &mut self,
        now: Nanos,
        report: &Report,
        source: &MessageSource,
        busy: &Busy,
    ) -> Interval {
        let total = Interval {
            sent: source.taken(),
            busy: Duration::from_nanos(busy.time(now.saturating_sub(self.start))),
            ..report.so_far()
        };
        let mut interval = total.since(&self.before);
        interval.reply = SparseLatencies::since(&mut self.replies, &report.reply);
        self.before = total;
        interval
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::FailureKind;
    use crate::pacer::Pacer;
    use crate::plan::Arrival;
    use crate::share::Share;

    const SECOND: Nanos = 1_000_000_000;

    /// Records replies at these times, with a latency of as many microseconds.
    fn record(times: impl Iterator<Item = Nanos>, end: Nanos) -> Report {
        let source = MessageSource::new(Pacer::new(Arrival::Closed, 7, Share::WHOLE), None, 0, end);
        let (mut report, busy) = (Report::default(), Busy::start());
        let mut recorder = IntervalRecorder::new(0, Some(Duration::from_secs(1)), &mut report);
        for (number, now) in (1..).zip(times) {
            recorder.turn(now, &mut report, &source, &busy);
            report.answer(number * 1_000, 1);
            report.bytes_in += 10;
        }
        report.lose(FailureKind::Closed, 2, 2);
        recorder.finish(end, &mut report, &source, &busy);
        report
    }

    fn counts(report: &Report) -> Vec<u64> {
        report.intervals.iter().map(|(_, each)| each.answered).collect()
    }

    #[test]
    fn each_reply_belongs_to_the_interval_of_its_time() {
        let millis = [0, 999, 1_000, 4_001, 4_999, 5_000, 5_400];
        let report = record(millis.into_iter().map(|at| at * 1_000_000), 5_500_000_000);
        assert_eq!(counts(&report), [2, 1, 0, 0, 2, 2]);
        let intervals: Vec<_> = report.intervals.iter().collect();
        let (start, last) = intervals[5];
        assert_eq!((start.as_millis(), last.length.as_millis()), (5_000, 500));
        assert_eq!((last.failed(), last.connections_lost, last.bytes_in), (2, 1, 20));
        let latencies: Vec<u64> =
            intervals.iter().flat_map(|(_, each)| each.reply.recorded()).map(|it| it.1).collect();
        assert_eq!(latencies, [1; 7]);
        assert_eq!(intervals[4].1.reply.at(0.5).map(|at| at.as_micros()), Some(4));
    }

    #[test]
    fn what_comes_just_after_the_last_interval_belongs_to_it() {
        for (end, lasts) in [(2_049, vec![1_000, 1_049]), (2_050, vec![1_000, 1_000, 50])] {
            let millis = [0, 1_500, 2_001].into_iter();
            let report = record(millis.map(|at| at * 1_000_000), end * 1_000_000);
            let lengths = report.intervals.iter().map(|(_, each)| each.length.as_millis());
            assert_eq!(lengths.collect::<Vec<_>>(), lasts);
            assert_eq!(counts(&report).iter().sum::<u64>(), 3);
        }
    }

    #[test]
    fn a_long_run_has_longer_intervals_and_not_more_of_them() {
        let report = record((0..1_000).map(|at| at * SECOND), 1_000 * SECOND);
        assert_eq!(report.intervals.length(), Duration::from_secs(4));
        assert_eq!(counts(&report), [4; 250]);
        // A machine that sleeps makes a gap, and neither a hang nor a long list.
        let report = record([0, 1_000_000 * SECOND].into_iter(), 1_000_001 * SECOND);
        let (length, counts) = (report.intervals.length().as_secs(), counts(&report));
        assert!(length >= 4_096 && counts.len() <= 300, "{length} {}", counts.len());
        assert_eq!((counts[0], counts.last(), counts.iter().sum()), (1, Some(&1), 2_u64));
    }

    #[test]
    fn intervals_of_several_loads_are_added_by_their_time() {
        let one = record((0..10).map(|at| at * SECOND), 10 * SECOND).intervals;
        for (after, expected) in [
            (0, vec![2; 10]),
            (2, vec![1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1]),
            (12, vec![1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]),
        ] {
            let mut both = one.clone();
            both.merge(one.clone(), Duration::from_millis(after * 1_000 + 400));
            let answered = both.iter().map(|(_, each)| each.answered);
            assert_eq!(answered.collect::<Vec<u64>>(), expected, "{after}");
            assert!(both.iter().all(|(_, each)| each.length == Duration::from_secs(1)));
        }
        let long = record((0..400).map(|at| at * SECOND), 400 * SECOND).intervals;
        for (mut both, other) in [(one.clone(), long.clone()), (long, one)] {
            both.merge(other, Duration::ZERO);
            let answered: Vec<u64> = both.iter().map(|(_, each)| each.answered).collect();
            assert_eq!((answered.len(), &answered[..6]), (200, &[4, 4, 4, 4, 4, 2][..]));
        }
    }
}
