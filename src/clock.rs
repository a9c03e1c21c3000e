//! The only place that reads the clocks.

use std::time::{Duration, Instant, SystemTime};

/// The monotonic clock, for deadlines.
#[expect(clippy::disallowed_methods, reason = "this is the one clock")]
pub fn monotonic() -> Instant {
    Instant::now()
}

/// The instant after this time from now. More than a century counts as a century, which the clock
/// can represent.
pub fn after(time: Duration) -> Instant {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
    monotonic() + time.min(CENTURY)
}

/// The time of day, for text.
#[expect(clippy::disallowed_methods, reason = "this is the one clock")]
pub fn wall() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_the_clock_cannot_count_is_far_away() {
        let far = Duration::from_secs(99 * 365 * 24 * 60 * 60);
        for time in [Duration::MAX, Duration::from_secs(u64::MAX), Duration::MAX / 2] {
            assert!(after(time) > monotonic() + far);
        }
        assert!(after(Duration::ZERO) <= monotonic());
    }
}
