//! When messages are due.
//!
//! A pacer is a position, not a queue: a message that was due while no client was free is
//! taken later, with the time at which it was due. So an open loop needs no memory however far it
//! falls behind.

use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};

use crate::plan::Arrival;
use crate::rate_schedule::RateSchedule;
use crate::share::Share;

/// Nanoseconds since the load began.
pub(super) type Nanos = u64;

/// A time in nanoseconds; one that is too long is the longest.
pub(super) fn nanos(duration: Duration) -> Nanos {
    Nanos::try_from(duration.as_nanos()).unwrap_or(Nanos::MAX)
}

const SECOND: f64 = 1e9;

/// About the most steps in which what was never taken is gone through.
const STEPS: f64 = 1e5;

/// When messages are due.
#[derive(Debug)]
pub(super) struct Pacer {
    arrival: Arrival,
    /// Where the rate changes in stages, they replace that of the arrival.
    stages: Option<RateSchedule>,
    /// The numbers between two messages of this loop: as many as there are loops.
    step: u64,
    /// The number of the next message, among those of all loops. Its time is computed from the
    /// number, so that rounding errors don't add up.
    number: u64,
    /// At random arrivals, the place of the next message among evenly spaced ones.
    place: f64,
    /// When the next is due, in an open loop.
    due: Nanos,
    random: Xoshiro256PlusPlus,
}

impl Pacer {
    /// The share that a loop has of messages at these times.
    pub(super) fn new(arrival: Arrival, seed: u64, share: Share) -> Self {
        Self::with_stages(arrival, None, seed, share)
    }

    /// The same with a rate that changes in stages.
    pub(super) fn with_stages(
        arrival: Arrival,
        stages: Option<RateSchedule>,
        seed: u64,
        share: Share,
    ) -> Self {
        let random = Xoshiro256PlusPlus::seed_from_u64(seed + share.index);
        let (step, number) = (share.of, share.index);
        let mut pacer = Self { arrival, stages, step, number, place: 0.0, due: 0, random };
        pacer.due = pacer.due();
        pacer
    }

    /// Takes the next message, if it is due: the time from which its latency counts.
    pub(super) fn take(&mut self, now: Nanos) -> Option<Nanos> {
        let due = self.next().unwrap_or(now);
        (due <= now && self.take_several(1) == 1).then_some(due)
    }

    /// Takes the next message and others that are due at the same time, at most so many. Returns
    /// how many. In a closed loop there are always as many.
    pub(super) fn take_several(&mut self, most: u64) -> u64 {
        let together = match self.arrival {
            Arrival::Closed | Arrival::PerClient(_) => return most,
            Arrival::Constant(_) | Arrival::Poisson(_) => 1,
            Arrival::Burst(_, size) => {
                let left = u64::from(size) - self.number % u64::from(size);
                left.div_ceil(self.step)
            }
        };
        let taken = together.min(most);
        self.number += taken * self.step;
        if let Arrival::Poisson(_) = self.arrival {
            // The gaps of a Poisson process are exponentially distributed; 1 - u is never 0.
            // Several independent processes are one together.
            self.place += -(1.0 - self.random.random::<f64>()).ln() * self.step as f64;
        }
        self.due = self.due();
        taken
    }

    /// When the next message is due; in a closed loop that is up to the clients.
    pub(super) fn next(&self) -> Option<Nanos> {
        (self.arrival != Arrival::Closed).then_some(self.due)
    }

