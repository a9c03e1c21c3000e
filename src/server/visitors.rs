//! Those who have come and not yet proved themselves: how many there are, and from where.
//!
//! A visitor costs a connection its place, so their number is limited, in all and for each
//! address. Of one address they are kept in the order in which they came, so that the one that has
//! waited longest can give way. Whoever comes by a balancer is counted among all at once, and with
//! those of its address as soon as that is known. Once a visitor is let in, nothing here is kept of
//! it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::num::NonZeroU32;

use slab::Slab;

use crate::contract::peer::PeerAddress;
use crate::server::network::{Network, Scatter};

/// Everyone who has come and not yet proved themselves.
#[derive(Debug)]
pub(super) struct Visitors {
    visitors: Slab<Visitor>,
    /// What has come from each network; none is empty.
    networks: HashMap<Network, Group, Scatter>,
}

/// One of them. What comes later than the handshake doesn't need it, so it lies here and not in
/// the connection's entry.
#[derive(Debug)]
struct Visitor {
    /// Its own, or the balancer's as long as nothing else is known.
    address: PeerAddress,
    /// The slot of its connection.
    slot: u32,
    /// It stands with those of its address.
    has_joined: bool,
    /// The one that came before it from its network.
    older: Option<VisitorId>,
    /// The one that came after it.
    newer: Option<VisitorId>,
}

/// What a visitor goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct VisitorId(NonZeroU32);

impl VisitorId {
    fn of(key: usize) -> Self {
        // Slots are capped by the halves of a name, so the key and one more fit.
        let number = u32::try_from(key + 1).ok().and_then(NonZeroU32::new);
        Self(number.unwrap_or(NonZeroU32::MAX))
    }

