//! `countersign keys check`: errors and warnings about a key file.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use clap::Args;
use countersign::{Key, Validity};

use super::validity;
use crate::exit::Failure;
use crate::output::{stderr, stdout};
use crate::ring::{self, KeyFileArg};
use crate::{system, units};

/// There is a warning about a key that expires within this time.
const SOON: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Check the key file as a server reads it
///
/// If the file can't be used, the first error is printed, and the exit code is 65. Otherwise there
/// is a warning on stderr for each key that is short, expires within 30 days, or is not valid now;
/// and one for a file that belongs to another user.
#[derive(Debug, Args)]
#[command(before_long_help = EXAMPLES)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    file: KeyFileArg,
}

const EXAMPLES: &str = "\
Examples:
  countersign keys check
  countersign keys check --keys /etc/countersign/keys";

impl CheckArgs {
    pub(super) fn run(self) -> Result<(), Failure> {
        let path = self.file.path()?;
        let ring = ring::inspect(&path)?;
        let owner = fs::metadata(&path)?.uid();
        if ![0, system::user()].contains(&owner) {
            stderr().line(format_args!("warning: only servers of the user {owner} read this file"));
        }
        let now = system::unix_time();
        for key in ring.keys() {
            for warning in warnings(key, now) {
                stderr().line(format_args!("warning: the key {} {warning}", key.id()));
            }
        }
        let valid = ring.keys().filter(|key| key.is_valid_at(now)).count();
        let all = ring.keys().count();
        let keys = if all == 1 { "key" } else { "keys" };
        stdout().line(format_args!("{}: {all} {keys}, {valid} valid now", path.display()));
        Ok(())
    }
}

/// The warnings about a key.
fn warnings(key: &Key, now: Duration) -> Vec<String> {
    let mut warnings = Vec::new();
    if key.is_short() {
        let text = "is shorter than 16 bytes: anyone who sees a proof can guess it; rotate it";
        warnings.push(text.to_owned());
    }
    let dated = validity(key, now);
    match (key.validity_at(now), key.not_after()) {
        (Validity::NotYet, _) => warnings.push(format!("is {dated}")),
        (Validity::Expired, _) => warnings.push(format!("{dated}; remove its line")),
        (Validity::Valid, Some(end)) if end <= now + SOON => {
            let end = units::date(end);
            warnings.push(format!("expires at {end}; rotate it, unless you have done so"));
        }
        _ => {}
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
            ("text:short dialects=raw", &["is shorter than 16 bytes"]),
            (
                "text:sixteen-bytes-and-more not-after=2027-01-31T00:00:00Z",
                &["expires at 2027-01-31"],
            ),
            ("text:sixteen-bytes-and-more not-after=2027-01-31T00:00:01Z", &[]),
            ("text:sixteen-bytes-and-more not-after=2026-12-31", &["expired at 2027-01-01"]),
            ("text:sixteen-bytes-and-more not-before=2027-01-01", &[]),
            ("text:sixteen-bytes-and-more not-before=2027-01-02", &["is not valid before 2027-01"]),
            ("text:s not-after=2026-12-30 dialects=raw", &["is shorter", "expired at 2026-12-31"]),
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
