//! The connections to the admin listener, and which of them is evicted when there are too many.
//!
//! A connection costs nothing to open, so connections without a request must not keep out
//! those with one. Past a limit, the connection that has been silent longest is evicted; one with a
//! request is evicted only if all have one.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use countersign::PeerId;

/// The limit. One turn may accept as many again before any is evicted.
pub(super) const CONNECTIONS_MAX: usize = 32;

/// How long a request may take to arrive, from accept.
const ASK: Duration = Duration::from_secs(5);

/// The connections to the admin listener, in the order of their arrival.
#[derive(Debug, Default)]
pub(super) struct AdminConnections {
    last: u64,
    silent: BTreeMap<u64, (PeerId, Instant)>,
    asked: BTreeMap<u64, PeerId>,
}

impl AdminConnections {
    /// A connection was opened. Returns its number here.
    pub(super) fn opened(&mut self, peer: PeerId, now: Instant) -> u64 {
        self.last += 1;
        self.silent.insert(self.last, (peer, now));
        self.last
    }

    /// The whole request of a connection has arrived.
    pub(super) fn asked(&mut self, number: u64) {
        if let Some((peer, _)) = self.silent.remove(&number) {
            self.asked.insert(number, peer);
        }
    }

    /// A connection was closed.
    pub(super) fn closed(&mut self, number: u64) {
        self.silent.remove(&number);
        self.asked.remove(&number);
    }

    /// The next connection to evict, if there is one.
    pub(super) fn next_to_evict(&self, now: Instant) -> Option<PeerId> {
        let is_crowded = self.silent.len() + self.asked.len() > CONNECTIONS_MAX;
        match self.silent.first_key_value() {
            Some((_, (peer, since))) => {
                let is_over = now.saturating_duration_since(*since) >= ASK;
                (is_crowded || is_over).then_some(*peer)
            }
            None => self.asked.first_key_value().filter(|_| is_crowded).map(|(_, peer)| *peer),
        }
    }

    /// When the next connection will have been silent for too long.
    pub(super) fn due(&self) -> Option<Instant> {
        self.silent.first_key_value().and_then(|(_, (_, since))| since.checked_add(ASK))
    }
}

#[cfg(test)]
mod tests {
    use countersign::{CloseReason, Loopback, Reply, Service};

    use super::*;
    use crate::cli::system;

    /// Takes the name of its only peer.
    struct Name(Option<PeerId>);

    impl Service for Name {
        type State = ();

        fn open(&mut self, peer: &countersign::Peer<'_>, _reply: &mut Reply<'_>) {
            self.0 = Some(peer.id());
        }

        fn message(&mut self, (): &mut (), _message: &[u8], _reply: &mut Reply<'_>) {}
    }

    fn somebody() -> PeerId {
        Loopback::new(Name(None)).close(CloseReason::Finished).0.unwrap()
    }

    #[test]
    fn the_one_that_is_silent_longest_goes_and_one_that_has_asked_goes_last() {
        let (peer, now) = (somebody(), system::monotonic());
        let mut connections = AdminConnections::default();
        let numbers: Vec<u64> =
            (0..CONNECTIONS_MAX).map(|_| connections.opened(peer, now)).collect();
        assert_eq!(connections.next_to_evict(now), None);
        connections.asked(numbers[0]);
        connections.opened(peer, now);
        assert_eq!(connections.next_to_evict(now), Some(peer));
        assert_eq!(
            connections.silent.first_key_value().map(|(number, _)| *number),
            Some(numbers[1])
        );
        connections.closed(numbers[1]);
        assert_eq!(connections.next_to_evict(now), None);
        numbers.iter().for_each(|number| connections.asked(*number));
        connections.closed(numbers[0]);
        assert_eq!((connections.next_to_evict(now), connections.due()), (None, Some(now + ASK)));
        assert_eq!(connections.next_to_evict(now + ASK), Some(peer), "it has had its time");
        for _ in 0..2 {
            let number = connections.opened(peer, now);
            connections.asked(number);
        }
        let silent: Vec<u64> = connections.silent.keys().copied().collect();
        silent.iter().for_each(|number| connections.closed(*number));
        assert_eq!(
            (connections.next_to_evict(now), connections.asked.len()),
            (None, CONNECTIONS_MAX)
        );
        let number = connections.opened(peer, now);
        connections.asked(number);
        assert_eq!(connections.next_to_evict(now), Some(peer), "all have asked");
        assert_eq!(connections.due(), None);
    }
}
