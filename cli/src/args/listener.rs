//! The options of one listener: where it listens, what it serves, and within which limits.

use std::ops::RangeInclusive;
use std::time::Duration;

use clap::Args;

use super::access::AccessArgs;
use super::faults::FaultArgs;
use super::limits::LimitArgs;
use super::origins::{Location, Origins, Source};
use super::protocol::{ProtocolArgs, SERVER};
use super::service::{BuiltinService, ServiceParser};
use crate::units;

/// Linux counts whole seconds in 15 bits.
const KEEPALIVE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(9 * 3600);

/// Linux counts milliseconds in 31 bits.
const USER_TIMEOUT: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(24 * 24 * 3600);

/// The options of one listener.
#[derive(Debug, Clone, Args)]
#[command(next_display_order = 0)]
pub(crate) struct ListenerArgs {
    /// Name of the listener in the log and in metrics [default: its first address]
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub(crate) name: Option<String>,
    /// Address to listen on: HOST:PORT, HOST, PORT or unix:/PATH; can be repeated; port 0 means any
    /// free port
    #[arg(long, value_name = "ADDR", default_value = SERVER, value_delimiter = ',')]
    pub(crate) bind: Vec<String>,
    /// File mode of Unix sockets: anyone with write permission can connect
    #[arg(long, value_name = "MODE", default_value = "0600", value_parser = units::mode)]
    pub(crate) unix_mode: u32,
    /// The service to run
    #[arg(long, value_name = "NAME", default_value = "timestamp",
          value_parser = ServiceParser)]
    pub(crate) service: BuiltinService,
    /// Write timestamps in UTC instead of local time
    #[arg(long)]
    pub(crate) utc: bool,
    /// Send TCP keepalive probes after this time without input; 0s disables them
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = keepalive)]
    pub(crate) tcp_keepalive: Duration,
    /// TCP_USER_TIMEOUT: how long sent data and keepalive probes may go unacknowledged; 0s uses the
    /// system's default [default: --write-timeout]
    #[arg(long, value_name = "TIME", value_parser = user_timeout)]
    pub(crate) tcp_user_timeout: Option<Duration>,
    // Behind all others, because their headings hold for what follows.
    #[command(flatten)]
    pub(crate) protocol: ProtocolArgs,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    #[command(flatten)]
    pub(crate) faults: FaultArgs,
    /// Where it stands in the configuration file, if it does.
    #[arg(skip)]
    pub(crate) location: Option<Location>,
    /// Where its values come from.
    #[arg(skip)]
    pub(crate) origins: Origins,
}

impl ListenerArgs {
    /// The same with the values of its preset.
    pub(crate) fn with_preset(mut self) -> Self {
        self.limits.apply_preset(&mut self.protocol, &self.origins);
        self
    }

    /// Where its addresses stand in the configuration file, if it stands there.
    pub(crate) fn of_bind(&self) -> Option<&Location> {
        match self.origins.source("bind") {
            Source::File(location) => Some(location),
            _ => self.location.as_ref(),
        }
    }
}

/// Reads how long a peer may be silent until it is probed.
pub(crate) fn keepalive(text: &str) -> Result<Duration, String> {
    units::time_or_never(KEEPALIVE)(text)
}

/// Reads how long an acknowledgement may take.
pub(crate) fn user_timeout(text: &str) -> Result<Duration, String> {
    units::time(USER_TIMEOUT)(text)
}

/// Reads a name, which is also the label of a metric.
pub(crate) fn name(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    match (1..=64).contains(&text.len()) && text.chars().all(fits) {
        true => Ok(text.to_owned()),
        false => Err("write a word of up to 64 letters, digits, dots, - and _".to_owned()),
    }
}