    /// Takes all that are due before this time, of an open loop: when, and how many. If they are
    /// hundreds of thousands, several that follow each other count as due with the first of them,
    /// and random gaps as the mean gap.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    pub(super) fn drain_until(&mut self, end: Nanos) -> Vec<(Nanos, u64)> {
        let mut drained = Vec::new();
        let step = (self.expected_until(end) / STEPS).max(1.0).floor();
        while let Some(due) = self.next().filter(|due| *due < end) {
            let several = step.min(self.expected_until(end).ceil());
            if several > 1.0 {
                drained.push((due, several as u64));
                self.number += several as u64 * self.step;
                self.place += several * self.step as f64;
                self.due = self.due();
            } else {
                drained.push((due, self.take_several(1)));
            }
        }
        drained
    }

    /// The messages of this loop that are not taken yet and due before this time, on average.
    fn expected_until(&self, end: Nanos) -> f64 {
        let all = match (&self.stages, self.arrival.rate()) {
            (_, None) => return 0.0,
            (Some(stages), _) => stages.messages_until(end),
            (None, Some(rate)) => end as f64 * rate / SECOND,
        };
        (all - self.place()) / self.step as f64
    }

    /// The place of the next message among evenly spaced ones.
    fn place(&self) -> f64 {
        match self.arrival {
            Arrival::Poisson(_) => self.place,
            Arrival::Burst(_, size) => (self.number - self.number % u64::from(size)) as f64,
            Arrival::Constant(_) | Arrival::Closed | Arrival::PerClient(_) => self.number as f64,
        }
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    fn due(&mut self) -> Nanos {
        let place = self.place();
        match (&mut self.stages, self.arrival.rate()) {
            (_, None) => 0,
            (Some(stages), _) => stages.due(place),
            (None, Some(rate)) => (place * SECOND / rate) as Nanos,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::rate_schedule::Stage;

    fn taken(arrival: Arrival, until: Nanos) -> Vec<Nanos> {
        shared(arrival, until, Share::WHOLE)
    }

    fn shared(arrival: Arrival, until: Nanos, share: Share) -> Vec<Nanos> {
        let mut pacer = Pacer::new(arrival, 7, share);
        std::iter::from_fn(|| pacer.take(until)).collect()
    }

    #[test]
    fn an_open_loop_keeps_the_times_at_which_messages_were_due() {
        let millis = |n: u64| n * 1_000_000;
        assert_eq!(taken(Arrival::Constant(1000.0), millis(3)), [0, 1, 2, 3].map(millis));
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

    /// A pacer whose rate rises from nothing to 2,000 within two seconds, then stays at 500 for
    /// two, and ends: 3,000 messages.
    fn staged(arrival: Arrival, share: Share, factor: f64) -> Pacer {
        let lasts = Duration::from_secs(2);
        let rise = Stage { lasts, from: 0.0, to: 2_000.0 * factor };
        let stages = [rise, Stage::constant(lasts, 500.0 * factor), Stage::constant(lasts, 0.0)];
        Pacer::with_stages(arrival, Some(RateSchedule::new(Duration::ZERO, &stages)), 7, share)
    }

    #[test]
    fn what_was_never_taken_is_gone_through_in_bounded_steps() {
        let (end, whole) = (60_000_000_000, 60_000_000_000);
        for arrival in [Arrival::Constant(1e9), Arrival::Poisson(1e9), Arrival::Burst(1e9, 10)] {
            for mut pacer in
                [Pacer::new(arrival, 7, Share::WHOLE), staged(arrival, Share::WHOLE, 2e7)]
            {
                let drained = pacer.drain_until(end);
                let count: u64 = drained.iter().map(|(_, count)| count).sum();
                assert!(drained.len() < 200_000, "{arrival:?}: {} steps", drained.len());
                assert!(count.abs_diff(whole) < 1_000_000, "{arrival:?}: {count}");
                assert!(drained.iter().map(|(due, _)| due).is_sorted(), "{arrival:?}");
            }
        }
    }

    #[test]
    fn stages_have_their_messages_however_they_are_spaced_and_shared() {
        let seconds = |n: u64| n * 1_000_000_000;
        for arrival in [Arrival::Constant(1.0), Arrival::Burst(1.0, 10), Arrival::Poisson(1.0)] {
            for loops in [1, 3] {
                let mut all: Vec<Nanos> = Vec::new();
                for share in Share::all(loops) {
                    let mut pacer = staged(arrival, share, 1.0);
                    all.extend(std::iter::from_fn(|| pacer.take(seconds(9))));
                }
                let within = |from, to| all.iter().filter(|due| (from..to).contains(*due)).count();
                let counts = [(0, 1), (1, 2), (2, 4), (4, 9)];
                let counts = counts.map(|(from, to)| within(seconds(from), seconds(to)));
                let slack = if matches!(arrival, Arrival::Poisson(_)) { 100 } else { 10 };
                for (count, expected) in counts.into_iter().zip([500, 1_500, 1_000, 0_usize]) {
                    assert!(count.abs_diff(expected) <= slack, "{arrival:?}: {counts:?}");
                }
            }
        }
    }

    #[test]
    fn several_loops_have_the_messages_of_one() {
        let until = 1_000_000_000;
        for loops in [2, 3, 8] {
            for arrival in
                [Arrival::Constant(999.0), Arrival::Burst(1e3, 7), Arrival::Burst(1e3, 2)]
            {
                let shares = Share::all(loops).map(|share| shared(arrival, until, share));
                let mut all: Vec<Nanos> = shares.flatten().collect();
                all.sort_unstable();
                assert_eq!(all, taken(arrival, until), "{arrival:?} by {loops}");
            }
            let shares = Share::all(loops);
            let random = shares.map(|share| shared(Arrival::Poisson(1e5), until, share).len());
            assert!((98_000..102_000).contains(&random.sum::<usize>()), "{loops}");
            let drained = Share::all(loops).flat_map(|share| {
                Pacer::new(Arrival::Constant(1e9), 7, share).drain_until(60_000_000_000)
            });
            let count: u64 = drained.map(|(_, count)| count).sum();
            assert!(count.abs_diff(60_000_000_000) < 1_000_000 * loops as u64, "{loops}: {count}");
        }
    }

    #[test]
    fn a_closed_loop_is_always_due() {
        let mut pacer = Pacer::new(Arrival::Closed, 7, Share::WHOLE);
        assert_eq!((pacer.take(5), pacer.take(6), pacer.next()), (Some(5), Some(6), None));
    }
}
