//! The options of `serve`: those of the process, and those of a listener.

use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args};

use super::admin::AdminArgs;
use super::faults::fault_seed;
use super::listener::ListenerArgs;
use crate::logging::Logging;
use crate::units;

/// All settings: on the command line, in the environment and in a file.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConfigArgs {
    #[command(flatten)]
    pub(crate) process: ProcessArgs,
    // Behind all others, because its headings hold for what follows.
    #[command(flatten)]
    pub(crate) listener: ListenerArgs,
}

/// The options of the whole process.
#[derive(Debug, Clone, Args)]
pub(crate) struct ProcessArgs {
    /// Spin for TIME before sleeping: replies are faster, but a core is always busy
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = units::any_time)]
    pub(crate) busy_poll: Duration,
    /// Number of event loops, each on its own thread and with its share of the limits
    #[arg(long, value_name = "N", default_value = "1", value_parser = workers)]
    pub(crate) workers: usize,
    /// Close connections whose keys have expired, or were removed or changed by a reload
    #[arg(long, value_name = "BOOL", default_value = "true",
          value_parser = BoolishValueParser::new(), action = ArgAction::Set)]
    pub(crate) close_revoked: bool,
    /// Seed for --fault: the same seed and the same messages give the same faults
    #[arg(long, value_name = "N", default_value = "0", value_parser = fault_seed,
          hide = cfg!(not(feature = "faults")))]
    pub(crate) fault_seed: u64,
    #[command(flatten)]
    pub(crate) admin: AdminArgs,
    #[command(flatten)]
    pub(crate) logging: Logging,
}

/// More workers than this are a typing error.
const WORKERS_MAX: u64 = 256;

/// Reads a number of workers.
pub(crate) fn workers(text: &str) -> Result<usize, String> {
    units::count(1..=WORKERS_MAX)(text)
}
