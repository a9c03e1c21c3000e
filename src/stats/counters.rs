//! The counters of a listener and of a key.

use std::iter::Sum;

use crate::contract::close::CloseReason;
use crate::faults::kind::FaultKind;

/// What a server or a listener has done since it began. All numbers only increase.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counters {
    /// Accepted connections.
    pub accepted: u64,
    /// Connections that were delayed because of failed proofs from their network.
    pub delayed: u64,
    /// Connections whose peer proved that it holds a key, or needed none.
    pub authenticated: u64,
    /// Messages passed to the service.
    pub messages: u64,
    /// Bytes read.
    pub bytes_in: u64,
    /// Bytes written.
    pub bytes_out: u64,
    /// Times that accepting paused for lack of descriptors or memory.
    pub accept_pauses: u64,
    /// Accepts that failed for a reason that concerns only one connection.
    pub accept_failures: u64,
    closed: ByReason,
    /// By the index of their kinds.
    faults: [u64; FaultKind::ALL.len()],
}

/// A count for each reason of [`CloseReason::ALL`].
#[derive(Debug, Clone, PartialEq, Eq)]
struct ByReason([u64; CloseReason::ALL.len()]);

impl Default for ByReason {
    // Arrays of more than 32 have no default.
    fn default() -> Self {
        Self([0; CloseReason::ALL.len()])
    }
}

impl Counters {
    /// Connections that ended for this reason.
    #[must_use]
    pub fn closed(&self, why: CloseReason) -> u64 {
        why.index().and_then(|index| self.closed.0.get(index)).copied().unwrap_or_default()
    }

    /// Every reason with its count, in a fixed order.
    pub fn closed_by_reason(&self) -> impl Iterator<Item = (CloseReason, u64)> {
        CloseReason::ALL.iter().copied().zip(self.closed.0)
    }

    /// Every kind of fault with the number of times that it was injected, in a fixed order.
    pub fn faults_by_kind(&self) -> impl Iterator<Item = (FaultKind, u64)> {
        FaultKind::ALL.iter().copied().zip(self.faults)
    }

    /// Connections that are open now.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.accepted - self.closed.0.iter().sum::<u64>()
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
        self.closed.0.iter_mut().zip(other.closed.0).for_each(|(count, more)| *count += more);
        self.faults.iter_mut().zip(other.faults).for_each(|(count, more)| *count += more);
    }

    /// Counts a fault that was injected, for a program that has a loop of its own.
    pub fn count_fault(&mut self, kind: FaultKind) {
        self.faults[kind.index()] += 1;
    }

    /// Counts the end of a connection, for a program that has a loop of its own.
    pub fn count(&mut self, why: CloseReason) {
        let index = why.index();
        debug_assert!(index.is_some(), "{why} is missing in CloseReason::ALL");
        if let Some(count) = index.and_then(|index| self.closed.0.get_mut(index)) {
            *count += 1;
        }
    }
}

impl<'c> Sum<&'c Self> for Counters {
    fn sum<I: Iterator<Item = &'c Self>>(all: I) -> Self {
        all.fold(Self::default(), |mut sum, each| {
            sum.merge(each);
            sum
        })
    }
}

/// The connections whose peers authenticated with one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct KeyCounters {
    /// All of them, since the key was added to the ring.
    pub authenticated: u64,
    /// Those that are open now.
    pub open: u64,
}

impl KeyCounters {
    /// Adds those of the same key in another server.
    pub fn merge(&mut self, other: &Self) {
        self.authenticated += other.authenticated;
        self.open += other.open;
    }
}

#[cfg(test)]
mod tests {
    use countersign_proto::{ForeignProtocol, Refusal, RefusalCode};

    use super::*;

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
        let rejected = CloseReason::Refused(Refusal::Rejected(RefusalCode::Other(9)));
        assert_eq!(counters.closed(rejected), 1);
        assert_eq!(counters.closed(CloseReason::Refused(Refusal::Truncated)), 1);
        let mut twice = counters.clone();
        twice.merge(&counters);
        assert_eq!((twice.closed(strangers), twice.accepted), (4, 2 * counters.accepted));
    }
}
