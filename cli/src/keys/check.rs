//! `countersign keys check`: whether the ring is in order.

use std::time::Duration;

use clap::Args;
use countersign::Key;

use super::{State, Where};
use crate::exit::Failure;
use crate::output::{stderr, stdout};
use crate::{ring, system, units};

/// A key that runs out within this time is warned of.
const SOON: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Check the ring as a server reads it
///
/// A ring that can't be used fails with 65, and the first line at fault. One that can is warned of
/// on stderr where a key is short, runs out within 30 days, or is of no use to anybody.
#[derive(Debug, Args)]
#[command(before_long_help = EXAMPLES)]
pub(super) struct Check {
    #[command(flatten)]
    place: Where,
}

const EXAMPLES: &str = "\
Examples:
  countersign keys check
  countersign keys check --keys /etc/countersign/keys";

impl Check {
    pub(super) fn run(self) -> Result<(), Failure> {
        let path = self.place.path()?;
        let ring = ring::inspect(&path)?;
        let now = system::unix_time();
        for key in ring.keys() {
            for warning in warnings(key, now) {
                stderr().line(format_args!("warning: the key {} {warning}", key.id()));
            }
        }
        let live = ring.keys().filter(|key| key.is_valid_at(now)).count();
        let all = ring.keys().count();
        let keys = if all == 1 { "key" } else { "keys" };
        stdout().line(format_args!("{}: {all} {keys}, {live} valid now", path.display()));
        Ok(())
    }
}

/// What its owner should know of a key.
fn warnings(key: &Key, now: Duration) -> Vec<String> {
    let mut warnings = Vec::new();
    if key.is_short() {
        let text = "has fewer than 16 bytes: who sees a proof can guess it; rotate it";
        warnings.push(text.to_owned());
    }
    match (State::of(key, now), key.not_after()) {
        (State::Early(beginning), _) => {
            warnings.push(format!("is of no use before {}", units::date(beginning)));
        }
        (State::Over(end), _) => {
            let end = units::date(end);
            warnings.push(format!("ran out {end}, and is of no use; remove its line"));
        }
        (State::Live, Some(end)) if end <= now + SOON => {
            let end = units::date(end);
            let remedy = "rotate it, unless that is done";
            warnings.push(format!("runs out {end}; {remedy}"));
        }
        (State::Live, _) => {}
    }
    warnings
}

#[cfg(test)]
mod tests {
    use countersign::{KeyRing, KeyRingExt as _};

    use super::*;

    #[test]
    fn a_key_is_warned_of_when_it_is_short_soon_over_or_of_no_use() {
        let day = Duration::from_secs(24 * 60 * 60);
        // The beginning of 1 January 2027.
        let now = 20_819 * day;
        let cases: [(&str, &[&str]); 8] = [
            ("text:sixteen-bytes-and-more", &[]),
            ("text:short dialects=raw", &["has fewer than 16 bytes"]),
            (
                "text:sixteen-bytes-and-more not-after=2027-01-31T00:00:00Z",
                &["runs out 2027-01-31"],
            ),
            ("text:sixteen-bytes-and-more not-after=2027-01-31T00:00:01Z", &[]),
            ("text:sixteen-bytes-and-more not-after=2026-12-31", &["ran out 2027-01-01"]),
            ("text:sixteen-bytes-and-more not-before=2027-01-01", &[]),
            ("text:sixteen-bytes-and-more not-before=2027-01-02", &["is of no use before 2027-01"]),
            ("text:s not-after=2026-12-30 dialects=raw", &["has fewer", "ran out 2026-12-31"]),
        ];
        for (line, expected) in cases {
            let ring = KeyRing::parse(format!("key {line}").as_bytes()).unwrap();
            let warnings = warnings(ring.key("key").unwrap(), now);
            assert_eq!(warnings.len(), expected.len(), "{line}: {warnings:?}");
            for (warning, expected) in warnings.iter().zip(expected) {
                assert!(warning.starts_with(expected), "{line}: {warning}");
            }
        }
    }
}
