//! The messages of a load: which are due, which are on their way, and which count.
//!
//! A client takes each message here and settles it here, when it is answered or has failed. What
//! was neither taken nor settled when the load ends is known here too, so that every message that
//! was due is counted exactly once.

use crate::client_pacers::ClientPacers;
use crate::pacer::{Nanos, Pacer};

/// The messages of a load.
#[derive(Debug)]
pub(super) struct MessageSource {
    pacer: Pacer,
    /// When those of each client are due, in place of the pacer.
    clients: Option<ClientPacers>,
    /// How many may still be taken, if a count ends the load.
    left: Option<u64>,
    /// The messages that are due earlier belong to the warm-up, and don't count.
    warm: Nanos,
    /// No message is due at this time or later.
    end: Nanos,
    /// Messages that count and were taken.
    taken: u64,
    /// Messages that were taken and neither answered nor failed, also those that don't count.
    outstanding: u64,
    /// Messages that were answered, also those that don't count.
    answered: u64,
    /// Those that were answered in the warm-up.
    answered_warm: u64,
    /// How long after it was due the last message was taken.
    lag: Nanos,
}

/// What the end of a load leaves of a [`MessageSource`].
#[derive(Debug, PartialEq)]
pub(super) struct Rest {
    /// The messages that were due and never taken: since when, and how many.
    pub(super) scheduled: Vec<(Nanos, u64)>,
    /// Those of a closed loop with a count, which were due whenever a client had been free.
    pub(super) unscheduled: u64,
    /// How far the load was behind its schedule.
    pub(super) behind: Nanos,
}

impl MessageSource {
    /// Messages that this pacer makes due, at most `count`, from the end of the warm-up to `end`.
    pub(super) fn new(pacer: Pacer, count: Option<u64>, warm: Nanos, end: Nanos) -> Self {
        Self {
            pacer,
            clients: None,
            left: count,
            warm,
            end,
            taken: 0,
            outstanding: 0,
            answered: 0,
            answered_warm: 0,
            lag: 0,
        }
    }

    /// The same, but each client has messages of its own, which no other client takes.
    pub(super) fn with_clients(self, clients: Option<ClientPacers>) -> Self {
        Self { clients, ..self }
    }

    /// Takes messages for one of the clients, as [`take_several`](Self::take_several) does.
    pub(super) fn take_for(
        &mut self,
        client: usize,
        now: Nanos,
        most: u64,
    ) -> Option<(Nanos, u64)> {
        let Some(clients) = &mut self.clients else { return self.take_several(now, most) };
        let due = clients.next(client)?;
        if self.left == Some(0) || due > now || due >= self.end || most == 0 {
            return None;
        }
        clients.take(client);
        self.count_taken(due, 1, now);
        Some((due, 1))
    }

    /// The next client that has a message of its own which has become due.
    pub(super) fn wake(&mut self, now: Nanos) -> Option<usize> {
        self.clients.as_mut().and_then(|clients| clients.wake(now))
    }

    /// Takes a message, if one is due: the time since when.
    pub(super) fn take(&mut self, now: Nanos) -> Option<Nanos> {
        self.take_several(now, 1).map(|(due, _)| due)
    }

    /// Takes at most this many messages that are due since the same time: that time, and how many
    /// they are. More may be due since another time.
    pub(super) fn take_several(&mut self, now: Nanos, most: u64) -> Option<(Nanos, u64)> {
        let due = self.pacer.next().unwrap_or(now);
        if self.left == Some(0) || due > now || due >= self.end {
            return None;
        }
        let counts = self.counts(due);
        let most = self.left.filter(|_| counts).map_or(most, |left| left.min(most));
        let count = self.pacer.take_several(most);
        self.count_taken(due, count, now);
        Some((due, count))
    }

    fn count_taken(&mut self, due: Nanos, count: u64, now: Nanos) {
        self.lag = now - due;
        if self.counts(due) {
            self.taken += count;
            self.left = self.left.map(|left| left - count);
        }
        self.outstanding += count;
    }

    /// Takes a message back, of a closed loop: it is due when the next client takes it.
    pub(super) fn give_back(&mut self, due: Nanos) {
        self.outstanding -= 1;
        if self.counts(due) {
            self.taken -= 1;
            self.left = self.left.map(|left| left + 1);
        }
    }

    /// Messages that were due at this time are answered. Returns whether they count.
    pub(super) fn answer(&mut self, due: Nanos, count: u64) -> bool {
        self.answered += count;
        self.abandon(due, count)
    }

    /// Messages that were due at this time get no answer any more. Returns whether they count.
    pub(super) fn abandon(&mut self, due: Nanos, count: u64) -> bool {
        self.outstanding -= count;
        self.counts(due)
    }

    /// The messages that were answered, also those that don't count.
    pub(super) fn answered(&self) -> u64 {
        self.answered
    }

    /// The warm-up ends.
    pub(super) fn end_warmup(&mut self) {
        self.answered_warm = self.answered;
    }

    /// The messages that were answered after the warm-up, also those that were due in it.
    pub(super) fn replies(&self) -> u64 {
        self.answered - self.answered_warm
    }

    /// Whether a message counts, or belongs to the warm-up.
    fn counts(&self, due: Nanos) -> bool {
        due >= self.warm
    }

    /// Whether there is one to be taken.
    pub(super) fn is_due(&self, now: Nanos) -> bool {
        // In a closed loop it is due now, and so no more after the end.
        let due = self.pacer.next().unwrap_or(now);
        self.left != Some(0) && due <= now && due < self.end
    }

