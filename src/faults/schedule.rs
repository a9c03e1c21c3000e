//! When a listener with a limited rate answers its messages.

use std::time::Duration;

use crate::reactor::instant::Instant;

/// How far a schedule may be behind. If the loop is late, what it could not answer in time is
/// answered at once; if nothing was to be answered for longer than this, the schedule begins anew.
/// It is short, because a listener that had little to do for a while answers faster afterwards,
/// until this time is caught up with.
const BEHIND_MAX: Duration = Duration::from_millis(10);

/// The times at which messages are answered: equally far from each other.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ReplySchedule {
    rate: f64,
    /// The time of the first message.
    base: Instant,
    /// The messages that have their time. Times follow from this number, so that rounding errors
    /// don't add up.
    count: u64,
}

impl ReplySchedule {
    /// Takes the next time at this rate. It may be over.
    pub(super) fn take(&mut self, rate: f64, now: Instant) -> Instant {
        if self.rate != rate {
            *self = Self { rate, base: now, count: 0 };
        }
        let next = self.base + Duration::from_secs_f64(self.count as f64 / rate);
        let is_new = next + BEHIND_MAX < now;
        if is_new {
            *self = Self { rate, base: now, count: 0 };
        }
        self.count += 1;
        if is_new { now } else { next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(nanos: u64) -> Instant {
        Instant::after(Duration::from_nanos(nanos))
    }

    #[test]
    fn times_are_a_gap_apart_however_late_they_are_taken() {
        let mut schedule = ReplySchedule::default();
        for number in 0..100_000 {
            let late = number * 10_000 + (number % 7) * 1_000_000;
            assert_eq!(schedule.take(1e5, at(late)), at(number * 10_000));
        }
    }

    #[test]
    fn after_a_pause_the_schedule_begins_anew() {
        let mut schedule = ReplySchedule::default();
        let taken = [0, 0, 0, 500_000_000, 500_000_000].map(|now| schedule.take(1e3, at(now)));
        assert_eq!(taken, [0, 1_000_000, 2_000_000, 500_000_000, 501_000_000].map(at));
        assert_eq!(schedule.take(500.0, at(500_000_000)), at(500_000_000), "another rate");
    }
}
