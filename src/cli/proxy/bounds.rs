//! The limits of `proxy`.

use std::time::Duration;

use clap::Args;
use clap::builder::RangedU64ValueParser;

/// What the proxy may use at most, and how long it waits.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits")]
pub(super) struct Bounds {
    /// Connections at one time; newcomers wait until one closes
    #[arg(long, value_name = "N", env = "COUNTERSIGN_MAX_CONNECTIONS", default_value = "1000",
          value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    pub(super) max_connections: usize,
    /// From dialling until whoever is at --to has answered
    #[arg(long, value_name = "TIME", env = "COUNTERSIGN_CONNECT_TIMEOUT", default_value = "5s",
          value_parser = humantime::parse_duration)]
    pub(super) connect_timeout: Duration,
    /// From connecting until both ends have proved themselves
    #[arg(long, value_name = "TIME", env = "COUNTERSIGN_HANDSHAKE_TIMEOUT", default_value = "5s",
          value_parser = humantime::parse_duration)]
    pub(super) handshake_timeout: Duration,
    /// While nothing is carried either way [default: for ever]
    #[arg(long, value_name = "TIME", env = "COUNTERSIGN_IDLE_TIMEOUT",
          value_parser = humantime::parse_duration)]
    pub(super) idle_timeout: Option<Duration>,
    /// From the signal to stop until what is still open is cut
    #[arg(long, value_name = "TIME", env = "COUNTERSIGN_DRAIN_TIMEOUT", default_value = "5s",
          value_parser = humantime::parse_duration)]
    pub(super) drain_timeout: Duration,
}
