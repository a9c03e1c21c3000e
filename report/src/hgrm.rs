//! The percentile distribution that HdrHistogram prints, for its plotters.

use std::fmt::Write as _;

use countersign_load::Report;

use crate::histogram::histogram;

/// Lines each time that the share of the messages above halves, as in other tools.
const TICKS_PER_HALF: u32 = 5;

/// Nanoseconds of a millisecond, the unit in which the plotters expect latencies.
const MILLISECOND: f64 = 1e6;

/// The counts in each half of the histogram's range, which three digits need.
const SUB_BUCKETS: u32 = 2048;

/// The distribution of the latencies of all replies, in milliseconds, in the format of
/// HdrHistogram's `outputPercentileDistribution` (files that end in `.hgrm`).
#[must_use]
pub fn hgrm(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a string succeeds.
    let _ = writeln!(
        out,
        "{:>12} {:>14} {:>10} {:>14}\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    );
    let Some(replies) = histogram(report.reply.recorded()) else { return out };
    let mut total = 0;
    for step in replies.iter_quantiles(TICKS_PER_HALF) {
        total += step.count_since_last_iteration();
        let (value, share) = (millis(step.value_iterated_to()), step.quantile_iterated_to());
        let _ = match share < 1.0 {
            true => {
                writeln!(out, "{value:12.3} {share:.12} {total:10} {:14.2}", 1.0 / (1.0 - share))
            }
            false => writeln!(out, "{value:12.3} {share:.12} {total:10}"),
        };
    }
    let [mean, deviation] = [replies.mean(), replies.stdev()].map(|nanos| nanos / MILLISECOND);
    let max = if replies.is_empty() { 0.0 } else { millis(replies.max()) };
    let (count, buckets) = (replies.len(), replies.buckets());
    let _ = writeln!(out, "#[Mean    = {mean:12.3}, StdDeviation   = {deviation:12.3}]");
    let _ = writeln!(out, "#[Max     = {max:12.3}, Total count    = {count:12}]");
    let _ = writeln!(out, "#[Buckets = {buckets:12}, SubBuckets     = {SUB_BUCKETS:12}]");
    out
}

fn millis(nanos: u64) -> f64 {
    nanos as f64 / MILLISECOND
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distribution_has_the_shape_that_other_tools_print() {
        let mut report = Report::default();
        report.reply.extend([(1_000_000, 990), (2_000_000, 9), (1_500_000_000, 1)]);
        let text = hgrm(&report);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "       Value     Percentile TotalCount 1/(1-Percentile)");
        assert_eq!(lines[1], "");
        assert_eq!(lines[2], "       1.000 0.000000000000        990           1.00");
        let end = [
            "    1500.512 1.000000000000       1000",
            "#[Mean    =        2.508, StdDeviation   =       47.378]",
            "#[Max     =     1500.512, Total count    =         1000]",
            "#[Buckets =           23, SubBuckets     =         2048]",
        ];
        assert_eq!(lines[lines.len() - 4..], end);
        let empty = hgrm(&Report::default());
        assert!(empty.contains("Total count    =            0]"), "{empty}");
    }
}
