//! When messages are due.
//!
//! The schedule is a position, not a queue: a message that was due while no client was free is
//! taken later, with the time at which it was due. So an open loop needs no memory however far it
//! falls behind.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};

use crate::load::plan::Arrival;

/// Nanoseconds since the load began.
pub(super) type Nanos = u64;

const SECOND: f64 = 1e9;

/// When messages are due.
#[derive(Debug)]
pub(super) struct Schedule {
    arrival: Arrival,
    /// When the next is due, in an open loop.
    due: f64,
    /// How many more are due at the same time.
    left_of_burst: u32,
    random: Xoshiro256PlusPlus,
}

impl Schedule {
    pub(super) fn new(arrival: Arrival, seed: u64) -> Self {
        let left_of_burst = if let Arrival::Burst(_, size) = arrival { size } else { 1 };
        let random = Xoshiro256PlusPlus::seed_from_u64(seed);
        Self { arrival, due: 0.0, left_of_burst, random }
    }

    /// Takes the next message, if it is due: the time from which its latency counts.
    pub(super) fn take(&mut self, now: Nanos) -> Option<Nanos> {
        if self.arrival == Arrival::Closed {
            return Some(now);
        }
        let due = self.next()?;
        if due > now {
            return None;
        }
        self.left_of_burst -= 1;
        if self.left_of_burst == 0 {
            self.advance();
        }
        Some(due)
    }

    /// When the next message is due; in a closed loop that is up to the clients.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    pub(super) fn next(&self) -> Option<Nanos> {
        (self.arrival != Arrival::Closed).then_some(self.due as Nanos)
    }

    fn advance(&mut self) {
        self.left_of_burst = 1;
        self.due += match self.arrival {
            Arrival::Closed => 0.0,
            Arrival::Even(rate) => SECOND / rate,
            // The gaps of a Poisson process are exponentially distributed; 1 - u is never 0.
            Arrival::Poisson(rate) => -(1.0 - self.random.random::<f64>()).ln() * SECOND / rate,
            Arrival::Burst(rate, size) => {
                self.left_of_burst = size;
                f64::from(size) * SECOND / rate
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(arrival: Arrival, until: Nanos) -> Vec<Nanos> {
        let mut schedule = Schedule::new(arrival, 7);
        std::iter::from_fn(|| schedule.take(until)).collect()
    }

    #[test]
    fn an_open_loop_keeps_the_times_at_which_messages_were_due() {
        let millis = |n: u64| n * 1_000_000;
        assert_eq!(taken(Arrival::Even(1000.0), millis(3)), [0, 1, 2, 3].map(millis));
        assert_eq!(taken(Arrival::Burst(1000.0, 2), millis(3)), [0, 0, 2, 2].map(millis));
    }

    #[test]
    fn a_poisson_process_has_its_rate_and_is_uneven() {
        let times = taken(Arrival::Poisson(1000.0), 100_000_000_000);
        assert!((98_000..102_000).contains(&times.len()), "{}", times.len());
        let gaps: Vec<Nanos> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let longer = gaps.iter().filter(|gap| **gap > 1_000_000).count();
        // Of an exponential distribution, e^-1 lies above the mean.
        let share = longer as f64 / gaps.len() as f64;
        assert!((0.36..0.375).contains(&share), "{share}");
    }

    #[test]
    fn a_closed_loop_is_always_due() {
        let mut schedule = Schedule::new(Arrival::Closed, 7);
        assert_eq!((schedule.take(5), schedule.take(6), schedule.next()), (Some(5), Some(6), None));
    }
}
