//! The end of a load: each message that was due is accounted for.

use std::time::Duration;

use crate::message_source::MessageSource;
use crate::pacer::Nanos;
use crate::report::Report;

/// Messages that get no answer: since when they were due, and whether they were sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unanswered {
    pub(super) due: Nanos,
    pub(super) is_sent: bool,
    pub(super) count: u64,
}

/// Accounts for the messages that have no answer when the load ends: those that clients have taken,
/// and those that nobody has taken. If the load gave up, the rest of its count was due from the
/// start, since it would have been sent if the server could have been reached.
pub(super) fn account(
    now: Nanos,
    taken: impl Iterator<Item = Unanswered>,
    gave_up: bool,
    source: &mut MessageSource,
    report: &mut Report,
) {
    let since = |due: Nanos| Duration::from_nanos(now.saturating_sub(due));
    let rest = source.rest(now);
    for Unanswered { due, is_sent, count } in taken {
        match source.abandon(due, count) {
            false => {}
            true if is_sent => report.abort(since(due), count),
            true => report.leave_unsent(since(due), count),
        }
    }
    let scheduled = rest.scheduled.iter().map(|(_, count)| count).sum::<u64>();
    for (due, count) in rest.scheduled {
        report.leave_unsent(since(due), count);
    }
    match gave_up {
        true => report.leave_unsent(since(0), rest.unscheduled),
        false => report.leave_out(rest.unscheduled),
    }
    report.replies = source.replies();
    report.due = source.taken() + scheduled + rest.unscheduled;
    report.behind = Duration::from_nanos(rest.behind);
    let accounted = report.answered + report.failed() + report.aborted + report.unsent;
    debug_assert_eq!(report.due, accounted, "each message is counted once");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::client_pacers::ClientPacers;
    use crate::failure::FailureKind;
    use crate::in_flight::{Batch, InFlight};
    use crate::pacer::Pacer;
    use crate::plan::Arrival;
    use crate::rate_schedule::{RateSchedule, Stage};
    use crate::share::Share;

    const MICRO: Nanos = 1_000;
    const MILLI: Nanos = 1_000_000;

    /// The messages that each client may have in flight.
    const DEPTH: u64 = 5;

    /// What happens at one time to one of the clients.
    #[derive(Debug, Clone, Copy)]
    enum Step {
        /// It sends what is due.
        Send,
        /// It takes a message for a connection that it begins.
        Reserve,
        /// It gives that message back, or sends it.
        Connected,
        /// Some of its messages are answered.
        Answer(u64),
        /// Its connection is lost.
        Lose,
    }

    /// How a load is set up.
    #[derive(Debug, Clone)]
    struct Setup {
        arrival: Arrival,
        has_stages: bool,
        count: Option<u64>,
        warm: Nanos,
        end: Nanos,
        share: Share,
        gives_up: bool,
    }

    /// A client without a socket.
    struct Client {
        in_flight: InFlight,
        reserved: Option<Nanos>,
    }

    impl Client {
        fn unanswered(&mut self) -> Vec<Unanswered> {
            let sent = self.in_flight.drain();
            let sent =
                sent.map(|Batch { due, count, .. }| Unanswered { due, is_sent: true, count });
            let mut all: Vec<_> = sent.collect();
            let reserved = self.reserved.take();
            all.extend(reserved.map(|due| Unanswered { due, is_sent: false, count: 1 }));
            all
        }
    }

    impl Setup {
        fn pacer(&self) -> Pacer {
            let lasts = Duration::from_nanos(self.end / 3);
            let stages = [Stage { lasts, from: 0.0, to: 9_000.0 }, Stage::constant(lasts, 500.0)];
            let warmup = Duration::from_nanos(self.warm);
            let stages = self.has_stages.then(|| RateSchedule::new(warmup, &stages));
            Pacer::with_stages(self.arrival, stages, 7, self.share)
        }

        fn source(&self, clients: usize) -> MessageSource {
            let own = match self.arrival {
                Arrival::PerClient(rate) => Some(ClientPacers::new(rate, clients, self.share)),
                _ => None,
            };
            let pacer = self.pacer();
            MessageSource::new(pacer, self.count, self.warm, self.end).with_clients(own)
        }

        /// The messages that are due until this time, by the pacer alone.
        fn due(&self, now: Nanos) -> Option<u64> {
            if matches!(self.arrival, Arrival::Closed | Arrival::PerClient(_)) {
                return None;
            }
            let mut pacer = self.pacer();
            let until = now.min(self.end).saturating_sub(1);
            let all = std::iter::from_fn(|| pacer.take(until));
            let due = all.filter(|due| *due >= self.warm).count() as u64;
            Some(self.count.map_or(due, |count| due.min(count)))
        }

        /// Plays the steps in virtual time, and ends the load some time after the last.
        fn play(&self, steps: &[(Nanos, usize, Step)], last: Nanos) -> (Report, Nanos) {
            let mut source = self.source(CLIENTS);
            let mut report = Report::default();
            let client = || Client { in_flight: InFlight::new(5), reserved: None };
            let mut clients: Vec<Client> = (0..CLIENTS).map(|_| client()).collect();
            clients.iter_mut().for_each(|client| client.in_flight.connect());
            let (mut now, mut is_warm) = (0, false);
            for (pause, number, step) in steps {
                now += pause;
                if !is_warm && now >= self.warm {
                    is_warm = true;
                    source.end_warmup();
                    report = Report::default();
                }
                self.step(now, *number, &mut clients[*number], *step, &mut source, &mut report);
            }
            now += last;
            if !is_warm && now >= self.warm {
                report = Report::default();
            }
            let taken: Vec<_> = clients.iter_mut().flat_map(Client::unanswered).collect();
            account(now, taken.into_iter(), self.gives_up, &mut source, &mut report);
            (report, now)
        }

        fn step(
            &self,
            now: Nanos,
            number: usize,
            client: &mut Client,
            step: Step,
            source: &mut MessageSource,
            report: &mut Report,
        ) {
            match step {
                Step::Send => {
                    while client.in_flight.count() < DEPTH {
                        let most = DEPTH - client.in_flight.count();
                        let Some((due, count)) = source.take_for(number, now, most) else { break };
                        client.in_flight.send(Batch { due, sent: now, count });
                    }
                }
                Step::Reserve if self.arrival == Arrival::Closed && client.reserved.is_none() => {
                    client.reserved = source.take(now);
                }
                Step::Connected => {
                    client.reserved.take().into_iter().for_each(|due| source.give_back(due));
                }
                Step::Answer(most) => {
                    let answered = most.min(client.in_flight.count());
                    client.in_flight.answer(answered, now, source, report);
                }
                Step::Lose => {
                    let (mut messages, mut counting) = (0, 0);
                    for Unanswered { due, count, .. } in client.unanswered() {
                        messages += count;
                        counting += if source.abandon(due, count) { count } else { 0 };
                    }
                    report.lose(FailureKind::Closed, messages, counting);
                    client.in_flight.connect();
                }
                Step::Reserve => {}
            }
        }
    }

    const CLIENTS: usize = 3;

    fn step() -> impl Strategy<Value = (Nanos, usize, Step)> {
        let step = prop_oneof![
            5 => Just(Step::Send),
            1 => Just(Step::Reserve),
            1 => Just(Step::Connected),
            5 => (1..=DEPTH).prop_map(Step::Answer),
            1 => Just(Step::Lose),
        ];
        (0..900 * MICRO, 0..CLIENTS, step)
    }

    fn setup() -> impl Strategy<Value = Setup> {
        let arrival = prop::sample::select(vec![
            Arrival::Closed,
            Arrival::Constant(3_000.0),
            Arrival::Poisson(3_000.0),
            Arrival::Burst(3_000.0, 7),
            Arrival::PerClient(1_000.0),
        ]);
        let count = prop::option::of(1_u64..60);
        let warm = prop::sample::select(vec![0, 5 * MILLI]);
        let end = prop::sample::select(vec![20 * MILLI, 40 * MILLI]);
        let share = prop::sample::select(vec![Share::WHOLE, Share { index: 1, of: 3 }]);
        (arrival, any::<bool>(), count, warm, end, share, any::<bool>()).prop_map(
            |(arrival, has_stages, count, warm, end, share, gives_up)| {
                let has_stages = has_stages && arrival.rate().is_some();
                Setup { arrival, has_stages, count, warm, end, share, gives_up }
            },
        )
    }

    proptest! {
        #[test]
        fn every_message_that_was_due_is_counted_once_and_waits_as_long_as_it_did(
            setup in setup(),
            steps in prop::collection::vec(step(), 0..60),
            last in 0..30 * MILLI,
        ) {
            let (report, now) = setup.play(&steps, last);
            let accounted = report.answered + report.failed() + report.aborted + report.unsent;
            prop_assert_eq!(report.due, accounted);
            if let Some(due) = setup.due(now) {
                prop_assert_eq!(report.due, due, "at {} ns", now);
            }
            // Each that an open loop owes is among the percentiles, with the time since it was due.
            let judged = report.reply.count() + report.waiting.count() + report.overdue();
            let judged = judged + report.failed();
            match setup.arrival {
                Arrival::Closed => prop_assert!(judged <= report.due),
                _ => prop_assert_eq!(judged, report.due),
            }
            prop_assert_eq!(report.reply.count(), report.answered);
            prop_assert!(report.replies >= report.answered);
            // None has waited for longer than since the first was due.
            if setup.due(now).is_some() {
                let mut pacer = setup.pacer();
                let first = std::iter::from_fn(|| pacer.take(now)).find(|due| *due >= setup.warm);
                let longest = report.reply_within(1.0).unwrap_or_default();
                let possible = Duration::from_nanos(now - first.unwrap_or(now));
                prop_assert!(longest <= possible.mul_f64(1.01) + MILLISECOND, "{:?}", longest);
            }
        }
    }

    const MILLISECOND: Duration = Duration::from_millis(1);
}
