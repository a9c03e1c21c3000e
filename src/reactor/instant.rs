//! Points on the monotonic clock.

use std::ops::Add;
use std::time::{self, Duration};

/// A point on the monotonic clock: whole milliseconds since the engine's clock began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The instant at which so much time has passed since the clock began, rounded down to a
    /// millisecond.
    #[must_use]
    pub fn after(elapsed: Duration) -> Self {
        Self(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
    }

    /// The time from the clock's beginning.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        Duration::from_millis(self.0)
    }

    /// The time that has passed since an earlier instant, or zero.
    #[must_use]
    pub fn saturating_duration_since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// A loop's clock: the system's monotonic clock, counted from an epoch.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    epoch: time::Instant,
}

impl Clock {
    /// A clock that begins at this time.
    #[must_use]
    pub fn new(epoch: time::Instant) -> Self {
        Self { epoch }
    }

    /// The instant of a time of the system's clock, rounded down.
    #[must_use]
    pub fn instant(self, at: time::Instant) -> Instant {
        Instant::after(at.saturating_duration_since(self.epoch))
    }

    /// The time of an instant on the system's clock; the epoch if it can't be represented.
    #[must_use]
    pub fn time(self, at: Instant) -> time::Instant {
        self.epoch.checked_add(at.elapsed()).unwrap_or(self.epoch)
    }
}

/// An instant in four bytes, in steps of `STEP` milliseconds, for tables with an entry for each
/// connection. It is valid for [`REACH`](Self::REACH): 49 days with steps of 1 ms, 497 days with
/// steps of 10 ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CompactInstant<const STEP: u64>(u32);

impl<const STEP: u64> CompactInstant<STEP> {
    /// How far back it reaches, rounded down to whole days.
    pub const REACH: Duration = {
        const DAY: u64 = 24 * 60 * 60;
        let seconds = (u32::MAX as u64 * STEP) / 1000;
        Duration::from_secs(seconds / DAY * DAY)
    };

    /// The time that has passed since then.
    pub fn passed(self, now: Instant) -> Duration {
        let steps = Self::from(now).0.wrapping_sub(self.0);
        Duration::from_millis(u64::from(steps) * STEP)
    }

    /// The whole instant, if that was no longer than [`REACH`](Self::REACH) before now.
    pub fn before(self, now: Instant) -> Instant {
        let steps = Self::from(now).0.wrapping_sub(self.0);
        Instant(now.0 - u64::from(steps) * STEP)
    }
}

impl<const STEP: u64> From<Instant> for CompactInstant<STEP> {
    fn from(Instant(millis): Instant) -> Self {
        let [.., a, b, c, d] = (millis / STEP).to_be_bytes();
        Self(u32::from_be_bytes([a, b, c, d]))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    /// Rounds up, so that a timer never expires early.
    fn add(self, wait: Duration) -> Self {
        let millis = wait.as_nanos().div_ceil(1_000_000);
        Self(self.0.saturating_add(u64::try_from(millis).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compact_instant_is_read_also_past_a_wrap() {
        for start in [0, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 40) + 5] {
            let (fine, coarse) = (Instant(start), Instant(10 * start));
            for passed in [Duration::ZERO, Duration::from_millis(1), CompactInstant::<1>::REACH] {
                let then = CompactInstant::<1>::from(fine);
                assert_eq!(then.passed(fine + passed), passed, "{start}");
                assert_eq!(then.before(fine + passed), fine, "{start} {passed:?}");
            }
            for passed in [Duration::ZERO, Duration::from_millis(10), CompactInstant::<10>::REACH] {
                let then = CompactInstant::<10>::from(coarse);
                assert_eq!(then.passed(coarse + passed), passed, "{start}");
            }
        }
        let days = |reach: Duration| reach.as_secs() / (24 * 60 * 60);
        assert_eq!(days(CompactInstant::<1>::REACH), 49);
        assert_eq!(days(CompactInstant::<10>::REACH), 497);
    }

    #[test]
    fn a_sum_is_never_earlier_than_it_should_be() {
        let now = Instant::after(Duration::from_micros(1_999));
        assert_eq!(now.elapsed(), Duration::from_millis(1));
        assert_eq!((now + Duration::from_nanos(1)).elapsed(), Duration::from_millis(2));
        assert_eq!((now + Duration::MAX).elapsed(), Duration::from_millis(u64::MAX));
    }
}
