//! The messages of a client that were sent and are not answered yet.

use std::collections::VecDeque;

use crate::message_source::MessageSource;
use crate::pacer::Nanos;
use crate::report::Report;

/// The batches for which there is room at first: a client that keeps up has few.
const BATCHES: usize = 8;

/// The messages of a client, numbered from 0 on, of which the last were sent and are not answered
/// yet. Replies come in the order of the messages.
#[derive(Debug)]
pub(super) struct InFlight {
    /// The number of the next message.
    next: u64,
    /// The number of the first message of this connection.
    first: u64,
    /// How many were sent and are not answered yet.
    count: u64,
    /// Those; the oldest first.
    batches: VecDeque<Batch>,
}

/// Messages that were due at one time and sent at one time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Batch {
    pub(super) due: Nanos,
    pub(super) sent: Nanos,
    pub(super) count: u64,
}

impl InFlight {
    /// None yet, and at most `depth` at a time.
    pub(super) fn new(depth: usize) -> Self {
        let batches = VecDeque::with_capacity(depth.min(BATCHES));
        Self { next: 0, first: 0, count: 0, batches }
    }

    /// The next message is the first of a connection.
    pub(super) fn connect(&mut self) {
        debug_assert!(self.is_empty(), "they were accounted for");
        self.first = self.next;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The number of the next message.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// The number of the message that is answered next.
    pub(super) fn oldest(&self) -> u64 {
        self.next - self.count
    }

    /// When that one was sent.
    pub(super) fn oldest_sent(&self) -> Option<Nanos> {
        self.batches.front().map(|batch| batch.sent)
    }

    /// Whether messages were sent on this connection, and none of them was answered.
    pub(super) fn is_unanswered(&self) -> bool {
        !self.is_empty() && self.oldest() == self.first
    }

    /// Messages are sent.
    pub(super) fn send(&mut self, batch: Batch) {
        self.next += batch.count;
        self.count += batch.count;
        match self.batches.back_mut() {
            Some(last) if (last.due, last.sent) == (batch.due, batch.sent) => {
                last.count += batch.count;
            }
            _ => self.batches.push_back(batch),
        }
    }

    /// The oldest `answered` messages are answered at this time.
    pub(super) fn answer(
        &mut self,
        mut answered: u64,
        now: Nanos,
        message_source: &mut MessageSource,
        report: &mut Report,
    ) {
        let mut is_first = self.is_unanswered();
        debug_assert!(answered <= self.count, "only what was sent is answered");
        self.count -= answered;
        while answered > 0
            && let Some(batch) = self.batches.front_mut()
        {
            let (due, count) = (batch.due, batch.count.min(answered));
            batch.count -= count;
            answered -= count;
            if batch.count == 0 {
                self.batches.pop_front();
            }
            if message_source.answer(due, count) {
                let latency = now.saturating_sub(due);
                report.answer(latency, count);
                if is_first {
                    report.first_reply.record(latency);
                }
            }
            is_first = false;
        }
    }

    /// Takes them out: they get no answer.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Batch> {
        self.count = 0;
        self.batches.drain(..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pacer::Pacer;
    use crate::plan::Arrival;
    use crate::share::Share;

    #[test]
    fn each_message_is_answered_once_with_its_own_latency() {
        let mut source =
            MessageSource::new(Pacer::new(Arrival::Closed, 7, Share::WHOLE), None, 10, 1_000_000);
        let (mut report, mut in_flight) = (Report::default(), InFlight::new(64));
        in_flight.connect();
        for (now, most) in [(5, 3), (20_000, 4), (20_000, 1), (40_000, 2)] {
            let (due, count) = source.take_several(now, most).unwrap();
            in_flight.send(Batch { due, sent: now, count });
        }
        assert_eq!((in_flight.count(), in_flight.next(), in_flight.batches.len()), (10, 10, 3));

        in_flight.answer(2, 60_000, &mut source, &mut report);
        assert_eq!((report.answered, report.first_reply.count()), (0, 0), "of the warm-up");
        assert_eq!((in_flight.oldest(), in_flight.oldest_sent()), (2, Some(5)));
        in_flight.answer(7, 100_000, &mut source, &mut report);
        assert_eq!((report.answered, source.answered()), (6, 9));
        let recorded: Vec<_> =
            report.reply.recorded().map(|(nanos, count)| (nanos / 1_000, count)).collect();
        assert_eq!(recorded, [(60, 1), (80, 5)]);

        assert_eq!(in_flight.oldest_sent(), Some(40_000));
        let rest: Vec<u64> = in_flight.drain().map(|batch| batch.count).collect();
        assert_eq!((rest, in_flight.is_empty()), (vec![1], true));
    }
}
