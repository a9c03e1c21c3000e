//! Conditions on a report that set the exit code: `p99>5ms`, `errors>0.1%`, `rate<10k`.

use std::str::FromStr;
use std::time::Duration;

use countersign_load::Report;

use crate::units;

/// One a nanosecond.
pub(super) const RATE_MAX: u64 = 1_000_000_000;

/// A condition on a report.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Threshold {
    text: String,
    figure: Figure,
    above: bool,
    bound: f64,
}

/// What is compared: times in seconds, shares from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Figure {
    Percentile(f64),
    Mean,
    Max,
    Errors,
    Success,
    Rate,
}

impl Figure {
    /// Its value over the messages that were due; a time that was never reached is infinite.
    fn of(self, report: &Report) -> f64 {
        let within = |share| report.reply_within(share).map_or(f64::INFINITY, seconds);
        match self {
            Self::Percentile(percent) => within(percent / 100.0),
            Self::Mean => report.mean().map_or(f64::INFINITY, seconds),
            Self::Max => within(1.0),
            Self::Errors => 1.0 - report.success_rate(),
            Self::Success => report.success_rate(),
            Self::Rate => report.per_second(),
        }
    }

    fn bound(self, text: &str) -> Option<f64> {
        match self {
            Self::Percentile(_) | Self::Mean | Self::Max => {
                units::time(units::ANY_TIME)(text).ok().map(|time| time.as_secs_f64())
            }
            Self::Errors | Self::Success => {
                let (text, whole) = text.strip_suffix('%').map_or((text, 1.0), |it| (it, 100.0));
                let share = text.parse::<f64>().ok().map(|share| share / whole);
                share.filter(|share| (0.0..=1.0).contains(share))
            }
            Self::Rate => units::count::<u32>(0..=RATE_MAX)(text).ok().map(f64::from),
        }
    }

    fn shown(self, value: f64) -> String {
        match self {
            _ if value.is_infinite() => {
                "never reached: too many messages were not answered".to_owned()
            }
            Self::Percentile(_) | Self::Mean | Self::Max => format!("{:.3} ms", value * 1e3),
            Self::Errors | Self::Success => format!("{:.3}%", value * 1e2),
            Self::Rate => format!("{value:.0}/s"),
        }
    }
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

impl Threshold {
    /// As it was given.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn holds(&self, report: &Report) -> bool {
        let value = self.figure.of(report);
        if self.above { value > self.bound } else { value < self.bound }
    }

    pub(crate) fn explained(&self, report: &Report) -> String {
        format!("{} holds: it is {}", self.text, self.figure.shown(self.figure.of(report)))
    }
}

impl FromStr for Threshold {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("{text:?} is not a condition; write 'p99>5ms', 'errors>0.1%' or 'rate<10k'");
        let at = text.find(['<', '>']).ok_or_else(wrong)?;
        let (name, bound) = (text[..at].trim(), text[at + 1..].trim());
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
        let bound = figure.bound(bound).ok_or_else(wrong)?;
        Ok(Self { text: text.to_owned(), figure, above: text[at..].starts_with('>'), bound })
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
            assert_eq!((read.figure, read.above, read.bound), (figure, above, bound), "{text}");
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
    fn a_condition_holds_on_one_side_of_its_bound() {
        let report = Report::default();
        for (text, holds) in
            [("errors>0.5", true), ("success>0", false), ("rate<1", true), ("rate>0", false)]
        {
            assert_eq!(text.parse::<Threshold>().unwrap().holds(&report), holds, "{text}");
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
