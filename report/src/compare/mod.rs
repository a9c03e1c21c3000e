//! Whether two runs differ, or are within noise.

mod statistics;
mod table;
#[cfg(test)]
mod tests;

use std::time::Duration;

use countersign_load::{Interval, Intervals, Report};

use crate::error::SavedReportError;
use crate::parameters;
use crate::saved_report::SavedReport;
use crate::text::{BUSY, mean};
use statistics::{drift, holm, quartiles, two_proportions, welch_on_ranks};

/// The intervals that a run needs at least: with fewer, no difference is significant.
const INTERVALS_MIN: usize = 7;

/// The share of the length of the others that the last interval needs, to be compared with them.
const LAST_MIN: f64 = 0.5;

/// The percentiles that are compared.
const PERCENTILES: [f64; 5] = [50.0, 90.0, 99.0, 99.9, 99.99];

/// A change that is larger than this, as a share, is not called noise even if it may be.
const LARGE: f64 = 0.1;

/// Parameters that always differ, and don't matter.
const OF_RUN: &[&str] = &["start", "commandLine", "interrupted"];

/// Why a figure that each interval has can't be judged.
const TOO_FEW: &str = "too few intervals";

/// How strict a comparison is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Strictness {
    /// How probable it may be that a difference is called one where there is none.
    pub alpha: f64,
    /// The least change that counts, as a share.
    pub threshold: f64,
}

impl Default for Strictness {
    /// Once in twenty times, and two percent.
    fn default() -> Self {
        Self { alpha: 0.05, threshold: 0.02 }
    }
}

/// Two runs beside each other.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Comparison {
    /// How strict it is.
    pub strictness: Strictness,
    /// How many intervals of each run were compared, and how long each was.
    pub intervals: [usize; 2],
    /// The length of an interval.
    pub interval: Duration,
    /// The parameters in which the runs differ, with both values.
    pub parameters: Vec<(String, [String; 2])>,
    /// The figures.
    pub rows: Vec<ComparisonRow>,
    /// What makes the comparison doubtful.
    pub warnings: Vec<String>,
}

/// A figure of two runs: the medians over their intervals.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ComparisonRow {
    /// Its name.
    pub name: String,
    /// How it is written.
    pub kind: FigureKind,
    /// Its value in each run, if there is one.
    pub values: [Option<f64>; 2],
    /// Half of the range between the quartiles, as a share of the value.
    pub spreads: Option<[f64; 2]>,
    /// By how much it has changed, as a share of the first value.
    pub change: Option<f64>,
    /// By how much a run differs from itself: the first half of its intervals from the second, as a
    /// share of the value. Of the run in which that is more.
    pub drift: f64,
    /// How probable such a difference is between two runs of the same, given that so many figures
    /// are compared.
    pub p: Option<f64>,
    /// What that means.
    pub verdict: Difference,
}

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FigureKind {
    /// Messages per second: more is better.
    Rate,
    /// Seconds: less is better.
    Time,
    /// A share from 0 to 1: less is better.
    Share,
}

/// What a comparison of a figure has found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Difference {
    /// The second run is better.
    Better,
    /// The second run is worse.
    Worse,
    /// They don't differ by more than chance, by enough to count, or by more than a run differs
    /// from itself.
    WithinNoise,
    /// They differ by much, but so does each run from itself.
    TooVariable,
    /// It wasn't compared, for this reason.
    NotJudged(&'static str),
}

impl Comparison {
    /// Compares a run to an earlier one.
    ///
    /// # Errors
    ///
    /// A histogram of one is damaged.
    pub fn new(
        [one, other]: [&SavedReport; 2],
        strictness: Strictness,
    ) -> Result<Self, SavedReportError> {
        let saved = [one, other];
        let mut reports = [one.to_report()?, other.to_report()?];
        let interval = same_length(&mut reports);
        let runs = reports.each_ref().map(|report| whole(&report.intervals));
        let errors = errors(&saved, &reports);
        let mut rows = judged(over_time(&runs).chain([errors]).collect(), strictness);
        rows.push(busy(&reports));
        rows.extend(server_busy(&reports));
        Ok(Self {
            strictness,
            intervals: runs.each_ref().map(Vec::len),
            interval,
            parameters: different(&saved),
            rows,
            warnings: warnings(&reports, &runs),
        })
    }

