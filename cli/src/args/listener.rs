//! The options of one listener: where it listens, what it serves, and within which limits.

use std::ops::RangeInclusive;
use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;

use super::access::AccessArgs;
use super::choice::Choice;
use super::limits::LimitArgs;
use super::protocol::{ProtocolArgs, SERVER};
use super::service::{BuiltinService, builtin_services};
use crate::config::Location;
use crate::units;

/// Linux counts whole seconds in 15 bits.
const KEEPALIVE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(9 * 3600);

/// Linux counts milliseconds in 31 bits.
const USER_TIMEOUT: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(24 * 24 * 3600);

/// One listener, as it is asked for.
#[derive(Debug, Clone, Args)]
#[command(next_display_order = 0)]
pub(crate) struct ListenerArgs {
    /// Name of the listener in the log and in metrics [default: its first address]
    #[arg(long, value_name = "NAME", env = "COUNTERSIGN_NAME", value_parser = name)]
    pub(crate) name: Option<String>,
    /// Address to listen on: HOST:PORT, HOST, PORT or unix:/PATH; can be repeated; port 0 means any
    /// free port
    #[arg(
        long,
        value_name = "ADDR",
        env = "COUNTERSIGN_BIND",
        default_value = SERVER,
        value_delimiter = ','
    )]
    pub(crate) bind: Vec<String>,
    /// File mode of Unix sockets: anyone with write permission can connect
    #[arg(long, value_name = "MODE", env = "COUNTERSIGN_UNIX_MODE", default_value = "0600",
          value_parser = units::mode)]
    pub(crate) unix_mode: u32,
    /// The service to run
    #[arg(long, value_name = "NAME", env = "COUNTERSIGN_SERVICE", default_value = "timestamp",
          value_parser = Choice(builtin_services))]
    pub(crate) service: BuiltinService,
    /// Write timestamps in UTC instead of local time
    #[arg(long, env = "COUNTERSIGN_UTC", value_parser = BoolishValueParser::new())]
    pub(crate) utc: bool,
    /// Send TCP keepalive probes after this time without input; 0s disables them
    #[arg(long, value_name = "TIME", env = "COUNTERSIGN_TCP_KEEPALIVE", default_value = "1m",
          value_parser = units::time_or_never(KEEPALIVE))]
    pub(crate) tcp_keepalive: Duration,
    /// TCP_USER_TIMEOUT: how long sent data and keepalive probes may go unacknowledged; 0s uses the
    /// system's default [default: --write-timeout]
    #[arg(long, value_name = "TIME", env = "COUNTERSIGN_TCP_USER_TIMEOUT",
          value_parser = units::time(USER_TIMEOUT))]
    pub(crate) tcp_user_timeout: Option<Duration>,
    // Behind all others, because their headings hold for what follows.
    #[command(flatten)]
    pub(crate) protocol: ProtocolArgs,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    /// Where it stands in the configuration file, if it does.
    #[arg(skip)]
    pub(crate) location: Option<Location>,
}

/// A name is also the label of a metric.
fn name(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    match (1..=64).contains(&text.len()) && text.chars().all(fits) {
        true => Ok(text.to_owned()),
        false => Err("write a word of up to 64 letters, digits, dots, - and _".to_owned()),
    }
}
