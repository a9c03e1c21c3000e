//! Points on the monotonic clock.

use std::ops::Add;
use std::time::{self, Duration};

/// The nanoseconds of a millisecond.
const MILLI: u64 = 1_000_000;

/// A point on the monotonic clock: the nanoseconds since the engine's clock began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The instant at which so much time has passed since the clock began.
    #[must_use]
    pub fn after(elapsed: Duration) -> Self {
        Self(nanos(elapsed))
    }

    /// The time from the clock's beginning.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    /// The instant so long before this one, or the first.
    #[must_use]
    pub fn before(self, time: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(time)))
    }

    /// The time that has passed since an earlier instant, or zero.
    #[must_use]
    pub fn saturating_duration_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
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

    /// The instant of a time of the system's clock.
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

    /// The whole instant, rounded down to a step, if that was no longer than
    /// [`REACH`](Self::REACH) before now.
    pub fn before(self, now: Instant) -> Instant {
        let steps = Self::from(now).0.wrapping_sub(self.0);
        Instant((now.0 / (STEP * MILLI) - u64::from(steps)) * STEP * MILLI)
    }
}

impl<const STEP: u64> From<Instant> for CompactInstant<STEP> {
    fn from(Instant(nanos): Instant) -> Self {
        let [.., a, b, c, d] = (nanos / (STEP * MILLI)).to_be_bytes();
        Self(u32::from_be_bytes([a, b, c, d]))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(nanos(wait)))
    }
}

/// A time in nanoseconds. It saturates, after five centuries.
#[inline]
fn nanos(time: Duration) -> u64 {
    let whole = time.as_secs().saturating_mul(1_000_000_000);
    whole.saturating_add(u64::from(time.subsec_nanos()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::after(Duration::from_millis(millis))
    }

    #[test]
    fn a_compact_instant_is_read_also_past_a_wrap() {
        for start in [0, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 40) + 5] {
            let (fine, coarse) = (at(start), at(10 * start));
            for passed in [Duration::ZERO, Duration::from_millis(1), CompactInstant::<1>::REACH] {
                let then = CompactInstant::<1>::from(fine);
                let now = fine + passed + Duration::from_nanos(999_999);
                assert_eq!(then.passed(now), passed, "{start}");
                assert_eq!(then.before(now), fine, "{start} {passed:?}");
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
    fn a_sum_is_exact_and_saturates() {
        let now = Instant::after(Duration::from_nanos(1_999_999));
        assert_eq!(now.elapsed(), Duration::from_nanos(1_999_999));
        assert_eq!((now + Duration::from_nanos(1)).elapsed(), Duration::from_millis(2));
        assert_eq!((now + Duration::MAX).elapsed(), Duration::from_nanos(u64::MAX));
    }
}
