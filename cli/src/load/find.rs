//! The options of `load --find`: which conditions have to hold.

use std::time::Duration;

use clap::Args;
use countersign_load::Figure;

use super::threshold::Threshold;
use crate::units;

/// The search for the highest rate.
#[derive(Debug, Args)]
#[command(next_help_heading = "Search")]
pub(super) struct FindArgs {
    /// Find the highest rate at which this condition holds; can be repeated
    ///
    /// A condition is 'p99<5ms', 'mean<1ms', 'max<1s', 'errors<0.01%' or 'success>99.9%'. The rate
    /// must be reached too. The search runs loads in an open loop, which it calls probes: the rate
    /// rises until a probe fails, and is then narrowed down. At last the rate that was found is
    /// held for as long as -z says, and the report is of that load. The search begins at -q, and
    /// fails if that rate does; without -q it begins at 1,000 messages per second, and tries lower
    /// rates too. Use -P or -c to give the server enough messages at one time.
    #[arg(long, value_name = "CONDITION", value_delimiter = ',', value_parser = condition,
          conflicts_with_all = NO_SEARCH)]
    pub(super) find: Vec<Threshold>,
    /// With --find: how close the result is to the lowest rate that fails
    #[arg(long, value_name = "SHARE", default_value = "2%", requires = "find",
          conflicts_with_all = NO_SEARCH, value_parser = precision)]
    pub(super) find_precision: f64,
    /// With --find: length of each probe; longer if a percentile needs more messages
    #[arg(long, value_name = "TIME", default_value = "3s", requires = "find",
          conflicts_with_all = NO_SEARCH, value_parser = units::time(PROBE_MIN..=units::TIME_MAX))]
    pub(super) probe_time: Duration,
}

/// What no option of a search can be combined with: clap requires no --find beside these.
const NO_SEARCH: [&str; 4] = ["count", "stages", "think", "rate_per_connection"];

/// A shorter probe measures little but its own beginning.
const PROBE_MIN: Duration = Duration::from_millis(100);

impl FindArgs {
    /// The conditions as they were given.
    pub(super) fn conditions(&self) -> Vec<&str> {
        self.find.iter().map(Threshold::text).collect()
    }
}

/// Reads a condition that has to hold.
fn condition(text: &str) -> Result<Threshold, String> {
    let threshold: Threshold = text.parse()?;
    let condition = threshold.condition();
    let is_above = match condition.figure {
        Figure::Rate => return Err("the search finds the rate; leave it out".to_owned()),
        Figure::Success => true,
        _ => false,
    };
    if condition.above == is_above {
        Ok(threshold)
    } else {
        Err("write what has to hold: 'p99<5ms', 'errors<0.01%' or 'success>99.9%'".to_owned())
    }
}

/// Reads a share such as 3% or 0.03.
fn precision(text: &str) -> Result<f64, String> {
    let (text, whole) = text.strip_suffix('%').map_or((text, 1.0), |text| (text, 100.0));
    let share = text.parse::<f64>().ok().map(|share| share / whole);
    let share = share.filter(|share| (0.005..=0.5).contains(share));
    share.ok_or_else(|| "write a share from 0.5% to 50%, like 2% or 0.02".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_to_hold_is_read() {
        for text in ["p99<5ms", "p99.9 < 1s", "mean<1ms", "max<1s", "errors<0.01%", "success>99%"] {
            assert_eq!(condition(text).map(|it| it.text().to_owned()), Ok(text.to_owned()));
        }
        for text in ["p99>5ms", "errors>0.1%", "success<1", "rate>1k", "rate<1k", "p99", "p99<5"] {
            assert!(condition(text).is_err(), "{text}");
        }
        assert_eq!(precision("3%"), Ok(0.03));
        assert_eq!(precision("0.5"), Ok(0.5));
        for text in ["", "0", "0.1%", "51%", "NaN", "-3%", "3%%"] {
            assert!(precision(text).is_err(), "{text}");
        }
    }
}
