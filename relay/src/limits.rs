//! The limits of a relay.

use std::time::Duration;

use countersign::Limits;

/// The limits of a relay: what it may use, and how long it waits.
#[derive(Debug, Clone)]
pub struct RelayLimits {
    /// The limits for peers that have to authenticate: on connections, on unauthenticated ones, on
    /// failed attempts, and on the time for the handshake and for draining.
    pub admission: Limits,
    /// Time limit for connecting to the target.
    pub connect_timeout: Duration,
    /// Time limit without data in either direction; none without one.
    pub idle_timeout: Option<Duration>,
}