    /// When the next is due; in a closed loop, at once.
    pub(super) fn next(&self) -> Option<Nanos> {
        let own = self.clients.as_ref().map(ClientPacers::next_wake);
        let next = own.or_else(|| self.pacer.next()).unwrap_or_default();
        (self.left != Some(0) && next < self.end).then_some(next)
    }

    /// Whether all messages of the load are answered or have failed.
    pub(super) fn is_settled(&self) -> bool {
        self.left == Some(0) && self.outstanding == 0
    }

    /// The messages that count and were taken.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// What is left over at the end of the load.
    pub(super) fn rest(&mut self, now: Nanos) -> Rest {
        let own = self.clients.as_ref().and_then(ClientPacers::first);
        let Some(next) = own.or_else(|| self.pacer.next()) else {
            let unscheduled = self.left.unwrap_or_default();
            return Rest { scheduled: Vec::new(), unscheduled, behind: 0 };
        };
        let end = self.end.min(now);
        let behind = if next < end && self.left != Some(0) { end - next } else { self.lag };
        let mut left = self.left.unwrap_or(u64::MAX);
        let mut scheduled = match &mut self.clients {
            Some(clients) => clients.drain_until(end),
            None => self.pacer.drain_until(end),
        };
        scheduled.retain_mut(|(due, count)| {
            *count = if *due >= self.warm { left.min(*count) } else { 0 };
            left -= *count;
            *count > 0
        });
        Rest { scheduled, unscheduled: 0, behind }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Arrival;
    use crate::share::Share;

    const MILLI: Nanos = 1_000_000;

    fn source(arrival: Arrival, count: Option<u64>) -> MessageSource {
        MessageSource::new(Pacer::new(arrival, 7, Share::WHOLE), count, 10 * MILLI, 30 * MILLI)
    }

    #[test]
    fn what_was_due_was_taken_or_is_left_over_wherever_the_load_ends() {
        let arrivals =
            [Arrival::Constant(3_000.0), Arrival::Poisson(3_000.0), Arrival::Burst(3e3, 7)];
        for arrival in arrivals {
            let mut all = source(arrival, None);
            while all.take(30 * MILLI).is_some() {}
            for taken in 0..all.taken() {
                let mut source = source(arrival, None);
                while source.taken() < taken {
                    assert!(source.take(30 * MILLI).is_some());
                }
                let rest = source.rest(31 * MILLI);
                let left: u64 = rest.scheduled.iter().map(|(_, count)| count).sum();
                assert_eq!(taken + left, all.taken(), "{arrival:?}");
            }
        }
    }

    #[test]
    fn a_constant_rate_is_due_as_often_as_its_rate_says() {
        for rate in [1.0, 3.0, 7.0, 999.0, 3_000.0, 1e5] {
            let seconds = 1_000 * MILLI;
            let mut source = MessageSource::new(
                Pacer::new(Arrival::Constant(rate), 7, Share::WHOLE),
                None,
                seconds,
                3 * seconds,
            );
            while source.take(4 * seconds).is_some() {}
            assert!((source.taken() as f64 - 2.0 * rate).abs() < 1e-9, "{rate}");
        }
    }

    #[test]
    fn a_count_limits_what_is_due() {
        let mut open = source(Arrival::Constant(1_000.0), Some(5));
        let times: Vec<Nanos> = std::iter::from_fn(|| open.take(12 * MILLI)).collect();
        assert_eq!(times.len(), 13, "ten of the warm-up");
        assert_eq!(open.taken(), 3);
        let rest = open.rest(30 * MILLI);
        let scheduled = vec![(13 * MILLI, 1), (14 * MILLI, 1)];
        assert_eq!(rest, Rest { scheduled, unscheduled: 0, behind: 17 * MILLI });

        let mut closed = source(Arrival::Closed, Some(5));
        let due = closed.take(20 * MILLI).unwrap();
        closed.give_back(due);
        assert_eq!((closed.taken(), closed.take(20 * MILLI)), (0, Some(20 * MILLI)));
        assert!(closed.answer(20 * MILLI, 1) && !closed.is_settled());
        assert_eq!(closed.take(30 * MILLI), None, "it is over");
        assert_eq!(closed.rest(30 * MILLI).unscheduled, 4);
    }

    #[test]
    fn several_are_taken_at_once_where_they_are_due_at_once() {
        let mut open = source(Arrival::Burst(1_000.0, 3), Some(5));
        let taken = [1, 8, 2, 8].map(|most| open.take_several(6 * MILLI, most));
        let (first, second) = (0, 3 * MILLI);
        assert_eq!(taken, [(first, 1), (first, 2), (second, 2), (second, 1)].map(Some));
        // Four more bursts belong to the warm-up.
        while open.take_several(10 * MILLI, 8).is_some() {}
        assert_eq!(open.take_several(20 * MILLI, 8), Some((12 * MILLI, 3)));
        assert_eq!(open.take_several(20 * MILLI, 8), Some((15 * MILLI, 2)), "the rest");
        assert_eq!((open.take_several(20 * MILLI, 8), open.taken()), (None, 5));

        let mut closed = source(Arrival::Closed, Some(5));
        assert_eq!(closed.take_several(9 * MILLI, 8), Some((9 * MILLI, 8)), "of the warm-up");
        assert_eq!(closed.take_several(20 * MILLI, 3), Some((20 * MILLI, 3)));
        assert_eq!(closed.take_several(21 * MILLI, 8), Some((21 * MILLI, 2)), "the rest");
        assert_eq!((closed.take_several(22 * MILLI, 8), closed.taken()), (None, 5));
        assert!(!closed.abandon(9 * MILLI, 8) && closed.answer(20 * MILLI, 3));
        assert!(!closed.is_settled() && closed.answer(21 * MILLI, 2) && closed.is_settled());
        assert_eq!(closed.answered(), 5);
    }
}
