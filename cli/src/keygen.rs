//! `countersign keygen`: adds a fresh random key to a ring.

use std::path::PathBuf;

use clap::Args;

use super::exit::Failure;
use super::output::{stderr, stdout};
use super::ring::{self, KeyOptions};

/// Add a fresh random key to the ring
///
/// Prints the key's id and fingerprint, never the key. Copy its line of the file to the ring of
/// whoever shall hold it too, by a way that nobody listens to.
#[derive(Debug, Args)]
#[command(before_long_help = EXAMPLES)]
pub(crate) struct Keygen {
    /// What the key is called
    #[arg(default_value = "default", value_parser = ring::id)]
    id: String,
    #[command(flatten)]
    options: KeyOptions,
    /// The file of keys [default: countersign/keys in the user's configuration directory]
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_KEYS")]
    keys: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  countersign keygen garden                          a key for the dialect countersign/1
  countersign keygen gate --dialects raw,hex         a key for the dialects without ids
  countersign keygen py --dialects multiprocessing   a key for Python programs
  countersign keygen guest --not-after 2027-01-31    a key that runs out
  countersign keygen shed --audience pump --keys /etc/shed/keys";

impl Keygen {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let path = self.keys.map_or_else(ring::default_path, Ok)?;
        let key = ring::add(&path, &self.id, &self.options)?;
        stdout().line(format_args!("{} {}", key.id(), key.fingerprint()));
        stderr().line(format_args!("added to {}", path.display()));
        Ok(())
    }
}
