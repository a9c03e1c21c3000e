//! `countersign check-config`: checks a configuration.

use std::path::PathBuf;

use clap::Args;

use super::args::origins::Origins;
use super::args::process::ConfigArgs;
use super::config::{Config, Settings};
use super::exit::Failure;
use super::logging;
use super::output::stdout;
use super::serve::{MissingRing, PreparedListener, bound_of};

/// Check a configuration file
///
/// Reads the file and all keys as `serve` does, and resolves the addresses, but binds no address
/// and creates no key file. Each error is printed on one line; the first one determines the exit
/// code. For a valid file, it prints one line for each listener, and the maximum memory.
#[derive(Debug, Args)]
#[command(before_long_help = EXAMPLES)]
pub(crate) struct CheckConfigArgs {
    /// The configuration file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    settings: ConfigArgs,
}

const EXAMPLES: &str = "\
Examples:
  countersign check-config /etc/countersign/garden.toml
  countersign check-config garden.toml --keys keys --log-level error";

impl CheckConfigArgs {
    pub(crate) fn run(self, origins: &Origins) -> Result<(), Failure> {
        let Self { file: path, settings } = self;
        let typed = settings.process.logging;
        let read = Config::new(Some(path.clone()), settings, origins).read();
        // If the file can't be read, its logging options are unknown.
        let logging = read.as_ref().map_or(typed, |it| it.process.logging);
        let _log = logging::begin(logging);
        let Settings { process, listeners } = read?;
        let listeners = PreparedListener::all(listeners, process.workers, MissingRing::Leave)?;
        let pages = process.admin.resolved().err().map(|failure| failure.at(&path.display()));
        let resolved =
            listeners.iter().flat_map(PreparedListener::unresolved).chain(pages).collect();
        if let Some(failure) = Failure::together(resolved) {
            return Err(failure);
        }
        for listener in &listeners {
            stdout().line(listener.shown(process.workers)?);
        }
        stdout().line(format_args!("memory: {}", bound_of(&listeners, process.workers)?));
        Ok(())
    }
}
