//! When the messages of each client are due, where every client has a rate of its own.
//!
//! Each client is a position in a schedule of its own, as a `Pacer` is one in that of all clients:
//! a message that was due while its client waited for a reply, or was not connected, is taken
//! later, with the time at which it was due.

use crate::pacer::Nanos;
use crate::share::Share;

const SECOND: f64 = 1e9;

/// About the most steps in which what was never taken is gone through.
const STEPS: u64 = 100_000;

/// When the messages of each client are due: at equal intervals, and the clients are evenly out of
/// phase, so that their messages together are due at equal intervals too.
#[derive(Debug)]
pub(super) struct ClientPacers {
    /// The messages a second of each client.
    rate: f64,
    /// How far the first client of this loop is from that of the first loop, as a share of the
    /// distance between two clients of one loop.
    offset: f64,
    /// How many messages each client has taken.
    taken: Vec<u64>,
    /// The client of the message that is the next to become due, among those of all clients.
    waking: usize,
    /// The number of that message, among those of this client.
    wakes: u64,
}

impl ClientPacers {
    /// The messages of so many clients of one loop, each at this rate.
    pub(super) fn new(rate: f64, clients: usize, share: Share) -> Self {
        let offset = share.index as f64 / share.of as f64;
        Self { rate, offset, taken: vec![0; clients], waking: 0, wakes: 0 }
    }

    /// When this message of a client is due.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    fn due(&self, client: usize, message: u64) -> Nanos {
        let phase = (client as f64 + self.offset) / self.taken.len() as f64;
        ((message as f64 + phase) * SECOND / self.rate) as Nanos
    }

    /// When the next message of this client is due.
    pub(super) fn next(&self, client: usize) -> Option<Nanos> {
        self.taken.get(client).map(|taken| self.due(client, *taken))
    }

    /// Takes the next message of this client.
    pub(super) fn take(&mut self, client: usize) {
        if let Some(taken) = self.taken.get_mut(client) {
            *taken += 1;
        }
    }

    /// When the next client is to be woken.
    pub(super) fn next_wake(&self) -> Nanos {
        self.due(self.waking, self.wakes)
    }

    /// The next client with a message that has become due. It is up to the client to take the
    /// message, at once or when it can.
    pub(super) fn wake(&mut self, now: Nanos) -> Option<usize> {
        if self.taken.is_empty() || self.next_wake() > now {
            return None;
        }
        if self.waking == 0 {
            // A client that is woken takes all that is due. If each has several, it is woken once:
            // a loop that wakes it for each one may never catch up.
            self.wakes = self.wakes.max(self.rounds_until(now).saturating_sub(1));
        }
        let client = self.waking;
        self.waking += 1;
        if self.waking == self.taken.len() {
            self.waking = 0;
            self.wakes += 1;
        }
        Some(client)
    }

    /// How many messages of each client are due until now.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    fn rounds_until(&self, now: Nanos) -> u64 {
        (now as f64 / SECOND * self.rate) as u64
    }

    /// When the message is due that has waited longest or will be due next.
    pub(super) fn first(&self) -> Option<Nanos> {
        (0..self.taken.len()).filter_map(|client| self.next(client)).min()
    }

    /// Takes all that are due before this time: when, and how many. If they are hundreds of
    /// thousands, several of a client count as due with the first of them.
    pub(super) fn drain_until(&mut self, end: Nanos) -> Vec<(Nanos, u64)> {
        let left: Vec<u64> = (0..self.taken.len()).map(|client| self.left(client, end)).collect();
        let step = left.iter().sum::<u64>().div_ceil(STEPS).max(1);
        let mut drained = Vec::new();
        for (client, mut left) in left.into_iter().enumerate() {
            while left > 0 {
                let several = step.min(left);
                drained.push((self.due(client, self.taken[client]), several));
                self.taken[client] += several;
                left -= several;
            }
        }
        drained.sort_unstable();
        drained
    }

    /// How many messages of a client are due before this time and not taken.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    fn left(&self, client: usize, end: Nanos) -> u64 {
        let taken = self.taken[client];
        let mut due = (end as f64 / SECOND * self.rate) as u64 + 1;
        // The estimate is off by one at most, but for rounding.
        while due > taken && self.due(client, due - 1) >= end {
            due -= 1;
        }
        due.saturating_sub(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Nanos = 1_000_000;

    #[test]
    fn clients_are_evenly_out_of_phase() {
        let mut pacers = ClientPacers::new(100.0, 4, Share::WHOLE);
        let mut woken = Vec::new();
        while let Some(client) = pacers.wake(19 * MILLI) {
            woken.push((client, pacers.next(client).unwrap()));
            pacers.take(client);
        }
        let due = [0, 25, 50, 75, 100, 125, 150, 175].map(|tenths| tenths * MILLI / 10);
        let clients = [0, 1, 2, 3, 0, 1, 2, 3];
        assert_eq!(woken, clients.into_iter().zip(due).collect::<Vec<_>>());
        assert_eq!((pacers.next_wake(), pacers.first()), (20 * MILLI, Some(20 * MILLI)));
    }

    #[test]
    fn a_client_is_not_woken_for_each_of_many_messages() {
        for (rate, clients) in [(1e9, 2), (1e9, 50), (1e6, 1)] {
            let mut pacers = ClientPacers::new(rate, clients, Share::WHOLE);
            for now in [0, 1, 1_000, 60_000].map(|millis| millis * MILLI) {
                let woken: Vec<_> = std::iter::from_fn(|| pacers.wake(now)).collect();
                assert!(woken.len() <= 3 * clients, "{rate}: {}", woken.len());
                let all = now == 0 || (0..clients).all(|client| woken.contains(&client));
                assert!(all, "{rate}, at {now} ns: {woken:?}");
                assert!(pacers.next_wake() > now);
            }
        }
    }

    #[test]
    fn a_client_that_is_late_keeps_its_own_messages() {
        let mut pacers = ClientPacers::new(1000.0, 2, Share::WHOLE);
        while pacers.wake(10 * MILLI).is_some() {}
        (0..5).for_each(|_| pacers.take(1));
        assert_eq!((pacers.next(0), pacers.next(1)), (Some(0), Some(5 * MILLI + MILLI / 2)));
        assert_eq!(pacers.first(), Some(0));
        let drained = pacers.drain_until(10 * MILLI);
        assert_eq!(drained.iter().map(|(_, count)| count).sum::<u64>(), 15);
        assert!(drained.is_sorted() && drained[0] == (0, 1));
        assert_eq!(pacers.drain_until(10 * MILLI), []);
    }

    #[test]
    fn all_loops_together_have_all_messages() {
        for loops in [1, 2, 3, 7] {
            let all = Share::all(loops).map(|share| {
                ClientPacers::new(999.0, share.part_of(14), share).drain_until(1_000 * MILLI)
            });
            let all: u64 = all.flatten().map(|(_, count)| count).sum();
            assert_eq!(all, 14 * 999, "{loops}");
        }
    }

    #[test]
    fn what_was_never_taken_is_gone_through_in_bounded_steps() {
        let mut pacers = ClientPacers::new(1e9, 50, Share::WHOLE);
        let drained = pacers.drain_until(60_000 * MILLI);
        assert!(drained.len() < 200_000, "{} steps", drained.len());
        let count: u64 = drained.iter().map(|(_, count)| count).sum();
        assert!(count.abs_diff(50 * 60_000_000_000) < 1_000_000, "{count}");
    }
}
