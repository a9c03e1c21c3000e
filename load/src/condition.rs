//! Conditions on a report.

use std::fmt;
use std::time::Duration;

use crate::report::Report;

/// A figure of a report that is compared.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Figure {
    /// The latency that so many percent of the messages stay within, in seconds.
    Percentile(f64),
    /// The mean latency, in seconds.
    Mean,
    /// The longest latency, in seconds.
    Max,
    /// The share of what was tried that went wrong, from 0 to 1.
    Errors,
    /// The share of what was tried that went right, from 0 to 1.
    Success,
    /// Replies a second.
    Rate,
}

impl Figure {
    /// Its value over the messages that were due; a time that was never reached is infinite.
    #[must_use]
    pub fn of(self, report: &Report) -> f64 {
        let time = |time: Option<Duration>| time.map_or(f64::INFINITY, |it| it.as_secs_f64());
        match self {
            Self::Percentile(percent) => time(report.reply_within(percent / 100.0)),
            Self::Mean => time(report.mean()),
            Self::Max => time(report.reply_within(1.0)),
            Self::Errors => 1.0 - report.success_rate(),
            Self::Success => report.success_rate(),
            Self::Rate => report.per_second(),
        }
    }

    /// A value of it, as text.
    #[must_use]
    pub fn shown(self, value: f64) -> String {
        match self {
            _ if value.is_infinite() => {
                "never reached: too many messages were not answered".to_owned()
            }
            Self::Percentile(_) | Self::Mean | Self::Max => match value {
                ..1e-3 => format!("{:.1} µs", value * 1e6),
                ..1.0 => format!("{:.3} ms", value * 1e3),
                _ => format!("{value:.3} s"),
            },
            Self::Errors | Self::Success => format!("{:.3}%", value * 1e2),
            Self::Rate => format!("{value:.0}/s"),
        }
    }
}

/// The name by which conditions call it.
impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percentile(percent) => write!(f, "p{percent}"),
            Self::Mean => f.write_str("mean"),
            Self::Max => f.write_str("max"),
            Self::Errors => f.write_str("errors"),
            Self::Success => f.write_str("success"),
            Self::Rate => f.write_str("rate"),
        }
    }
}

/// A condition on a report: a figure is above or below a bound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Condition {
    /// What is compared.
    pub figure: Figure,
    /// Whether it has to be above the bound, or below it.
    pub above: bool,
    /// The bound: times in seconds, shares from 0 to 1.
    pub bound: f64,
}

impl Condition {
    /// Whether it holds.
    #[must_use]
    pub fn holds(&self, report: &Report) -> bool {
        let value = self.figure.of(report);
        if self.above { value > self.bound } else { value < self.bound }
    }

    /// The messages that it takes to tell whether it holds, or 0 if any number does: so many that
    /// some of them are expected to be beyond the bound.
    #[must_use]
    pub(super) fn messages(&self) -> f64 {
        let rare = match self.figure {
            Figure::Percentile(percent) => 1.0 - percent / 100.0,
            Figure::Errors => self.bound,
            Figure::Success => 1.0 - self.bound,
            Figure::Mean | Figure::Max | Figure::Rate => return 0.0,
        };
        if rare > 0.0 { BEYOND / rare } else { 0.0 }
    }
}

/// The messages beyond a percentile that make it a figure to rely on.
const BEYOND: f64 = 10.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_holds_on_one_side_of_its_bound() {
        let report = Report::default();
        let condition = |figure, above, bound| Condition { figure, above, bound };
        for (condition, holds) in [
            (condition(Figure::Errors, true, 0.5), true),
            (condition(Figure::Success, true, 0.0), false),
            (condition(Figure::Rate, false, 1.0), true),
            (condition(Figure::Rate, true, 0.0), false),
        ] {
            assert_eq!(condition.holds(&report), holds, "{condition:?}");
        }
    }

    #[test]
    fn a_rare_event_takes_many_messages() {
        for (figure, bound, expected) in [
            (Figure::Percentile(99.0), 0.005, 1_000.0),
            (Figure::Percentile(99.9), 0.005, 10_000.0),
            (Figure::Errors, 0.001, 10_000.0),
            (Figure::Success, 0.99, 1_000.0),
            (Figure::Percentile(100.0), 1.0, 0.0),
            (Figure::Max, 1.0, 0.0),
        ] {
            let messages = Condition { figure, above: false, bound }.messages();
            assert!((messages - expected).abs() < 1e-6, "{figure}: {messages}");
        }
    }
}
