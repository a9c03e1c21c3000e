//! `countersign keys`: what is on the ring, whether it is in order, and a fresh key for an old one.

mod check;
mod list;
mod rotate;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use countersign::{Key, Validity};

use crate::exit::Failure;
use crate::ring;
use crate::units;

/// List, check and rotate the keys of the ring
///
/// No secret is ever shown.
#[derive(Debug, Args)]
#[command(before_long_help = EXAMPLES, disable_help_subcommand = true)]
pub(crate) struct Keys {
    #[command(subcommand)]
    verb: Verb,
}

const EXAMPLES: &str = "\
Examples:
  countersign keys list                         what is on the ring
  countersign keys check                        whether it is in order
  countersign keys rotate garden --overlap 7d   a fresh key for an old one";

#[derive(Debug, Subcommand)]
enum Verb {
    List(list::List),
    Check(check::Check),
    Rotate(rotate::Rotate),
}

impl Keys {
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self.verb {
            Verb::List(list) => list.run(),
            Verb::Check(check) => check.run(),
            Verb::Rotate(rotate) => rotate.run(),
        }
    }
}

/// Which ring it is about.
#[derive(Debug, Args)]
struct Where {
    /// The file of keys [default: countersign/keys in the user's configuration directory]
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_KEYS")]
    keys: Option<PathBuf>,
}

impl Where {
    fn path(self) -> Result<PathBuf, Failure> {
        self.keys.map_or_else(ring::default_path, Ok)
    }
}

/// How a key stands at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Live,
    /// It isn't taken before that.
    Early(Duration),
    /// It isn't taken since then.
    Over(Duration),
}

impl State {
    fn of(key: &Key, now: Duration) -> Self {
        match (key.validity_at(now), key.not_before(), key.not_after()) {
            (Validity::Expired, _, Some(end)) => Self::Over(end),
            (Validity::NotYet, Some(beginning), _) => Self::Early(beginning),
            _ => Self::Live,
        }
    }
}

/// The state in words.
fn validity(key: &Key, now: Duration) -> String {
    match (State::of(key, now), key.not_after()) {
        (State::Live, None) => "live".to_owned(),
        (State::Live, Some(end)) => format!("live until {}", units::date(end)),
        (State::Early(beginning), _) => format!("not before {}", units::date(beginning)),
        (State::Over(end), _) => format!("ran out {}", units::date(end)),
    }
}
