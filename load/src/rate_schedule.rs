//! A rate that changes in stages.

use std::time::Duration;

/// Nanoseconds in a second. Times are nanoseconds since the load began.
const SECOND: f64 = 1e9;

/// A part of an open loop, with a rate of its own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stage {
    /// How long it goes on.
    pub lasts: Duration,
    /// The messages a second when it begins.
    pub from: f64,
    /// The messages a second when it ends. The rate changes evenly in between.
    pub to: f64,
}

impl Stage {
    /// A stage with a rate that doesn't change.
    #[must_use]
    pub fn constant(lasts: Duration, rate: f64) -> Self {
        Self { lasts, from: rate, to: rate }
    }

    /// The messages that are due in it.
    #[must_use]
    pub fn messages(&self) -> f64 {
        (self.from + self.to) / 2.0 * self.lasts.as_secs_f64()
    }

    /// The mean rate of stages that follow each other, between two times since the first began;
    /// none behind the last one.
    #[must_use]
    pub fn mean_rate(stages: &[Self], from: Duration, to: Duration) -> Option<f64> {
        let schedule = RateSchedule::new(Duration::ZERO, stages);
        let end: Duration = stages.iter().map(|stage| stage.lasts).sum();
        let [from, to] = [from, to.min(end)].map(nanos);
        let messages = schedule.messages_until(to) - schedule.messages_until(from);
        (from < to).then(|| messages / ((to - from) as f64 / SECOND))
    }

    /// Whether it has a length, and rates that are not negative.
    pub(super) fn is_valid(&self) -> bool {
        let valid = |rate: f64| rate.is_finite() && rate >= 0.0;
        !self.lasts.is_zero() && valid(self.from) && valid(self.to)
    }
}

/// When the messages of several stages are due. After the last stage its rate goes on.
#[derive(Debug, Clone)]
pub(super) struct RateSchedule {
    /// The stages, in order, and at last one without an end.
    spans: Vec<Span>,
    /// The one in which the last message was due.
    at: usize,
}

/// A stage within a schedule.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: u64,
    /// The messages that are due before it begins.
    before: f64,
    stage: Stage,
}

impl RateSchedule {
    /// Stages behind a warm-up, in which the rate rises from zero to that with which the first
    /// stage begins. So the backlog of messages that waited while clients connected is gone before
    /// any message counts.
    pub(super) fn new(warmup: Duration, stages: &[Stage]) -> Self {
        let first = stages.first().map_or(0.0, |stage| stage.from);
        let last = stages.last().map_or(0.0, |stage| stage.to);
        let all = [Stage { lasts: warmup, from: 0.0, to: first }]
            .into_iter()
            .chain(stages.iter().copied())
            .chain([Stage::constant(Duration::MAX, last)]);
        let (mut start, mut before) = (Duration::ZERO, 0.0);
        let span = |stage: Stage| {
            let span = Span { start: nanos(start), before, stage };
            start = start.saturating_add(stage.lasts);
            before += stage.messages();
            span
        };
        Self { spans: all.map(span).collect(), at: 0 }
    }

    /// When a message is due. Several messages are asked for in their order.
    pub(super) fn due(&mut self, message: f64) -> u64 {
        // A stage without messages is over before the next message is due.
        while let Some(next) = self.spans.get(self.at + 1)
            && next.before <= message
        {
            self.at += 1;
        }
        self.spans.get(self.at).map_or(u64::MAX, |span| span.due(message - span.before))
    }

    /// The messages that are due before this time.
    pub(super) fn messages_until(&self, time: u64) -> f64 {
        let span = self.spans.iter().rev().find(|span| span.start <= time);
        span.map_or(0.0, |span| span.before + span.messages_until(time - span.start))
    }
}

impl Span {
    /// How fast the rate changes, each second.
    fn slope(&self) -> f64 {
        let Stage { lasts, from, to } = self.stage;
        if lasts.is_zero() { 0.0 } else { (to - from) / lasts.as_secs_f64() }
    }

