//! What a server has done since it began.

use crate::contract::close::CloseReason;

/// What a server has done since it began. All numbers only grow.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Connections that were accepted.
    pub accepted: u64,
    /// Connections that were greeted late, for too many wrong proofs had come from their network.
    pub delayed: u64,
    /// Connections whose peer has proved that it holds a key, or needed none.
    pub authenticated: u64,
    /// Messages that a service was given.
    pub messages: u64,
    /// Bytes read.
    pub bytes_in: u64,
    /// Bytes written.
    pub bytes_out: u64,
    /// Times that accepting failed for want of descriptors or memory, and paused.
    pub accept_pauses: u64,
    /// Accepts that failed for a reason of the connection's own.
    pub accept_failures: u64,
    /// Connections that ended, by the place of the reason in [`CloseReason::ALL`].
    closed: [u64; CloseReason::ALL.len()],
}

impl Default for Counters {
    // By hand, for the standard library's arrays have defaults up to 32 places alone.
    fn default() -> Self {
        Self {
            accepted: 0,
            delayed: 0,
            authenticated: 0,
            messages: 0,
            bytes_in: 0,
            bytes_out: 0,
            accept_pauses: 0,
            accept_failures: 0,
            closed: [0; CloseReason::ALL.len()],
        }
    }
}

impl Counters {
    /// Connections that ended for this reason.
    #[must_use]
    pub fn closed(&self, why: CloseReason) -> u64 {
        place(why).and_then(|place| self.closed.get(place)).copied().unwrap_or_default()
    }

    /// Every reason with its count, in a fixed order.
    pub fn closed_by_reason(&self) -> impl Iterator<Item = (CloseReason, u64)> {
        CloseReason::ALL.into_iter().zip(self.closed)
    }

    /// Connections that are open now.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.accepted - self.closed.iter().sum::<u64>()
    }

    /// Adds those of another server or listener.
    pub fn merge(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.delayed += other.delayed;
        self.authenticated += other.authenticated;
        self.messages += other.messages;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.accept_pauses += other.accept_pauses;
        self.accept_failures += other.accept_failures;
        self.closed.iter_mut().zip(other.closed).for_each(|(count, more)| *count += more);
    }

    /// Counts the end of a connection, for a program that has a loop of its own.
    pub fn count(&mut self, why: CloseReason) {
        let place = place(why);
        debug_assert!(place.is_some(), "{why} is missing in CloseReason::ALL");
        if let Some(count) = place.and_then(|place| self.closed.get_mut(place)) {
            *count += 1;
        }
    }
}

/// The connections whose peers have authenticated with one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct KeyCounters {
    /// All of them, since the key came to the ring.
    pub authenticated: u64,
    /// Those that are not closed.
    pub open: u64,
}

impl KeyCounters {
    /// Adds those of the same key in another server.
    pub fn merge(&mut self, other: &Self) {
        self.authenticated += other.authenticated;
        self.open += other.open;
    }
}

/// The place of a reason's count. That strangers of every kind are one, only their name says.
fn place(why: CloseReason) -> Option<usize> {
    let same = CloseReason::ALL.iter().position(|reason| *reason == why);
    same.or_else(|| CloseReason::ALL.iter().position(|reason| reason.name() == why.name()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::refusal::{ForeignProtocol, Refusal};

    #[test]
    fn every_reason_has_a_count_of_its_own() {
        let mut counters = Counters::default();
        let reasons: Vec<CloseReason> = counters.closed_by_reason().map(|(why, _)| why).collect();
        counters.accepted = reasons.len() as u64 + 1;
        for why in &reasons {
            counters.count(*why);
        }
        assert!(counters.closed_by_reason().all(|(_, count)| count == 1));
        assert_eq!(counters.open(), 1);
        let strangers = CloseReason::Refused(Refusal::Foreign(ForeignProtocol::Http));
        counters.count(strangers);
        assert_eq!(counters.closed(strangers), 2);
        let mut twice = counters.clone();
        twice.merge(&counters);
        assert_eq!((twice.closed(strangers), twice.accepted), (4, 2 * counters.accepted));
    }
}
