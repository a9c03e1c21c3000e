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
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// The connections to the admin listener.
#[derive(Debug, Default)]
pub(super) struct AdminConnections {
    last: u64,
    /// Those without a request first, and each of the two kinds in the order of arrival: the first
    /// of all is the next to evict. With the instant of accept.
    open: BTreeMap<(Kind, u64), (PeerId, Instant)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Silent,
    Requested,
}

impl AdminConnections {
    /// A connection was opened. Returns its number here.
    pub(super) fn opened(&mut self, peer: PeerId, now: Instant) -> u64 {
        self.last += 1;
        self.open.insert((Kind::Silent, self.last), (peer, now));
        self.last
    }

    /// The whole request of a connection has arrived.
    pub(super) fn requested(&mut self, number: u64) {
        if let Some(connection) = self.open.remove(&(Kind::Silent, number)) {
            self.open.insert((Kind::Requested, number), connection);
        }
    }

    /// A connection was closed.
    pub(super) fn closed(&mut self, number: u64) {
        self.open.remove(&(Kind::Silent, number));
        self.open.remove(&(Kind::Requested, number));
    }

    /// The next connection to evict, if there is one.
    pub(super) fn next_to_evict(&self, now: Instant) -> Option<PeerId> {
        let is_over = self.due().is_some_and(|due| due <= now);
        let (_, (peer, _)) = self.open.first_key_value()?;
        (is_over || self.open.len() > CONNECTIONS_MAX).then_some(*peer)
    }

    /// When the next connection will have been silent for too long.
    pub(super) fn due(&self) -> Option<Instant> {
        let ((kind, _), (_, since)) = self.open.first_key_value()?;
        since.checked_add(REQUEST_TIMEOUT).filter(|_| *kind == Kind::Silent)
    }
}

#[cfg(test)]
mod tests {
    use countersign::{CloseReason, Loopback, Reply, Service};

    use super::*;
    use crate::system;

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
    fn the_longest_silent_is_evicted_first_and_one_with_a_request_last() {
        let (peer, now) = (somebody(), system::monotonic());
        let mut connections = AdminConnections::default();
        let numbers: Vec<u64> =
            (0..CONNECTIONS_MAX).map(|_| connections.opened(peer, now)).collect();
        assert_eq!(connections.next_to_evict(now), None);
        connections.requested(numbers[0]);
        connections.opened(peer, now);
        assert_eq!(connections.next_to_evict(now), Some(peer));
        assert_eq!(
            connections.open.first_key_value().map(|(place, _)| *place),
            Some((Kind::Silent, numbers[1]))
        );
        connections.closed(numbers[1]);
        assert_eq!(connections.next_to_evict(now), None);
        numbers.iter().for_each(|number| connections.requested(*number));
        connections.closed(numbers[0]);
        assert_eq!(
            (connections.next_to_evict(now), connections.due()),
            (None, Some(now + REQUEST_TIMEOUT))
        );
        assert_eq!(
            connections.next_to_evict(now + REQUEST_TIMEOUT),
            Some(peer),
            "it has had its time"
        );
        for _ in 0..2 {
            let number = connections.opened(peer, now);
            connections.requested(number);
        }
        let silent = connections.open.keys().filter(|(kind, _)| *kind == Kind::Silent);
        let silent: Vec<u64> = silent.map(|(_, number)| *number).collect();
        silent.iter().for_each(|number| connections.closed(*number));
        assert_eq!(
            (connections.next_to_evict(now), connections.open.len()),
            (None, CONNECTIONS_MAX)
        );
        let number = connections.opened(peer, now);
        connections.requested(number);
        assert_eq!(connections.next_to_evict(now), Some(peer), "all have requested a page");
        assert_eq!(connections.due(), None);
    }
}