    /// When the message behind so many others of this stage is due.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    fn due(&self, message: f64) -> u64 {
        // After t seconds, from·t + slope·t²/2 messages were due. This form of the root is exact
        // for a slope of zero, and for a rate that begins at zero.
        let from = self.stage.from;
        let root = (from * from + 2.0 * self.slope() * message).max(0.0).sqrt();
        let seconds = 2.0 * message / (from + root);
        if seconds.is_nan() {
            // The first message at a rate of zero: now, if the rate rises, and otherwise never.
            return if self.slope() > 0.0 { self.start } else { u64::MAX };
        }
        self.start.saturating_add((seconds * SECOND) as u64)
    }

    fn messages_until(&self, time: u64) -> f64 {
        let seconds = time as f64 / SECOND;
        seconds * (self.stage.from + self.slope() * seconds / 2.0)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn ramp(seconds: u32, from: f64, to: f64) -> Stage {
        Stage { lasts: SECOND * seconds, from, to }
    }

    #[test]
    fn messages_are_due_at_the_rate_of_their_stage() {
        let millis = |n: u64| n * 1_000_000;
        let stages = [ramp(1, 2.0, 2.0), ramp(2, 0.0, 0.0), ramp(1, 4.0, 4.0)];
        let mut schedule = RateSchedule::new(SECOND, &stages);
        let due: Vec<u64> = (0..9).map(|n| schedule.due(f64::from(n))).collect();
        // One is due in the warm-up.
        let expected = [0, 1_000, 1_500, 4_000, 4_250, 4_500, 4_750, 5_000, 5_250];
        assert_eq!(due, expected.map(millis));
    }

    #[test]
    fn a_ramp_changes_the_rate_evenly() {
        for (from, to) in [(0.0, 1_000.0), (1_000.0, 0.0), (100.0, 300.0)] {
            let stage = ramp(10, from, to);
            let mut schedule = RateSchedule::new(Duration::ZERO, &[stage]);
            for part in [0.1, 0.5, 0.9] {
                let nanos = schedule.due(stage.messages() * part);
                let time = nanos as f64 / 1e9;
                let due = from * time + (to - from) * time * time / 20.0;
                assert!((due / stage.messages() - part).abs() < 1e-6, "{from} to {to}: {time} s");
                let until = schedule.messages_until(nanos);
                assert!((until / stage.messages() - part).abs() < 1e-6, "{from} to {to}: {until}");
            }
        }
    }

    #[test]
    fn the_mean_rate_is_that_of_the_time_in_each_stage() {
        let stages = [ramp(10, 1_000.0, 1_000.0), ramp(10, 1_000.0, 3_000.0)];
        let mean = |from, to| Stage::mean_rate(&stages, SECOND * from, SECOND * to);
        for (from, to, rate) in [(0, 1, 1e3), (5, 15, 1_250.0), (10, 20, 2e3), (19, 30, 2_900.0)] {
            assert!((mean(from, to).unwrap() - rate).abs() < 1e-6, "{from}, {to}");
        }
        assert_eq!((mean(20, 21), Stage::mean_rate(&[], SECOND, SECOND * 2)), (None, None));
    }

    #[test]
    fn nothing_is_due_without_a_rate() {
        let mut silent = RateSchedule::new(SECOND, &[ramp(1, 0.0, 0.0)]);
        assert_eq!(silent.due(0.0), u64::MAX);
        assert!(silent.messages_until(u64::MAX).abs() < 1e-9);
        let mut ends = RateSchedule::new(Duration::ZERO, &[ramp(1, 1.0, 1.0), ramp(1, 0.0, 0.0)]);
        assert_eq!([ends.due(0.0), ends.due(1.0)], [0, u64::MAX]);
        let mut rises = RateSchedule::new(SECOND, &[ramp(2, 0.0, 2.0)]);
        assert_eq!(rises.due(0.0), 1_000_000_000, "when it begins to rise");
    }
}
