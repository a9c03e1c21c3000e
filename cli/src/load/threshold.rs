//! Conditions on a report that set the exit code: `p99>5ms`, `errors>0.1%`, `rate<10k`.

use std::str::FromStr;

use countersign_load::{Condition, Figure, Report};

use crate::units;

/// One a nanosecond.
pub(super) const RATE_MAX: u64 = 1_000_000_000;

/// A condition on a report, and how it was written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Threshold {
    text: String,
    condition: Condition,
}

/// Reads a bound of a figure.
fn bound(figure: Figure, text: &str) -> Option<f64> {
    match figure {
        Figure::Percentile(_) | Figure::Mean | Figure::Max => {
            units::time(units::ANY_TIME)(text).ok().map(|time| time.as_secs_f64())
        }
        Figure::Errors | Figure::Success => {
            let (text, whole) = text.strip_suffix('%').map_or((text, 1.0), |it| (it, 100.0));
            let share = text.parse::<f64>().ok().map(|share| share / whole);
            share.filter(|share| (0.0..=1.0).contains(share))
        }
        Figure::Rate => units::count::<u32>(0..=RATE_MAX)(text).ok().map(f64::from),
        _ => None,
    }
}

impl Threshold {
    /// As it was given.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn condition(&self) -> Condition {
        self.condition
    }

    pub(crate) fn holds(&self, report: &Report) -> bool {
        self.condition.holds(report)
    }

    pub(crate) fn explained(&self, report: &Report) -> String {
        let figure = self.condition.figure;
        format!("{} holds: it is {}", self.text, figure.shown(figure.of(report)))
    }
}

impl FromStr for Threshold {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("{text:?} is not a condition; write 'p99>5ms', 'errors>0.1%' or 'rate<10k'");
        let at = text.find(['<', '>']).ok_or_else(wrong)?;
        let (name, value) = (text[..at].trim(), text[at + 1..].trim());
        let percentile =
            || name.strip_prefix('p')?.parse().ok().filter(|p| (0.0..=100.0).contains(p));
        let figure = match name {
            "mean" => Figure::Mean,
            "max" => Figure::Max,
            "errors" => Figure::Errors,
            "success" => Figure::Success,
            "rate" => Figure::Rate,
            _ => Figure::Percentile(percentile().ok_or_else(wrong)?),
        };
        let bound = bound(figure, value).ok_or_else(wrong)?;
        let above = text[at..].starts_with('>');
        Ok(Self { text: text.to_owned(), condition: Condition { figure, above, bound } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read() {
        for (text, figure, above, bound) in [
            ("p99>5ms", Figure::Percentile(99.0), true, 0.005),
            ("p99.9 < 1s", Figure::Percentile(99.9), false, 1.0),
            ("errors>0.1%", Figure::Errors, true, 0.001),
            ("success<1", Figure::Success, false, 1.0),
            ("rate<10k", Figure::Rate, false, 10_000.0),
        ] {
            let read: Threshold = text.parse().unwrap();
            assert_eq!(read.condition, Condition { figure, above, bound }, "{text}");
        }
        for text in [
            "",
            "p99",
            "p101>1s",
            "p99>5",
            "q>1",
            "errors>x",
            ">1",
            "errors>NaN",
            "errors>101%",
            "success<-1",
            "errors>inf%",
            "p99>400000000000y",
            "pNaN>1s",
            "rate<-1",
            "rate<1g1",
        ] {
            assert!(text.parse::<Threshold>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_time_that_was_never_reached_is_above_every_bound() {
        let report = Report::default();
        for figure in ["p0", "p50", "p99.99", "mean", "max"] {
            let condition =
                |side: &str| -> Threshold { format!("{figure}{side}40d").parse().unwrap() };
            assert!(condition(">").holds(&report) && !condition("<").holds(&report), "{figure}");
            assert!(condition(">").explained(&report).contains("never reached"), "{figure}");
        }
    }
}