    fn key(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// Those from one network.
#[derive(Debug, Clone, Copy)]
struct Group {
    oldest: VisitorId,
    newest: VisitorId,
    count: usize,
}

impl Visitors {
    /// The bytes that a visitor takes here, at most: its entry and its share of the table, which
    /// is at least half full when it has just grown.
    pub(super) const ENTRY: usize =
        size_of::<Visitor>() + size_of::<u64>() + 3 * (size_of::<(Network, Group)>() + 1);

    /// With room for so many, so that nothing is moved later.
    pub(super) fn new(count: usize) -> Self {
        let networks = HashMap::with_capacity_and_hasher(count, Scatter::new());
        Self { visitors: Slab::with_capacity(count), networks }
    }

    pub(super) fn count(&self) -> usize {
        self.visitors.len()
    }

    /// Whether there are so many of this address' network.
    pub(super) fn has_from(&self, address: PeerAddress, many: usize) -> bool {
        // Mostly there are fewer in all, and no network has to be looked up.
        self.count() >= many && self.count_from(address) >= many
    }

    fn count_from(&self, address: PeerAddress) -> usize {
        self.networks.get(&address.into()).map_or(0, |group| group.count)
    }

    /// The slot of the one that has waited longest of this address' network.
    pub(super) fn oldest_from(&self, address: PeerAddress) -> Option<usize> {
        let group = self.networks.get(&address.into())?;
        self.visitors.get(group.oldest.key()).map(|visitor| visitor.slot as usize)
    }

    /// A visitor comes from this address. Returns the name that it goes by here.
    pub(super) fn enter(&mut self, address: PeerAddress, slot: usize) -> VisitorId {
        let name = self.add(address, slot, true);
        self.group(name, address);
        name
    }

    /// A visitor comes by the balancer at this address. Returns the name that it goes by here.
    pub(super) fn arrive(&mut self, balancer: PeerAddress, slot: usize) -> VisitorId {
        self.add(balancer, slot, false)
    }

    fn add(&mut self, address: PeerAddress, slot: usize, has_joined: bool) -> VisitorId {
        // Slots are capped by the halves of a name, so they fit.
        let slot = u32::try_from(slot).unwrap_or(u32::MAX);
        let visitor = Visitor { address, slot, has_joined, older: None, newer: None };
        VisitorId::of(self.visitors.insert(visitor))
    }

    /// The balancer of a visitor has said where it really comes from.
    pub(super) fn locate(&mut self, name: VisitorId, address: PeerAddress) {
        if let Some(visitor) = self.visitors.get_mut(name.key()) {
            debug_assert!(!visitor.has_joined, "it would stand with those of another address");
            visitor.address = address;
        }
    }

    /// Where a visitor comes from, as far as it is known.
    pub(super) fn address_of(&self, name: VisitorId) -> Option<PeerAddress> {
        self.visitors.get(name.key()).map(|visitor| visitor.address)
    }

    /// Counts a visitor with those of its address from now on.
    pub(super) fn join(&mut self, name: VisitorId) {
        let Some(visitor) = self.visitors.get_mut(name.key()) else { return };
        debug_assert!(!visitor.has_joined, "a visitor joins once");
        visitor.has_joined = true;
        let address = visitor.address;
        self.group(name, address);
    }

    /// Puts a visitor at the end of those of its address.
    fn group(&mut self, name: VisitorId, address: PeerAddress) {
        let alone = Group { oldest: name, newest: name, count: 0 };
        let group = self.networks.entry(address.into()).or_insert(alone);
        group.count += 1;
        let before = std::mem::replace(&mut group.newest, name);
        if before != name {
            self.visitors[name.key()].older = Some(before);
            self.visitors[before.key()].newer = Some(name);
        }
    }

    /// A visitor goes, or is let in. Returns where it came from.
    pub(super) fn leave(&mut self, name: VisitorId) -> Option<PeerAddress> {
        let visitor = self.visitors.try_remove(name.key())?;
        let Visitor { address, has_joined, older, newer, .. } = visitor;
        if !has_joined {
            return Some(address);
        }
        if let Some(older) = older {
            self.visitors[older.key()].newer = newer;
        }
        if let Some(newer) = newer {
            self.visitors[newer.key()].older = older;
        }
        if let Entry::Occupied(mut place) = self.networks.entry(address.into()) {
            let group = place.get_mut();
            group.count -= 1;
            match (older, newer) {
                (None, None) => drop(place.remove()),
                (None, Some(newer)) => group.oldest = newer,
                (Some(older), None) => group.newest = older,
                (Some(_), Some(_)) => {}
            }
        }
        Some(address)
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use proptest::prelude::*;

    use super::*;

    fn address(host: u8) -> PeerAddress {
        SocketAddr::from(([127, 0, 0, host], 9)).into()
    }

    proptest! {
        #[test]
        fn groups_are_what_a_plain_vector_is(
            steps in prop::collection::vec((0..4u8, 0..4u8, 0..64usize), 1..200)
        ) {
            let mut visitors = Visitors::new(8);
            let mut plain: Vec<(VisitorId, u8, usize)> = Vec::new();
            let mut arrived: Vec<(VisitorId, usize)> = Vec::new();
            let balancer = address(99);
            for (slot, (step, host, which)) in (0..).zip(steps) {
                match step {
                    0 => plain.push((visitors.enter(address(host), slot), host, slot)),
                    1 => arrived.push((visitors.arrive(balancer, slot), slot)),
                    2 if !arrived.is_empty() => {
                        let (name, slot) = arrived.remove(which % arrived.len());
                        prop_assert_eq!(visitors.address_of(name), Some(balancer));
                        visitors.locate(name, address(host));
                        visitors.join(name);
                        plain.push((name, host, slot));
                    }
                    _ if !plain.is_empty() => {
                        let (name, host, _) = plain.remove(which % plain.len());
                        prop_assert_eq!(visitors.leave(name), Some(address(host)));
                    }
                    _ => if let Some((name, _)) = arrived.pop() {
                        prop_assert_eq!(visitors.leave(name), Some(balancer));
                    },
                }
                prop_assert_eq!(visitors.count(), plain.len() + arrived.len());
                prop_assert!(!visitors.has_from(balancer, 1));
                for host in 0..4 {
                    let mut here = plain.iter().filter(|(_, each, _)| *each == host);
                    let count = here.clone().count();
                    prop_assert!(visitors.has_from(address(host), count));
                    prop_assert!(!visitors.has_from(address(host), count + 1));
                    let oldest = here.next().map(|(_, _, slot)| *slot);
                    prop_assert_eq!(visitors.oldest_from(address(host)), oldest);
                }
            }
            prop_assert!(plain.is_empty() || !visitors.networks.is_empty());
        }
    }
}
