//! The limits of `proxy`.

use std::time::Duration;

use clap::Args;
use countersign::Limits;

use crate::args::limits::{CONNECTIONS_MAX, ThrottleArgs};
use crate::units;

/// What the proxy may use at most, and how long it waits.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits")]
pub(super) struct RelayLimits {
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
    pub(super) connect_timeout: Duration,
    /// Time limit from connecting until both ends have authenticated
    #[arg(long, value_name = "TIME", default_value = "5s",
          value_parser = units::time(units::SOME_TIME))]
    pub(super) handshake_timeout: Duration,
    /// Time limit without data in either direction; 0s means no limit [default: 0s]
    #[arg(long, value_name = "TIME", value_parser = units::time_or_never(units::SOME_TIME))]
    pub(super) idle_timeout: Option<Duration>,
    /// Time limit for open connections after a signal to stop; 0s closes them at once
    #[arg(long, value_name = "TIME", default_value = "5s",
          value_parser = units::time(units::ANY_TIME))]
    pub(super) drain_timeout: Duration,
    #[command(flatten)]
    failures: ThrottleArgs,
}

impl RelayLimits {
    /// How long a peer is delayed whose network has failed too often.
    pub(super) fn failure_delay(&self) -> Duration {
        self.admission().failure_delay
    }

    /// What holds for peers that have to authenticate.
    pub(super) fn admission(&self) -> Limits {
        let connections = self.max_connections;
        let unauthenticated = self.max_unauthenticated.unwrap_or(connections);
        self.failures.within(Limits {
            connections,
            unauthenticated,
            unauthenticated_per_address: self
                .max_per_address
                .unwrap_or(unauthenticated.div_ceil(2)),
            handshake_timeout: self.handshake_timeout,
            ..Limits::default()
        })
    }
}
