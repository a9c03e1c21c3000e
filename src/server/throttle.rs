//! Failed proofs, counted by the network that they came from, so that guessing takes long.
//!
//! The failures of a network decay one at a time: a leaky bucket. The table stores only the instant
//! at which none will be left; the number of failures follows from that and the time. The more are
//! left, the worse new connections of the network are treated. The number has a limit: connections
//! that are open at the same time can fail at the same time, and one such burst must not lock out
//! everyone who shares the address for hours.
//!
//! The table consists of sets of four places, and the hash of a network decides its set. So the
//! table never grows, and a lookup takes the same time however many networks there are. The hash
//! has a secret that is drawn when the table is made, or an attacker could choose networks that
//! collide in one set.
//!
//! In a full set the network with the fewest failures is dropped. So many networks with one failure
//! each only displace one another, and never the worst. If the newest failure were the one that is
//! not counted, a network that shares its set with four worse ones could guess for ever.

use std::time::Duration;

use countersign_proto::Refusal;

use crate::contract::limits::Limits;
use crate::contract::peer::PeerAddress;
use crate::reactor::instant::Instant;
use crate::reactor::timers::LONGEST;
use crate::server::admission::Admission;
use crate::server::network::{BuildNetworkHasher, SourceNetwork};

/// The places in a set, which take 64 bytes together.
const WAYS: usize = 4;

/// Recent failures, by network.
#[derive(Debug)]
pub(super) struct Throttle {
    sets: Box<[[Place; WAYS]]>,
    hasher: BuildNetworkHasher,
}

/// One network. A place is free once all failures of its network are forgiven.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    network: SourceNetwork,
    /// When the last of its failures will have been forgiven.
    forgiven: Instant,
}

impl Throttle {
    /// A table for at least this many networks; with zero, nothing is counted.
    pub(super) fn new(networks: usize) -> Self {
        let sets = vec![[Place::default(); WAYS]; networks.div_ceil(WAYS)];
        Self { sets: sets.into(), hasher: BuildNetworkHasher::new() }
    }

    /// The memory of the table, in bytes.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.sets)
    }

    /// The admission of a new connection from this address.
    pub(super) fn admission(&self, from: PeerAddress, now: Instant, limits: &Limits) -> Admission {
        let network = from.into();
        let set = self.sets.get(self.set_of(network));
        let place = set.and_then(|set| set.iter().find(|place| place.holds(network, now)));
        place.map_or(Admission::Accept, |place| place.admission(now, limits))
    }

    /// The number of networks whose new connections are delayed or rejected.
    pub(super) fn count(&self, now: Instant, limits: &Limits) -> usize {
        let places = self.sets.iter().flatten();
        let worse = |place: &&Place| place.admission(now, limits) != Admission::Accept;
        places.filter(worse).count()
    }

    /// Counts a failed proof. Returns the admission of new connections, if it changes for the
    /// worse.
    pub(super) fn fail(
        &mut self,
        from: PeerAddress,
        now: Instant,
        limits: &Limits,
    ) -> Option<Admission> {
        let before = self.admission(from, now, limits);
        let network = from.into();
        let set = self.set_of(network);
        let set = self.sets.get_mut(set)?;
        let known = set.iter().position(|place| place.holds(network, now));
        let place = match known {
            Some(at) => &mut set[at],
            None => set.iter_mut().min_by_key(|place| place.forgiven)?,
        };
        let since = if known.is_some() { place.forgiven } else { now };
        let latest = now + each(limits).saturating_mul(counted_max(limits));
        *place = Place { network, forgiven: (since + each(limits)).min(latest) };
        let after = place.admission(now, limits);
        (after.severity() > before.severity()).then_some(after)
    }

    /// The set of a network, if there are any.
    fn set_of(&self, network: SourceNetwork) -> usize {
        let mixed = u128::from(self.hasher.hash(network));
        usize::try_from((mixed * self.sets.len() as u128) >> 64).unwrap_or(usize::MAX)
    }
}

impl Place {
    fn holds(&self, network: SourceNetwork, now: Instant) -> bool {
        self.network == network && self.forgiven > now
    }

    fn admission(&self, now: Instant, limits: &Limits) -> Admission {
        let has_more_than = |failures| self.forgiven > now + each(limits).saturating_mul(failures);
        if has_more_than(limits.failure_limit) {
            Admission::Reject(Refusal::Throttled)
        } else if has_more_than(limits.failure_burst) {
            Admission::Delay
        } else {
            Admission::Accept
        }
    }
}

/// How long one failure counts.
fn each(limits: &Limits) -> Duration {
    limits.failure_decay.min(LONGEST)
}

