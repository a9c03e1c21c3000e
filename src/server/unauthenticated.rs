//! Connections that have not authenticated yet: how many there are, and from which networks.
//!
//! Their number is limited, in all and for each network. Those of one network are kept in the order
//! in which they came, so that the oldest can be evicted. A connection through a load balancer
//! counts towards the total at once, and towards its network when the load balancer has reported
//! its address. Connections that have authenticated are removed.

use std::collections::hash_map::{self, HashMap};
use std::num::NonZeroU8;

use crate::contract::peer::PeerAddress;
use crate::reactor::linked_slab::{LinkedSlab, List};
use crate::server::network::{BuildNetworkHasher, SourceNetwork};

/// The unauthenticated connections of one listener.
#[derive(Debug)]
pub(super) struct Unauthenticated {
    entries: LinkedSlab<Entry>,
    /// The connections of each network that has any.
    networks: HashMap<SourceNetwork, Group, BuildNetworkHasher>,
}

/// One connection. This is only needed until it has authenticated, so it isn't kept in the
/// connection's own entry.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// The client's address, or the load balancer's until that has reported the client's.
    address: PeerAddress,
    /// The slot of its connection.
    slot: u32,
}

/// The id of an unauthenticated connection: a number as bytes, which need no alignment, and whose
/// highest byte is never 0, which distinguishes variants of a connection's state. The former makes
/// the state 4 bytes smaller, the latter one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UnauthenticatedId {
    low: [u8; 3],
    high: NonZeroU8,
}

impl UnauthenticatedId {
    /// What is added to a key.
    const FIRST: u32 = 1 << 24;

    /// The id of a connection with this [`key`](Self::key).
    pub(super) fn of(key: usize) -> Self {
        // No machine has the memory for as many as there are ids.
        let key = u32::try_from(key).unwrap_or(u32::MAX);
        let [a, b, c, high] = key.saturating_add(Self::FIRST).to_le_bytes();
        Self { low: [a, b, c], high: NonZeroU8::new(high).unwrap_or(NonZeroU8::MAX) }
    }

    /// The number: less than there can be unauthenticated connections.
    pub(super) fn key(self) -> usize {
        let Self { low: [a, b, c], high } = self;
        (u32::from_le_bytes([a, b, c, high.get()]) - Self::FIRST) as usize
    }
}

/// The connections of one network, the oldest first.
#[derive(Debug, Clone, Copy, Default)]
struct Group {
    list: List,
    count: u32,
}

impl Unauthenticated {
    /// The bytes that a connection takes here, at most: its entry and its share of the table, which
    /// is at least half full when it has just grown.
    pub(super) const ENTRY: usize =
        LinkedSlab::<Entry>::ENTRY + 3 * (size_of::<(SourceNetwork, Group)>() + 1);

    /// With room for this many, so that nothing is reallocated later.
    pub(super) fn new(count: usize) -> Self {
        let networks = HashMap::with_capacity_and_hasher(count, BuildNetworkHasher::new());
        Self { entries: LinkedSlab::with_capacity(count), networks }
    }

    pub(super) fn count(&self) -> usize {
        self.entries.len()
    }

    /// Whether the network of this address has reached this number.
    pub(super) fn has_from(&self, address: PeerAddress, many: usize) -> bool {
        // Usually there are fewer in all, which saves the lookup.
        self.count() >= many && self.count_from(address) >= many
    }

    fn count_from(&self, address: PeerAddress) -> usize {
        self.networks.get(&address.into()).map_or(0, |group| group.count as usize)
    }

    /// The slot of the oldest in the network of this address.
    pub(super) fn oldest_from(&self, address: PeerAddress) -> Option<usize> {
        let group = self.networks.get(&address.into())?;
        group.list.front().map(|key| self.entries[key].slot as usize)
    }

    /// The slot of a connection.
    pub(super) fn slot_of(&self, id: UnauthenticatedId) -> usize {
        self.entries[id.key()].slot as usize
    }

    /// Adds a connection from this address. Returns its id.
    pub(super) fn enter(&mut self, address: PeerAddress, slot: usize) -> UnauthenticatedId {
        let id = self.enter_proxied(address, slot);
        self.join(id);
        id
    }

    /// Adds a connection through the load balancer at this address. Returns its id.
    pub(super) fn enter_proxied(
        &mut self,
        balancer: PeerAddress,
        slot: usize,
    ) -> UnauthenticatedId {
        // There are fewer slots than half a PeerId counts, so they fit.
        let slot = u32::try_from(slot).unwrap_or(u32::MAX);
        UnauthenticatedId::of(self.entries.insert(Entry { address: balancer, slot }))
    }

    /// Sets the client's address, which the load balancer has reported. The connection must not
    /// have [joined](Self::join) its network.
    pub(super) fn locate(&mut self, id: UnauthenticatedId, address: PeerAddress) {
        self.entries[id.key()].address = address;
    }

    /// The address of a connection, as far as it is known.
    pub(super) fn address_of(&self, id: UnauthenticatedId) -> PeerAddress {
        self.entries[id.key()].address
    }

    /// Counts a connection among those of its network from now on.
    pub(super) fn join(&mut self, id: UnauthenticatedId) {
        let group = self.networks.entry(self.address_of(id).into()).or_default();
        group.count += 1;
        self.entries.push_back(&mut group.list, id.key());
    }

    /// Removes a connection, which is closed or has authenticated. Returns its address.
    pub(super) fn leave(&mut self, id: UnauthenticatedId) -> PeerAddress {
        let address = self.address_of(id);
        if let hash_map::Entry::Occupied(mut place) = self.networks.entry(address.into()) {
            let group = place.get_mut();
            // A connection whose load balancer has not reported its address yet is in no network.
            if self.entries.remove(&mut group.list, id.key()) {
                group.count -= 1;
            }
            if group.list.is_empty() {
                place.remove();
            }
        }
        self.entries.take(id.key());
        address
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
            let mut all = Unauthenticated::new(8);
            let mut plain: Vec<(UnauthenticatedId, u8, usize)> = Vec::new();
            let mut arrived: Vec<(UnauthenticatedId, usize)> = Vec::new();
            let balancer = address(99);
            for (slot, (step, host, which)) in (0..).zip(steps) {
                match step {
                    0 => plain.push((all.enter(address(host), slot), host, slot)),
                    1 => arrived.push((all.enter_proxied(balancer, slot), slot)),
                    2 if !arrived.is_empty() => {
                        let (name, slot) = arrived.remove(which % arrived.len());
                        prop_assert_eq!(all.address_of(name), balancer);
                        all.locate(name, address(host));
                        all.join(name);
                        plain.push((name, host, slot));
                    }
                    _ if !plain.is_empty() => {
                        let (name, host, _) = plain.remove(which % plain.len());
                        prop_assert_eq!(all.leave(name), address(host));
                    }
                    _ => if let Some((name, _)) = arrived.pop() {
                        prop_assert_eq!(all.leave(name), balancer);
                    },
                }
                prop_assert_eq!(all.count(), plain.len() + arrived.len());
                prop_assert!(!all.has_from(balancer, 1));
                for host in 0..4 {
                    let mut here = plain.iter().filter(|(_, each, _)| *each == host);
                    let count = here.clone().count();
                    prop_assert!(all.has_from(address(host), count));
                    prop_assert!(!all.has_from(address(host), count + 1));
                    let oldest = here.next().map(|(_, _, slot)| *slot);
                    prop_assert_eq!(all.oldest_from(address(host)), oldest);
                }
            }
            prop_assert!(plain.is_empty() || !all.networks.is_empty());
        }
    }
}
