//! The limits of `proxy`.

use std::time::Duration;

use clap::Args;
use countersign::Limits;
use countersign_relay::RelayLimits;

use crate::args::limits::{CONNECTIONS_MAX, ThrottleArgs};
use crate::units;

/// What the proxy may use at most, and how long it waits.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits")]
pub(super) struct RelayLimitArgs {
    /// Maximum number of open connections; new ones wait until one closes
    #[arg(long, value_name = "N", default_value = "1000",
          value_parser = units::count::<usize>(1..=CONNECTIONS_MAX))]
    pub(super) max_connections: usize,
    /// For the server: maximum number of connections that have not authenticated; above it, the
    /// oldest is evicted [default: --max-connections]
    #[arg(long, value_name = "N", value_parser = units::count::<usize>(1..=CONNECTIONS_MAX))]
    max_unauthenticated: Option<usize>,
    /// The same for one IPv4 address or IPv6 /64 [default: half of --max-unauthenticated]
    #[arg(long, value_name = "N", value_parser = units::count::<usize>(1..=CONNECTIONS_MAX))]
    max_per_address: Option<usize>,
    /// Time limit for connecting to --target
    #[arg(long, value_name = "TIME", default_value = "5s",
          value_parser = units::time(units::SOME_TIME))]
    connect_timeout: Duration,
    /// Time limit from connecting until both ends have authenticated
    #[arg(long, value_name = "TIME", default_value = "5s",
          value_parser = units::time(units::SOME_TIME))]
    handshake_timeout: Duration,
    /// Time limit without data in either direction; 0s means no limit [default: 0s]
    #[arg(long, value_name = "TIME", value_parser = units::time_or_never(units::SOME_TIME))]
    idle_timeout: Option<Duration>,
    /// Time limit for open connections after a signal to stop; 0s closes them at once
    #[arg(long, value_name = "TIME", default_value = "5s",
          value_parser = units::time(units::ANY_TIME))]
    drain_timeout: Duration,
    #[command(flatten)]
    failures: ThrottleArgs,
}

impl RelayLimitArgs {
    /// The limits of a relay of so many connections.
    pub(super) fn limits(&self, connections: usize) -> RelayLimits {
        let unauthenticated = self.max_unauthenticated.unwrap_or(connections);
        let per_address = self.max_per_address.unwrap_or(unauthenticated.div_ceil(2));
        RelayLimits {
            admission: self.failures.within(Limits {
                connections,
                unauthenticated,
                unauthenticated_per_address: per_address,
                handshake_timeout: self.handshake_timeout,
                drain_timeout: self.drain_timeout,
                ..Limits::default()
            }),
            connect_timeout: self.connect_timeout,
            idle_timeout: self.idle_timeout,
        }
    }
}
