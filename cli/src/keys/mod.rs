//! `countersign keys`: lists, checks and rotates the keys of a key file.

mod check;
mod list;
mod rotate;

use std::time::Duration;

use clap::{Args, Subcommand};
use countersign::{Key, Validity};

use crate::exit::Failure;
use crate::units;

/// List, check and rotate keys
///
/// Secrets are never shown.
#[derive(Debug, Args)]
#[command(before_long_help = EXAMPLES, disable_help_subcommand = true)]
pub(crate) struct KeysArgs {
    #[command(subcommand)]
    verb: Verb,
}

const EXAMPLES: &str = "\
Examples:
  countersign keys list                         list the keys
  countersign keys check                        check the key file
  countersign keys rotate garden --overlap 7d   replace a key";

#[derive(Debug, Subcommand)]
enum Verb {
    List(list::ListArgs),
    Check(check::CheckArgs),
    Rotate(rotate::RotateArgs),
}

impl KeysArgs {
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self.verb {
            Verb::List(list) => list.run(),
            Verb::Check(check) => check.run(),
            Verb::Rotate(rotate) => rotate.run(),
        }
    }
}

/// Whether a key is valid, with the date when that changes.
fn validity(key: &Key, now: Duration) -> String {
    let [start, end] = [key.not_before(), key.not_after()].map(|date| date.map(units::date));
    match (key.validity_at(now), start, end) {
        (Validity::NotYet, Some(start), _) => format!("not valid before {start}"),
        (Validity::Expired, _, Some(end)) => format!("expired at {end}"),
        (Validity::Valid, _, Some(end)) => format!("valid until {end}"),
        (validity, ..) => validity.name().to_owned(),
    }
}
