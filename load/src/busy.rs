//! How busy a loop is.

use rustix::time::{ClockId, clock_gettime};

use crate::pacer::Nanos;

/// How busy a loop is: a share of a core.
///
/// A loop that waits asleep takes no processor time, but it pays for falling asleep and waking up.
/// If it waits awake, for what is due too soon to sleep, all of that takes processor time and none
/// of it is work. So neither the processor time nor the time between two waits is enough alone.
#[derive(Debug)]
pub(super) struct Busy {
    /// How long the loop has waited, asleep or awake.
    waited: Nanos,
    /// How long it has waited awake.
    awake: Nanos,
    /// The processor time of the thread when this began.
    processor: Nanos,
}

impl Busy {
    /// Begins now, on the thread of the loop.
    pub(super) fn start() -> Self {
        Self { waited: 0, awake: 0, processor: processor_time() }
    }

    /// The loop has waited.
    pub(super) fn wait(&mut self, time: Nanos, is_awake: bool) {
        self.waited += time;
        self.awake += if is_awake { time } else { 0 };
    }

    /// How much of the time since the start it was busy.
    pub(super) fn time(&self, elapsed: Nanos) -> Nanos {
        self.time_of(elapsed, processor_time().saturating_sub(self.processor))
    }

    fn time_of(&self, elapsed: Nanos, processor: Nanos) -> Nanos {
        let worked = processor.saturating_sub(self.awake);
        // While another program has the core, the loop has work and gets no processor time.
        elapsed.saturating_sub(self.waited).max(worked).min(elapsed)
    }
}

/// The processor time that this thread has taken.
fn processor_time() -> Nanos {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let [seconds, nanos] = [time.tv_sec, time.tv_nsec].map(Nanos::try_from);
    seconds.unwrap_or_default() * 1_000_000_000 + nanos.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_is_no_work_and_falling_asleep_is() {
        let busy = |asleep, awake, processor| {
            let mut busy = Busy::start();
            busy.wait(asleep, false);
            busy.wait(awake, true);
            busy.time_of(100, processor)
        };
        for (asleep, awake, processor, expected) in [
            (100, 0, 0, 0),
            (80, 0, 15, 20),
            // Each of many short waits takes processor time.
            (30, 0, 95, 95),
            (0, 80, 100, 20),
            (40, 40, 60, 20),
            // Another program has had the core.
            (10, 0, 50, 90),
            (0, 0, 200, 100),
        ] {
            assert_eq!(busy(asleep, awake, processor), expected, "{asleep} {awake} {processor}");
        }
        assert_eq!(Busy::start().time_of(0, 0), 0);
    }

    #[test]
    fn work_takes_processor_time() {
        let before = processor_time();
        let mut sum = 0_u64;
        while processor_time() == before {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(processor_time() > before);
    }
}
