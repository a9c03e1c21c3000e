//! How a load went.

use std::time::Duration;

use countersign::Address;

use crate::failure::{FailureKind, Failures};
use crate::intervals::{Interval, Intervals};
use crate::latencies::Latencies;
use crate::latency_distribution::LatencyDistribution;
use crate::pacer::nanos;

/// What a load could have sent for so long and hasn't, counts as never answered.
const GRACE: Duration = Duration::from_millis(100);

/// The share of its time that a load may be behind schedule, and the share of replies that it may
/// miss, for its rate to count as reached.
const TOLERANCE: f64 = 0.01;

/// A load that is late by at most this counts as on schedule: the system's timers aren't exact.
const JITTER: Duration = Duration::from_millis(10);

/// How a load went, the warm-up left out.
///
/// Every message that was due is counted once: `due == answered + failed() + aborted + unsent`.
/// Percentiles and shares are those of the messages that were due, and not of the replies: see
/// [`reply_within`](Self::reply_within).
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Report {
    /// When the measurement began, after the warm-up: the time since 1970.
    pub start: Duration,
    /// Where the server is: of several addresses, the one that was connected to last.
    pub server: Option<Address>,
    /// How long it took.
    pub elapsed: Duration,
    /// Messages that were due. In a closed loop those that clients took up, or all of a count; in
    /// an open loop those whose time had come when the load ended.
    pub due: u64,
    /// Messages that were answered rightly.
    pub answered: u64,
    /// Right replies that came while the load was measured, also to messages of the warm-up.
    pub replies: u64,
    /// Messages in flight when the load ended. That alone isn't a failure.
    pub aborted: u64,
    /// Messages that were due when it ended and had not been sent.
    pub unsent: u64,
    /// Connections whose handshake was gone through.
    pub connected: u64,
    /// Connections that were open when the measurement began, after the warm-up.
    pub open_before: u64,
    /// Bytes that were sent.
    pub bytes_out: u64,
    /// Bytes that were received.
    pub bytes_in: u64,
    /// From dialling until the connection stood.
    pub connect: Latencies,
    /// From then until the proof was sent.
    pub handshake: Latencies,
    /// From when the first message of a connection was due until its reply.
    pub first_reply: Latencies,
    /// From when a message was due until its reply.
    pub reply: Latencies,
    /// The share of the time in which each loop had something to do, from 0 to 1, without what it
    /// has waited awake. Near 1, the load was limited by itself.
    pub busy: Vec<f64>,
    /// How many cores the server has used on average. A load doesn't know: whoever does sets it.
    pub server_busy: Option<f64>,
    /// The messages a second that an open loop was to send.
    pub rate_asked: Option<f64>,
    /// How far an open loop was behind its schedule when it ended.
    pub behind: Duration,
    /// The load over time.
    pub intervals: Intervals,
    /// Messages that failed, by the way in which they did.
    pub failures: Failures,
    /// Connections that failed or were lost.
    pub connection_failures: Failures,
    /// Connections that were lost with no message of theirs.
    pub lost_without_message: u64,
    /// How long messages without an answer had waited at the end.
    pub waiting: Latencies,
    /// The same of those that count as never answered.
    pub overdue: Latencies,
}

impl Report {
    /// How many messages failed in this way.
    #[must_use]
    pub fn failures(&self, failure: FailureKind) -> u64 {
        self.by_failure().find(|(each, _)| *each == failure).map_or(0, |(_, count)| count)
    }

    /// Every way in which a message can fail, with its count.
    pub fn by_failure(&self) -> impl Iterator<Item = (FailureKind, u64)> {
        self.failures.iter()
    }

