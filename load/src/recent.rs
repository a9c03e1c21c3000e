//! The last seconds of a load that is running.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::intervals::Interval;
use crate::report::Report;
use crate::sparse_latencies::SparseLatencies;

/// The seconds that are kept.
const MOST: u64 = 60;

/// The last seconds of a load that is running, one by one, for a view of it.
///
/// Each loop has one, which takes what the watcher of [`Load::run`](crate::Load::run) is shown.
/// Unlike the intervals of a report, these are always seconds, and only the last minute is kept.
#[derive(Debug, Clone, Default)]
pub struct Recent {
    /// By their number since the start. A second in which the loop was not watched is missing, and
    /// what happened in it belongs to the one that follows.
    seconds: BTreeMap<u64, Interval>,
    /// The number of the second that is going on.
    current: u64,
    /// What was counted before it, without latencies.
    before: Interval,
    /// The latencies before it.
    replies: SparseLatencies,
}

impl Recent {
    /// Takes the report so far. Returns whether a second is over.
    pub fn record(&mut self, report: &Report) -> bool {
        let now = report.elapsed.as_secs();
        if now <= self.current {
            return false;
        }
        let total = Interval { length: Duration::from_secs(now), ..report.so_far() };
        let mut second = total.since(&self.before);
        second.reply = SparseLatencies::since(&mut self.replies, &report.reply);
        self.seconds.insert(now - 1, second);
        (self.before, self.current) = (total, now);
        self.seconds = self.seconds.split_off(&now.saturating_sub(MOST));
        true
    }

    /// The last seconds of several loops together, as far as all of them have come.
    #[must_use]
    pub fn together(loops: &[Self]) -> Vec<Interval> {
        let over = loops.iter().map(|each| each.current).min().unwrap_or_default();
        let mut all = BTreeMap::<u64, Interval>::new();
        for (number, second) in loops.iter().flat_map(|each| each.seconds.range(..over)) {
            let both = all.entry(*number).or_default();
            both.add(second);
            both.length = both.length.max(second.length);
        }
        all.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A report after so many milliseconds, with so many replies of a millisecond.
    fn report(millis: u64, replies: u64) -> Report {
        let mut report =
            Report { elapsed: Duration::from_millis(millis), connected: 1, ..Report::default() };
        report.answer(1_000_000, replies);
        report
    }

    fn answered(seconds: &[Interval]) -> Vec<u64> {
        seconds.iter().map(|second| second.answered).collect()
    }

    #[test]
    fn each_second_has_what_was_counted_in_it() {
        let mut recent = Recent::default();
        let cuts = [(100, 1), (1_000, 5), (1_900, 8), (2_050, 9), (5_010, 30)]
            .map(|(millis, replies)| recent.record(&report(millis, replies)));
        assert_eq!(cuts, [false, true, false, true, true]);
        let seconds = Recent::together(&[recent]);
        assert_eq!(answered(&seconds), [5, 4, 21]);
        let lengths: Vec<u64> = seconds.iter().map(|second| second.length.as_secs()).collect();
        assert_eq!(lengths, [1, 1, 3], "nobody has watched for three seconds");
        let latencies: Vec<u64> = seconds.iter().map(|second| second.reply.count()).collect();
        assert_eq!(latencies, [5, 4, 21]);
        assert_eq!(seconds.iter().map(|second| second.connected).sum::<u64>(), 1);
    }

    #[test]
    fn a_minute_is_kept() {
        let mut recent = Recent::default();
        for second in 1..=100 {
            recent.record(&report(second * 1_000, second * second));
        }
        let seconds = Recent::together(&[recent]);
        assert_eq!((seconds.len(), seconds[0].answered, seconds[59].answered), (60, 81, 199));
    }

    #[test]
    fn several_loops_are_shown_as_far_as_all_have_come() {
        let mut loops = [Recent::default(), Recent::default()];
        loops[0].record(&report(1_000, 3));
        assert_eq!(Recent::together(&loops).len(), 0);
        loops[0].record(&report(2_000, 4));
        loops[1].record(&report(1_020, 7));
        assert_eq!(answered(&Recent::together(&loops)), [10]);
        loops[1].record(&report(2_020, 17));
        assert_eq!(answered(&Recent::together(&loops)), [10, 11]);
    }
}
