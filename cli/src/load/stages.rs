//! The stages of a load: `10s@1k,30s@5k`, or `10s@1k..5k` for a ramp.

use std::str::FromStr;

use clap::Args;
use countersign_load::Stage;

use super::threshold::RATE_MAX;
use crate::exit::{Failure, Kind};
use crate::units;

/// A rate that changes.
#[derive(Debug, Args)]
pub(super) struct StageArgs {
    /// Change the rate in stages, each with its length and its rate, in an open loop
    ///
    /// '10s@1k,30s@5k,10s@1k' sends 1,000 messages per second for 10 seconds, 5,000 for 30 seconds,
    /// and 1,000 for 10 seconds. '10s@1k..5k' is a ramp from 1,000 to 5,000. The load ends with the
    /// last stage. In the warm-up, the rate rises to that with which the first stage begins.
    #[arg(long, value_name = "TIME@RATE", value_delimiter = ',')]
    pub(super) stages: Vec<StageArg>,
}

/// A stage, and how it was written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct StageArg {
    text: String,
    stage: Stage,
}

impl StageArg {
    /// As it was given.
    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

impl StageArgs {
    pub(super) fn plan(&self) -> Vec<Stage> {
        self.stages.iter().map(|each| each.stage).collect()
    }

    /// Checks that no other option says what the stages say.
    pub(super) fn check(&self, others: [(&str, bool, &str); 3]) -> Result<(), Failure> {
        let given = others.iter().find(|(_, given, _)| *given && !self.stages.is_empty());
        given.map_or(Ok(()), |(option, _, remedy)| {
            let text = format!("--stages cannot be combined with {option}; {remedy}");
            Err(Failure::new(Kind::Usage, text))
        })
    }
}

impl FromStr for StageArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a stage; write 10s@1k, or 10s@1k..5k for a ramp");
        let (time, rates) = text.split_once('@').ok_or_else(wrong)?;
        let (from, to) = rates.split_once("..").unwrap_or((rates, rates));
        let rate = |text: &str| units::count::<u32>(0..=RATE_MAX)(text.trim()).map(f64::from);
        let lasts = units::some_time(time.trim())?;
        Ok(Self { text: text.to_owned(), stage: Stage { lasts, from: rate(from)?, to: rate(to)? } })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn stages_are_read() {
        for (text, seconds, from, to) in
            [("10s@1k", 10, 1e3, 1e3), ("1m@0..5k", 60, 0.0, 5e3), ("1h 30m@2k", 5_400, 2e3, 2e3)]
        {
            let read: StageArg = text.parse().unwrap();
            let lasts = Duration::from_secs(seconds);
            assert_eq!((read.stage, read.text()), (Stage { lasts, from, to }, text));
        }
        for text in ["", "10s", "@1k", "10s@", "10s@1k..", "0s@1k", "10s@-1", "10@1k", "1k@10s"] {
            assert!(text.parse::<StageArg>().is_err(), "{text}");
        }
    }
}