    /// Whether any figure is worse in the second run.
    #[must_use]
    pub fn is_worse(&self) -> bool {
        self.rows.iter().any(|row| row.verdict == Difference::Worse)
    }

    /// Whether anything over time could be compared.
    #[must_use]
    pub fn is_judged(&self) -> bool {
        self.intervals.iter().all(|count| *count >= INTERVALS_MIN)
    }
}

/// The figures that each interval has.
fn over_time(runs: &[Vec<&Interval>; 2]) -> impl Iterator<Item = ComparisonRow> {
    let rate = |interval: &Interval| Some(interval.per_second());
    let rate = ComparisonRow::of(runs, "Replies/s", FigureKind::Rate, TOO_FEW, rate);
    [rate].into_iter().chain(PERCENTILES.map(|percent| percentile(runs, percent)))
}

/// The figures with their verdicts, which they have together.
fn judged(mut rows: Vec<ComparisonRow>, strictness: Strictness) -> Vec<ComparisonRow> {
    let values = rows.iter_mut().filter_map(|row| row.p.as_mut());
    holm(&mut values.collect::<Vec<_>>());
    rows.iter_mut().for_each(|row| row.judge(strictness));
    rows
}

/// The intervals of a run that can be compared to each other: all, but the first, in which clients
/// connect, and the last if it is short.
fn whole(intervals: &Intervals) -> Vec<&Interval> {
    let least = intervals.length().mul_f64(LAST_MIN);
    let intervals = intervals.iter().skip(1).map(|(_, interval)| interval);
    intervals.filter(|interval| interval.length >= least).collect()
}

/// Makes the intervals of two runs equally long. Returns how long.
fn same_length(reports: &mut [Report; 2]) -> Duration {
    let longest = reports.each_ref().map(|report| report.intervals.length());
    let longest = longest.into_iter().max().unwrap_or_default();
    for report in reports {
        // A length of zero, which a damaged file may have, would never get longer.
        let can_grow = !report.intervals.is_empty() && !report.intervals.length().is_zero();
        while can_grow && report.intervals.length() * 2 <= longest {
            report.intervals.double();
        }
    }
    longest
}

impl ComparisonRow {
    /// A figure of each interval. A run without enough of them can't be judged, for this reason.
    fn of(
        runs: &[Vec<&Interval>; 2],
        name: &str,
        kind: FigureKind,
        too_few: &'static str,
        figure: impl Fn(&Interval) -> Option<f64>,
    ) -> Self {
        let samples = runs.each_ref().map(|run| -> Vec<f64> {
            run.iter().filter_map(|interval| figure(interval)).collect()
        });
        let quartiles = samples.each_ref().map(|samples| quartiles(samples));
        let value = |run: usize| (!samples[run].is_empty()).then_some(quartiles[run][1]);
        let values = [0, 1].map(value);
        let spread = |[lower, median, upper]: [f64; 3]| match median > 0.0 {
            true => (upper - lower) / 2.0 / median,
            false => 0.0,
        };
        let enough = samples.iter().all(|samples| samples.len() >= INTERVALS_MIN);
        Self {
            name: name.to_owned(),
            kind,
            values,
            spreads: Some(quartiles.map(spread)),
            change: values[0].filter(|it| *it > 0.0).zip(values[1]).map(|(a, b)| b / a - 1.0),
            drift: samples.iter().map(|samples| drift(samples)).fold(0.0, f64::max),
            p: enough.then(|| welch_on_ranks(&samples[0], &samples[1])),
            verdict: if enough { Difference::WithinNoise } else { Difference::NotJudged(too_few) },
        }
    }

    /// A figure of the whole runs.
    fn of_all(name: &str, values: [f64; 2], p: Option<f64>, verdict: Difference) -> Self {
        let (name, kind, drift) = (name.to_owned(), FigureKind::Share, 0.0);
        let values = values.map(Some);
        Self { name, kind, values, spreads: None, change: None, drift, p, verdict }
    }

