//! The one place that reads the clocks.

use std::time::{Instant, SystemTime};

/// The monotonic clock, for deadlines.
#[expect(clippy::disallowed_methods, reason = "this is the one clock")]
pub(crate) fn monotonic() -> Instant {
    Instant::now()
}

/// The time of day, for text.
#[expect(clippy::disallowed_methods, reason = "this is the one clock")]
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}
