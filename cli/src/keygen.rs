//! `countersign keygen`: adds a fresh random key to a ring.

use clap::Args;

use super::exit::Failure;
use super::output::{stderr, stdout};
use super::ring::{self, KeyFileArg, KeyOptions};

/// Add a fresh random key to the key file
///
/// Prints the id and the fingerprint of the key, but not the key. To share the key with the other
/// end, copy its line of the file there over a secure channel.
#[derive(Debug, Args)]
#[command(before_long_help = EXAMPLES)]
pub(crate) struct KeygenArgs {
    /// Id of the key
    #[arg(default_value = "default", value_parser = ring::id)]
    id: String,
    #[command(flatten)]
    options: KeyOptions,
    #[command(flatten)]
    file: KeyFileArg,
}

const EXAMPLES: &str = "\
Examples:
  countersign keygen garden                          a key for the dialect countersign/1
  countersign keygen gate --dialects raw,hex         a key for the dialects without ids
  countersign keygen py --dialects multiprocessing   a key for Python programs
  countersign keygen guest --not-after 2027-01-31    a key that expires
  countersign keygen shed --audience pump --keys /etc/shed/keys";

impl KeygenArgs {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let path = self.file.path()?;
        let key = ring::add(&path, &self.id, &self.options)?;
        stdout().line(format_args!("{} {}", key.id(), key.fingerprint()));
        stderr().line(format_args!("added to {}", path.display()));
        Ok(())
    }
}
