//! `countersign keygen`: adds a fresh random key to a ring.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;
use countersign::Dialect;

use super::exit::Failure;
use super::ring;

/// Add a fresh random key to the ring
///
/// Prints the key's id and fingerprint, never the key. Copy its line of the file to the ring of
/// whoever shall hold it too, by a way that nobody listens to.
#[derive(Debug, Args)]
#[command(before_long_help = EXAMPLES)]
pub(crate) struct Keygen {
    /// What the key is called
    #[arg(default_value = "default")]
    id: String,
    /// The dialects that the key serves: raw, hex
    #[arg(long, value_name = "LIST", env = "COUNTERSIGN_DIALECTS", default_value = "raw",
          value_delimiter = ',', value_parser = dialect)]
    dialects: Vec<Dialect>,
    /// The file of keys [default: countersign/keys in the user's configuration directory]
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_KEYS")]
    keys: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  countersign keygen garden                       a key for the dialect raw
  countersign keygen gate --dialects raw,hex      a key for both
  countersign keygen shed --keys /etc/shed/keys";

impl Keygen {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let path = self.keys.map_or_else(ring::default_path, Ok)?;
        let key = ring::add(&path, &self.id, &self.dialects)?;
        writeln!(std::io::stdout(), "{} {}", key.id(), key.fingerprint())?;
        writeln!(std::io::stderr(), "added to {}", path.display())?;
        Ok(())
    }
}

fn dialect(name: &str) -> Result<Dialect, String> {
    let known = name.parse().ok().filter(|dialect: &Dialect| dialect.authenticates());
    known.ok_or_else(|| "write raw, hex or raw,hex".to_owned())
}
