//! The limits of a relay.

use std::time::Duration;

use countersign::Limits;

/// What a relay may use at most, and how long it waits.
#[derive(Debug, Clone)]
pub struct RelayLimits {
    /// What holds for peers that have to authenticate: connections, of which so many have not
    /// authenticated, the limits on failed attempts, and the time limits on the handshake and on
    /// draining.
    pub admission: Limits,
    /// Time limit for connecting to the target.
    pub connect_timeout: Duration,
    /// Time limit without data in either direction; none without one.
    pub idle_timeout: Option<Duration>,
}