    /// What the figure means, now that its p-value is one of several.
    fn judge(&mut self, strictness: Strictness) {
        let [before, after] = self.values;
        let counts = match self.kind {
            FigureKind::Share => true,
            _ => self.change.is_some_and(|it| it.abs() > strictness.threshold.max(self.drift)),
        };
        if counts && self.p.is_some_and(|p| p < strictness.alpha) {
            let is_better =
                if self.kind == FigureKind::Rate { after > before } else { after < before };
            self.verdict = if is_better { Difference::Better } else { Difference::Worse };
        } else if self.p.is_some()
            && self.change.is_some_and(|it| it.abs() > LARGE.max(strictness.threshold))
        {
            self.verdict = Difference::TooVariable;
        }
    }
}

/// A percentile of the latency. An interval with too few replies has none.
fn percentile(runs: &[Vec<&Interval>; 2], percent: f64) -> ComparisonRow {
    let needed = 100.0 / (100.0 - percent);
    let has_replies = |interval: &Interval| interval.reply.count() as f64 >= needed;
    ComparisonRow::of(
        runs,
        &format!("p{percent}"),
        FigureKind::Time,
        "too few replies in an interval",
        |interval| {
            let latency = interval.reply.at(percent / 100.0).filter(|_| has_replies(interval));
            latency.map(|latency| latency.as_secs_f64())
        },
    )
}

/// The share of messages that went wrong. Those in flight on a connection are lost with it, so they
/// count as one.
fn errors(saved: &[&SavedReport; 2], reports: &[Report; 2]) -> ComparisonRow {
    let shares = reports.each_ref().map(|report| 1.0 - report.success_rate());
    let counts = [0, 1].map(|run| {
        let report = &reports[run];
        let wrong = report.failed() + report.overdue() + report.lost_without_message;
        let together = saved[run].parameters.get("pipeline").as_u64().unwrap_or(1).max(1) as f64;
        (wrong as f64 / together, (report.answered + wrong) as f64 / together)
    });
    let p = two_proportions(counts);
    ComparisonRow::of_all("Errors", shares, Some(p), Difference::WithinNoise)
}

/// How busy the load generator was, which says nothing about the server.
fn busy(reports: &[Report; 2]) -> ComparisonRow {
    let shares = reports.each_ref().map(|report| mean(&report.busy));
    ComparisonRow::of_all("Load busy", shares, None, Difference::NotJudged("not of the server"))
}

/// How many cores the server has used, if that is known of both runs.
fn server_busy(reports: &[Report; 2]) -> Option<ComparisonRow> {
    let [one, other] = reports.each_ref().map(|report| report.server_busy);
    let shares = [one?, other?];
    Some(ComparisonRow::of_all("Server", shares, None, Difference::NotJudged("not judged")))
}

/// The parameters in which the runs differ.
fn different(saved: &[&SavedReport; 2]) -> Vec<(String, [String; 2])> {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in saved.iter().flat_map(|each| each.parameters.iter()) {
        if !names.contains(&name) && !OF_RUN.contains(&name) {
            names.push(name);
        }
    }
    let values = |name: &str| saved.map(|each| parameters::text(each.parameters.get(name)));
    let named = names.into_iter().map(|name| (name.to_owned(), values(name)));
    named.filter(|(_, [one, other])| one != other).collect()
}

/// What makes the comparison doubtful.
fn warnings(reports: &[Report; 2], runs: &[Vec<&Interval>; 2]) -> Vec<String> {
    let mut warnings = Vec::new();
    for (name, (report, run)) in ["A", "B"].iter().zip(reports.iter().zip(runs)) {
        if run.len() < INTERVALS_MIN {
            warnings.push(format!(
                "{name} has {} intervals to compare, besides the first one, and {INTERVALS_MIN} \
                 are needed; let it run longer, or use --interval 100ms",
                run.len()
            ));
        }
        if report.busy.iter().any(|share| *share > BUSY) {
            warnings.push(format!("in {name}, the load generator was the limit, not the server"));
        }
        if report.rate_reached() == Some(false) {
            warnings.push(format!("{name} has not reached its rate"));
        }
    }
    warnings
}
