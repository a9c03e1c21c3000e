//! Pauses between attempts: random ones, so that clients which lost a server together don't come
//! back together.
//!
//! Exponential backoff with full jitter, after Marc Brooker, "Exponential Backoff And Jitter"
//! (2015): any time up to a bound that doubles.

use std::io;
use std::time::Duration;

use crate::system;

/// The longest pause at first, and at all.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);

/// The pauses that are left.
pub(super) struct Backoff {
    left: u32,
    /// How long the next may be.
    bound: Duration,
}

impl Backoff {
    pub(super) fn new(attempts: u32) -> Self {
        Self { left: attempts, bound: FIRST }
    }

    /// How long to wait before the next attempt; none after the last.
    pub(super) fn pause(&mut self) -> io::Result<Option<Duration>> {
        let mut random = [0; 8];
        system::fill(&mut random)?;
        let random = u64::from_ne_bytes(random);
        Ok(self.bound().map(|bound| share(bound, random)))
    }

    /// How long the next pause may be.
    fn bound(&mut self) -> Option<Duration> {
        self.left = self.left.checked_sub(1)?;
        let bound = self.bound;
        self.bound = (bound * 2).min(LONGEST);
        Some(bound)
    }
}

/// A part of a time, which is chosen by a number from among all that there are.
fn share(whole: Duration, number: u64) -> Duration {
    let nanos = (whole.as_nanos() * u128::from(number)) >> u64::BITS;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_may_be_twice_as_long_each_time_up_to_a_bound() {
        let mut backoff = Backoff::new(9);
        let bounds: Vec<u128> =
            std::iter::from_fn(|| backoff.bound()).map(|bound| bound.as_millis()).collect();
        assert_eq!(bounds, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        assert_eq!(Backoff::new(0).pause().unwrap(), None);
    }

    #[test]
    fn any_share_of_the_bound_is_a_pause() {
        for (number, millis) in [(0, 0), (1 << 62, 2500), (1 << 63, 5000), (u64::MAX, 9999)] {
            assert_eq!(share(LONGEST, number).as_millis(), millis, "{number}");
        }
        let pauses = (0..100).map(|_| Backoff::new(1).pause().unwrap().unwrap());
        let pauses: std::collections::HashSet<Duration> = pauses.collect();
        assert!(pauses.len() > 50 && pauses.iter().all(|pause| *pause < FIRST), "{pauses:?}");
    }
}