/// The most failures that count against a network: twice as many as it may have without being
/// rejected. So it is rejected for at most the time in which `failure_limit` of them are forgiven.
fn counted_max(limits: &Limits) -> u32 {
    limits.failure_limit.saturating_mul(2).max(1)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use proptest::prelude::*;
    use sha2::{Digest as _, Sha256};

    use super::*;

    const REJECTED: Admission = Admission::Reject(Refusal::Throttled);

    fn at(millis: u64) -> Instant {
        Instant::after(Duration::from_millis(millis))
    }

    fn host(number: u32) -> PeerAddress {
        SocketAddr::from((number.to_be_bytes(), 9)).into()
    }

    /// One failure is free, more than three are too many, and one is forgiven in 10 ms.
    fn limits() -> Limits {
        Limits {
            failure_burst: 1,
            failure_limit: 3,
            failure_decay: Duration::from_millis(10),
            ..Limits::default()
        }
    }

    #[test]
    fn failures_mount_and_are_forgiven_one_by_one() {
        use Admission::{Accept, Delay};
        let (limits, mut throttle) = (limits(), Throttle::new(8));
        let news: Vec<_> = (0..5).map(|_| throttle.fail(host(1), at(5), &limits)).collect();
        assert_eq!(news, [None, Some(Delay), None, Some(REJECTED), None]);
        let cases =
            [(5, REJECTED), (24, REJECTED), (25, Delay), (44, Delay), (45, Accept), (55, Accept)];
        for (now, admission) in cases {
            assert_eq!(throttle.admission(host(1), at(now), &limits), admission, "at {now} ms");
            assert_eq!(throttle.admission(host(2), at(now), &limits), Accept);
            assert_eq!(throttle.count(at(now), &limits), usize::from(admission != Accept));
        }
        assert_eq!(throttle.fail(host(1), at(44), &limits), None, "it is delayed already");
        assert_eq!(throttle.fail(host(1), at(44), &limits), Some(REJECTED));
    }

    #[test]
    fn a_burst_of_failures_keeps_its_network_out_for_ten_minutes() {
        use Admission::{Accept, Delay};
        let (limits, mut throttle) = (Limits::default(), Throttle::new(8));
        for _ in 0..1_500 {
            throttle.fail(host(1), at(5), &limits);
        }
        let minute = 60_000;
        let cases = [
            (10 * minute + 4, REJECTED),
            (10 * minute + 5, Delay),
            (19 * minute + 4, Delay),
            (19 * minute + 5, Accept),
        ];
        for (now, admission) in cases {
            assert_eq!(throttle.admission(host(1), at(now), &limits), admission, "at {now} ms");
        }
    }

    #[test]
    fn one_failure_counts_also_where_none_is_allowed() {
        let (limits, mut throttle) = (Limits { failure_limit: 0, ..limits() }, Throttle::new(8));
        assert_eq!(throttle.fail(host(1), at(5), &limits), Some(REJECTED));
        assert_eq!(throttle.fail(host(1), at(7), &limits), None);
        assert_eq!(
            throttle.admission(host(1), at(16), &limits),
            Admission::Reject(Refusal::Throttled)
        );
        assert_eq!(throttle.admission(host(1), at(17), &limits), Admission::Accept);
    }

    #[test]
    fn nothing_is_counted_where_failures_are_forgiven_at_once_or_there_are_no_places() {
        let at_once = Limits { failure_burst: 0, failure_decay: Duration::ZERO, ..limits() };
        for (networks, limits) in [(8, at_once), (0, limits())] {
            let mut throttle = Throttle::new(networks);
            for _ in 0..100 {
                assert_eq!(throttle.fail(host(1), at(5), &limits), None);
                assert_eq!(throttle.admission(host(1), at(5), &limits), Admission::Accept);
            }
        }
    }

    #[test]
    fn the_longest_times_and_counts_are_no_harm() {
        let limits = Limits { failure_limit: u32::MAX, failure_decay: Duration::MAX, ..limits() };
        let mut throttle = Throttle::new(1);
        let news = [0, 1, u64::MAX].map(|now| throttle.fail(host(1), at(now), &limits));
        assert_eq!(news, [None, Some(Admission::Delay), None]);
        assert_eq!(Throttle::new(4).bytes(), 64);
    }

    #[test]
    fn a_flood_of_networks_neither_grows_the_table_nor_displaces_the_worst() {
        let (limits, mut throttle) = (limits(), Throttle::new(64));
        let bytes = throttle.bytes();
        for _ in 0..8 {
            throttle.fail(host(1), at(0), &limits);
        }
        for other in 2..1_000_000 {
            throttle.fail(host(other), at(1), &limits);
        }
        assert_eq!(
            throttle.admission(host(1), at(1), &limits),
            Admission::Reject(Refusal::Throttled)
        );
        assert_eq!(throttle.bytes(), bytes);
    }

    #[test]
    fn networks_are_spread_over_all_of_the_table() {
        let (limits, mut throttle) = (Limits { failure_burst: 0, ..limits() }, Throttle::new(1024));
        for number in 0..256_u32 {
            // In no order, or a bad secret could put many of them close together.
            let [.., a, b, c, d] = Sha256::digest(number.to_be_bytes()).0;
            throttle.fail(host(u32::from_be_bytes([a, b, c, d])), at(5), &limits);
        }
        let kept = throttle.count(at(5), &limits);
        assert!(kept > 128, "{kept} of 256");
    }

    proptest! {
        #[test]
        fn a_network_with_a_place_has_the_failures_that_are_not_forgiven_yet(
            steps in prop::collection::vec((0..25_u64, 0..4_u32), 1..200)
        ) {
            let limits = limits();
            // As many networks as a set has places, so that nobody is displaced.
            let mut throttle = Throttle::new(4);
            let mut plain = [(); WAYS].map(|()| Vec::<u64>::new());
            let mut now = 0;
            for (wait, which) in steps {
                now += wait;
                let failures = &mut plain[which as usize];
                failures.retain(|end| *end > now);
                // Six count at most, twice as many as the network may have.
                match failures.len() {
                    6 => *failures = (1..=6).map(|number| now + 10 * number).collect(),
                    _ => failures.push(failures.last().map_or(now, |last| now.max(*last)) + 10),
                }
                throttle.fail(host(which), at(now), &limits);
                for (number, failures) in (0..).zip(&plain) {
                    let count = failures.iter().filter(|end| **end > now).count();
                    let expected = match count {
                        0..=1 => Admission::Accept,
                        2..=3 => Admission::Delay,
                        _ => Admission::Reject(Refusal::Throttled),
                    };
                    let admission = throttle.admission(host(number), at(now), &limits);
                    prop_assert_eq!(admission, expected);
                }
            }
        }
    }
}
