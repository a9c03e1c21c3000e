//! Unix time, in which a key's dates are counted.

use std::time::{Duration, SystemTime};

/// The time since 1970 began, in UTC; zero for any time before.
#[must_use]
pub fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}
