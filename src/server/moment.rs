//! Points on the monotonic clock.

use std::ops::Add;
use std::time::Duration;

/// A point on the monotonic clock: whole milliseconds since the engine's clock began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Moment(u64);

impl Moment {
    /// The moment at which so much time has passed; a part of a millisecond doesn't count.
    #[must_use]
    pub fn after(elapsed: Duration) -> Self {
        Self(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
    }

    /// The time from the clock's beginning.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

/// A moment of the last 49 days, in half the space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Recent(u32);

impl Recent {
    /// How far back it reaches, and a little less.
    pub(super) const REACH: Duration = Duration::from_secs(49 * 24 * 60 * 60);

    /// The moment that it stood for, if that was no longer than [`REACH`](Self::REACH) before now.
    pub(super) fn before(self, now: Moment) -> Moment {
        let passed = Self::from(now).0.wrapping_sub(self.0);
        Moment(now.0 - u64::from(passed))
    }
}

impl From<Moment> for Recent {
    fn from(Moment(millis): Moment) -> Self {
        let [.., a, b, c, d] = millis.to_be_bytes();
        Self(u32::from_be_bytes([a, b, c, d]))
    }
}

/// A moment of the last 497 days, to the hundredth of a second: when a connection began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Start(u32);

impl Start {
    const UNIT: u64 = 10;

    /// The time that has passed since then.
    pub(super) fn passed(self, now: Moment) -> Duration {
        let passed = Self::from(now).0.wrapping_sub(self.0);
        Duration::from_millis(u64::from(passed) * Self::UNIT)
    }
}

impl From<Moment> for Start {
    fn from(Moment(millis): Moment) -> Self {
        let [.., a, b, c, d] = (millis / Self::UNIT).to_be_bytes();
        Self(u32::from_be_bytes([a, b, c, d]))
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    /// Rounds up, so that a wait is never shorter than it was said to be.
    fn add(self, wait: Duration) -> Self {
        let millis = wait.as_nanos().div_ceil(1_000_000);
        Self(self.0.saturating_add(u64::try_from(millis).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recent_moment_is_found_again_also_past_a_wrap() {
        for start in [0, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 40) + 5] {
            let then = Moment(start);
            for passed in [Duration::ZERO, Duration::from_millis(1), Recent::REACH] {
                assert_eq!(Recent::from(then).before(then + passed), then, "{start} {passed:?}");
            }
        }
    }

    #[test]
    fn what_has_passed_since_a_start_is_told_also_past_a_wrap() {
        for start in [0, 10 << 31, 10 * ((1 << 32) - 1), 10 << 32, (1 << 40) + 5] {
            let then = Moment(start);
            for passed in [Duration::ZERO, Duration::from_secs(497 * 24 * 60 * 60)] {
                assert_eq!(Start::from(then).passed(then + passed), passed, "{start}");
            }
        }
    }

    #[test]
    fn a_wait_is_never_shorter_than_it_was_said_to_be() {
        let now = Moment::after(Duration::from_micros(1_999));
        assert_eq!(now.elapsed(), Duration::from_millis(1));
        assert_eq!((now + Duration::from_nanos(1)).elapsed(), Duration::from_millis(2));
        assert_eq!((now + Duration::MAX).elapsed(), Duration::from_millis(u64::MAX));
    }
}
