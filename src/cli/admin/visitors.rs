//! Who has come to the pages, and who has to go for others.
//!
//! A connection costs nothing to open, so those who ask for nothing must not keep out those who do.
//! Past a number of connections, the one goes that has been silent longest; one that has asked goes
//! only where all have.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use countersign::PeerId;

/// The connections that stay. A turn may accept as many more, and then they are too many.
pub(super) const STAY_MAX: usize = 32;

/// From accept until the whole request is there.
const ASK: Duration = Duration::from_secs(5);

/// Those who have come, in the order in which they did.
#[derive(Debug, Default)]
pub(super) struct Visitors {
    last: u64,
    silent: BTreeMap<u64, (PeerId, Instant)>,
    asked: BTreeMap<u64, PeerId>,
}

impl Visitors {
    /// Somebody has come. Returns the number by which it goes here.
    pub(super) fn come(&mut self, peer: PeerId, now: Instant) -> u64 {
        self.last += 1;
        self.silent.insert(self.last, (peer, now));
        self.last
    }

    /// The whole request of one of them is there.
    pub(super) fn ask(&mut self, number: u64) {
        if let Some((peer, _)) = self.silent.remove(&number) {
            self.asked.insert(number, peer);
        }
    }

    /// One of them is gone.
    pub(super) fn leave(&mut self, number: u64) {
        self.silent.remove(&number);
        self.asked.remove(&number);
    }

    /// The next one that has to go, as long as there is one that has.
    pub(super) fn next_to_go(&self, now: Instant) -> Option<PeerId> {
        let is_crowded = self.silent.len() + self.asked.len() > STAY_MAX;
        match self.silent.first_key_value() {
            Some((_, (peer, since))) => {
                let is_over = now.saturating_duration_since(*since) >= ASK;
                (is_crowded || is_over).then_some(*peer)
            }
            None => self.asked.first_key_value().filter(|_| is_crowded).map(|(_, peer)| *peer),
        }
    }

    /// When somebody has been silent for too long.
    pub(super) fn due(&self) -> Option<Instant> {
        self.silent.first_key_value().and_then(|(_, (_, since))| since.checked_add(ASK))
    }
}

#[cfg(test)]
mod tests {
    use countersign::{Close, Loopback, Reply, Service};

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
        Loopback::new(Name(None)).close(Close::Finished).0.unwrap()
    }

    #[test]
    fn the_one_that_is_silent_longest_goes_and_one_that_has_asked_goes_last() {
        let (peer, now) = (somebody(), system::monotonic());
        let mut visitors = Visitors::default();
        let numbers: Vec<u64> = (0..STAY_MAX).map(|_| visitors.come(peer, now)).collect();
        assert_eq!(visitors.next_to_go(now), None);
        visitors.ask(numbers[0]);
        visitors.come(peer, now);
        assert_eq!(visitors.next_to_go(now), Some(peer));
        assert_eq!(visitors.silent.first_key_value().map(|(number, _)| *number), Some(numbers[1]));
        visitors.leave(numbers[1]);
        assert_eq!(visitors.next_to_go(now), None);
        numbers.iter().for_each(|number| visitors.ask(*number));
        visitors.leave(numbers[0]);
        assert_eq!((visitors.next_to_go(now), visitors.due()), (None, Some(now + ASK)));
        assert_eq!(visitors.next_to_go(now + ASK), Some(peer), "it has had its time");
        for _ in 0..2 {
            let number = visitors.come(peer, now);
            visitors.ask(number);
        }
        let silent: Vec<u64> = visitors.silent.keys().copied().collect();
        silent.iter().for_each(|number| visitors.leave(*number));
        assert_eq!((visitors.next_to_go(now), visitors.asked.len()), (None, STAY_MAX));
        let number = visitors.come(peer, now);
        visitors.ask(number);
        assert_eq!(visitors.next_to_go(now), Some(peer), "all have asked");
        assert_eq!(visitors.due(), None);
    }
}