    /// How many messages failed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failures.total()
    }

    /// Every way in which a connection can fail or be lost, with its count. A connection may have
    /// lost several messages, or none.
    pub fn connections_by_failure(&self) -> impl Iterator<Item = (FailureKind, u64)> {
        self.connection_failures.iter()
    }

    /// How many connections failed or were lost.
    #[must_use]
    pub fn connections_failed(&self) -> u64 {
        self.connection_failures.total()
    }

    /// Aborted and unsent messages that count as never answered: those that could have been sent a
    /// tenth of a second before the end and weren't, and those that had waited twice as long as
    /// for the slowest reply, and longer than that tenth.
    #[must_use]
    pub fn overdue(&self) -> u64 {
        self.overdue.count()
    }

    /// The share of what was tried that went right, from 0 to 1. What failed and what is
    /// [`overdue`](Self::overdue) went wrong, and so did a connection that was lost with no message
    /// of its own.
    #[must_use]
    pub fn success_rate(&self) -> f64 {
        let wrong = self.failed() + self.overdue() + self.lost_without_message;
        let tried = self.answered + wrong;
        if tried == 0 { 0.0 } else { self.answered as f64 / tried as f64 }
    }

    /// The time within which this share (0 to 1) of the messages that were due was answered; `None`
    /// if a smaller share was answered at all.
    ///
    /// A message that has failed or is [`overdue`](Self::overdue) was never answered. Another that
    /// had no answer at the end counts as one of those that took longer than it had waited, or with
    /// the time that it had waited, if no reply took longer.
    #[must_use]
    pub fn reply_within(&self, share: f64) -> Option<Duration> {
        if self.answered == 0 { None } else { self.distribution().within(share) }
    }

    /// How the messages that were due are distributed over latencies.
    #[must_use]
    pub fn distribution(&self) -> LatencyDistribution {
        LatencyDistribution::new(&[&self.reply], &self.waiting, self.failed() + self.overdue())
    }

    /// The mean latency of the messages that were due; `None` if nothing was answered. A message
    /// that is overdue counts with the time that it had waited; one that has failed does not count.
    #[must_use]
    pub fn mean(&self) -> Option<Duration> {
        let all = LatencyDistribution::new(&[&self.reply, &self.overdue], &self.waiting, 0);
        if self.answered == 0 { None } else { all.mean() }
    }

    /// Replies a second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 { self.answered as f64 / seconds } else { 0.0 }
    }

    /// Whether an open loop reached its rate: it was not behind its schedule at the end, and at
    /// most a hundredth of its attempts failed. `None` in a closed loop.
    #[must_use]
    pub fn rate_reached(&self) -> Option<bool> {
        let slack = self.elapsed.mul_f64(TOLERANCE).max(JITTER);
        let reached = self.behind <= slack && self.success_rate() >= 1.0 - TOLERANCE;
        self.rate_asked.map(|_| reached)
    }

    /// The report on a load from those of its loops, as [`Load::split`](crate::Load::split) has
    /// made them. What was counted is added up; it took as long as the slowest loop.
    #[must_use]
    pub fn merged(reports: impl IntoIterator<Item = Self>) -> Self {
        let mut reports = reports.into_iter();
        let first = reports.next().unwrap_or_default();
        reports.fold(first, |mut all, report| {
            all.add(report);
            all
        })
    }

    fn add(&mut self, other: Self) {
        self.start = self.start.min(other.start);
        self.server = self.server.take().or(other.server);
        self.elapsed = self.elapsed.max(other.elapsed);
        self.due += other.due;
        self.answered += other.answered;
        self.replies += other.replies;
        self.aborted += other.aborted;
        self.unsent += other.unsent;
        self.connected += other.connected;
        self.open_before += other.open_before;
        self.bytes_out += other.bytes_out;
        self.bytes_in += other.bytes_in;
        self.connect.add(&other.connect);
        self.handshake.add(&other.handshake);
        self.first_reply.add(&other.first_reply);
        self.reply.add(&other.reply);
        self.busy.extend(other.busy);
        self.server_busy = self.server_busy.or(other.server_busy);
        // The rate is that of all loops together.
        self.rate_asked = self.rate_asked.or(other.rate_asked);
        self.behind = self.behind.max(other.behind);
        self.intervals.merge(other.intervals, Duration::ZERO);
        self.failures.merge(&other.failures);
        self.connection_failures.merge(&other.connection_failures);
        self.lost_without_message += other.lost_without_message;
        self.waiting.add(&other.waiting);
        self.overdue.add(&other.overdue);
    }

    /// What it counts, as the total from which an interval is the difference of two.
    pub(super) fn so_far(&self) -> Interval {
        Interval {
            answered: self.answered,
            failures: self.failures.clone(),
            connected: self.connected,
            connections_lost: self.connections_failed(),
            bytes_out: self.bytes_out,
            bytes_in: self.bytes_in,
            ..Interval::default()
        }
    }

    /// So many messages were answered after the same time.
    pub(super) fn answer(&mut self, nanos: u64, messages: u64) {
        self.answered += messages;
        self.reply.record_many(nanos, messages);
    }

    /// A connection was lost with this many messages, of which `counting` count.
    pub(super) fn lose(&mut self, failure: FailureKind, messages: u64, counting: u64) {
        self.connection_failures.add(failure, 1);
        self.lost_without_message += u64::from(messages == 0);
        self.failures.add(failure, counting);
    }

    /// The load has ended without an answer to messages that were sent. All replies are recorded.
    pub(super) fn abort(&mut self, waited: Duration, messages: u64) {
        self.aborted += messages;
        let is_overdue = waited > GRACE && waited > 2 * self.reply.max();
        let latencies = if is_overdue { &mut self.overdue } else { &mut self.waiting };
        latencies.record_many(nanos(waited), messages);
    }

    /// The load has ended before messages were sent that were due. All replies are recorded.
    pub(super) fn leave_unsent(&mut self, waited: Duration, messages: u64) {
        self.unsent += messages;
        let latencies = if waited > GRACE { &mut self.overdue } else { &mut self.waiting };
        latencies.record_many(nanos(waited), messages);
    }

    /// Counts messages that were due and not sent when the load ended.
    pub(super) fn leave_out(&mut self, messages: u64) {
        self.unsent += messages;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    /// A report of this many replies within a millisecond.
    fn answered(count: u64) -> Report {
        let mut report = Report { elapsed: Duration::from_secs(10), ..Report::default() };
        report.answer(nanos(MILLI), count);
        report
    }

    fn millis(report: &Report, percent: f64) -> Option<u128> {
        report.reply_within(percent / 100.0).map(|latency| latency.as_millis())
    }

    #[test]
    fn the_share_that_went_right_counts_failures() {
        let mut report = answered(3);
        FailureKind::ALL.iter().for_each(|failure| report.lose(*failure, 1, 1));
        assert!(report.by_failure().all(|(_, count)| count == 1));
        let all = 3 + FailureKind::ALL.len();
        assert!((report.success_rate() - 3.0 / all as f64).abs() < 1e-9);
    }

    #[test]
    fn a_percentile_that_was_never_reached_is_none() {
        let mut report = answered(99);
        assert_eq!(millis(&report, 100.0), Some(1));
        report.lose(FailureKind::Closed, 1, 1);
        assert_eq!([99.0, 99.1, 100.0].map(|at| millis(&report, at)), [Some(1), None, None]);
        assert_eq!(millis(&answered(0), 50.0), None);
        assert_eq!(millis(&answered(1000), 99.9), Some(1));
    }

    #[test]
    fn what_waits_at_the_end_counts_when_it_has_waited_for_long() {
        // No longer than a reply may take: it says nothing.
        let mut report = answered(90);
        report.abort(MILLI, 10);
        assert_eq!((report.aborted, report.overdue(), millis(&report, 100.0)), (10, 0, Some(1)));
        assert!((report.success_rate() - 1.0).abs() < 1e-9);

        // Longer than any reply: it will take at least as long as it has waited.
        let mut report = answered(90);
        report.abort(50 * MILLI, 10);
        assert_eq!((report.overdue(), millis(&report, 90.0)), (0, Some(1)));
        assert_eq!(millis(&report, 91.0), Some(50));
        assert!((report.success_rate() - 1.0).abs() < 1e-9);

        // Much longer: it was never answered.
        let mut report = answered(90);
        report.abort(200 * MILLI, 10);
        assert_eq!((report.overdue(), millis(&report, 91.0)), (10, None));
        assert!((report.success_rate() - 0.9).abs() < 1e-9);
        assert!(report.mean().unwrap() > 20 * MILLI);
    }

    #[test]
    fn what_could_have_been_sent_and_was_not_counts_as_never_answered() {
        let mut report = answered(50);
        report.answer(nanos(1000 * MILLI), 1);
        report.leave_unsent(99 * MILLI, 1);
        assert_eq!((report.unsent, report.overdue()), (1, 0));
        report.leave_unsent(101 * MILLI, 50);
        assert_eq!((report.unsent, report.overdue(), millis(&report, 60.0)), (51, 50, None));
        report.leave_out(1000);
        assert_eq!((report.unsent, report.overdue()), (1051, 50));
    }

    #[test]
    fn a_rate_is_reached_on_time_and_with_answers() {
        let asked = |report: Report| Report { rate_asked: Some(1000.0), ..report };
        assert_eq!(answered(100).rate_reached(), None);
        assert_eq!(asked(answered(100)).rate_reached(), Some(true));
        let behind = Report { behind: 101 * MILLI, ..asked(answered(100)) };
        assert_eq!(behind.rate_reached(), Some(false));
        let mut failing = asked(answered(98));
        failing.lose(FailureKind::Closed, 2, 2);
        assert_eq!(failing.rate_reached(), Some(false));
    }

    #[test]
    fn a_connection_that_is_lost_alone_is_an_error_and_no_failed_message() {
        let mut report = answered(99);
        report.lose(FailureKind::Closed, 0, 0);
        assert_eq!((report.failed(), report.connections_failed()), (0, 1));
        assert!((report.success_rate() - 0.99).abs() < 1e-9);
        // A message of the warm-up doesn't count, and nor does its connection.
        report.lose(FailureKind::Reset, 1, 0);
        assert!((report.success_rate() - 0.99).abs() < 1e-9);
    }
}
