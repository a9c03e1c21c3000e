//! Connections that have not authenticated yet: how many there are, and from which networks.
//!
//! Their number is limited, in all and for each network. Those of one network are kept in the order
//! in which they came, so that the oldest can be evicted. A connection through a load balancer
//! counts among all at once, and among those of its network as soon as the balancer has named its
//! address. Once a connection has authenticated, nothing is kept of it here.

use std::collections::hash_map::{self, HashMap};

use slab::Slab;

use crate::contract::peer::PeerAddress;
use crate::server::network::{BuildNetworkHasher, SourceNetwork};

/// The unauthenticated connections of one listener.
#[derive(Debug)]
pub(super) struct Unauthenticated {
    entries: Slab<Entry>,
    /// The connections of each network that has any.
    networks: HashMap<SourceNetwork, Group, BuildNetworkHasher>,
}

/// One connection. All of this is needed until it has authenticated and not later, so it isn't kept
/// with the connection.
#[derive(Debug)]
struct Entry {
    /// The client's, or the load balancer's until that has named the client's.
    address: PeerAddress,
    /// The slot of its connection.
    slot: u32,
    /// It counts among those of its network.
    is_grouped: bool,
    /// The one before it in its network.
    older: Option<UnauthenticatedId>,
    /// The one after it.
    newer: Option<UnauthenticatedId>,
}

/// The id of an unauthenticated connection: a number, in bytes so that it can stand anywhere in the
/// state of a connection, which is 4 bytes smaller for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UnauthenticatedId([u8; 4]);

impl UnauthenticatedId {
    fn of(key: usize) -> Self {
        // There are fewer slots than half a PeerId counts, so the key fits.
        Self(u32::try_from(key).unwrap_or(u32::MAX).to_ne_bytes())
    }

    fn key(self) -> usize {
        u32::from_ne_bytes(self.0) as usize
    }
}

/// The connections of one network.
#[derive(Debug, Clone, Copy)]
struct Group {
    oldest: UnauthenticatedId,
    newest: UnauthenticatedId,
    count: usize,
}

impl Unauthenticated {
    /// The bytes that a connection takes here, at most: its entry and its share of the table, which
    /// is at least half full when it has just grown.
    pub(super) const ENTRY: usize =
        size_of::<Entry>() + size_of::<u64>() + 3 * (size_of::<(SourceNetwork, Group)>() + 1);

    /// With room for so many, so that nothing is moved later.
    pub(super) fn new(count: usize) -> Self {
        let networks = HashMap::with_capacity_and_hasher(count, BuildNetworkHasher::new());
        Self { entries: Slab::with_capacity(count), networks }
    }

    pub(super) fn count(&self) -> usize {
        self.entries.len()
    }

    /// Whether the network of this address has so many.
    pub(super) fn has_from(&self, address: PeerAddress, many: usize) -> bool {
        // Mostly there are fewer in all, and no network has to be looked up.
        self.count() >= many && self.count_from(address) >= many
    }

    fn count_from(&self, address: PeerAddress) -> usize {
        self.networks.get(&address.into()).map_or(0, |group| group.count)
    }

    /// The slot of the oldest in the network of this address.
    pub(super) fn oldest_from(&self, address: PeerAddress) -> Option<usize> {
        let group = self.networks.get(&address.into())?;
        self.entries.get(group.oldest.key()).map(|entry| entry.slot as usize)
    }

    /// Adds a connection from this address. Returns its id.
    pub(super) fn enter(&mut self, address: PeerAddress, slot: usize) -> UnauthenticatedId {
        let id = self.add(address, slot, true);
        self.group(id, address);
        id
    }

    /// Adds a connection through the load balancer at this address. Returns its id.
    pub(super) fn enter_proxied(
        &mut self,
        balancer: PeerAddress,
        slot: usize,
    ) -> UnauthenticatedId {
        self.add(balancer, slot, false)
    }

    fn add(&mut self, address: PeerAddress, slot: usize, is_grouped: bool) -> UnauthenticatedId {
        // There are fewer slots than half a PeerId counts, so they fit.
        let slot = u32::try_from(slot).unwrap_or(u32::MAX);
        let entry = Entry { address, slot, is_grouped, older: None, newer: None };
        UnauthenticatedId::of(self.entries.insert(entry))
    }

    /// The load balancer has named the client's address.
    pub(super) fn locate(&mut self, id: UnauthenticatedId, address: PeerAddress) {
        if let Some(entry) = self.entries.get_mut(id.key()) {
            debug_assert!(!entry.is_grouped, "it counts in the network of another address");
            entry.address = address;
        }
    }

    /// The address of a connection, as far as it is known.
    pub(super) fn address_of(&self, id: UnauthenticatedId) -> Option<PeerAddress> {
        self.entries.get(id.key()).map(|entry| entry.address)
    }

    /// Counts a connection among those of its network from now on.
    pub(super) fn join(&mut self, id: UnauthenticatedId) {
        let Some(entry) = self.entries.get_mut(id.key()) else { return };
        debug_assert!(!entry.is_grouped, "a connection joins its network once");
        entry.is_grouped = true;
        let address = entry.address;
        self.group(id, address);
    }

    /// Appends a connection to those of its network.
    fn group(&mut self, id: UnauthenticatedId, address: PeerAddress) {
        let alone = Group { oldest: id, newest: id, count: 0 };
        let group = self.networks.entry(address.into()).or_insert(alone);
        group.count += 1;
        let before = std::mem::replace(&mut group.newest, id);
        if before != id {
            self.entries[id.key()].older = Some(before);
            self.entries[before.key()].newer = Some(id);
        }
    }

    /// Removes a connection, which is closed or has authenticated. Returns its address.
    pub(super) fn leave(&mut self, id: UnauthenticatedId) -> Option<PeerAddress> {
        let entry = self.entries.try_remove(id.key())?;
        let Entry { address, is_grouped, older, newer, .. } = entry;
        if !is_grouped {
            return Some(address);
        }
        if let Some(older) = older {
            self.entries[older.key()].newer = newer;
        }
        if let Some(newer) = newer {
            self.entries[newer.key()].older = older;
        }
        if let hash_map::Entry::Occupied(mut place) = self.networks.entry(address.into()) {
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
                        prop_assert_eq!(all.address_of(name), Some(balancer));
                        all.locate(name, address(host));
                        all.join(name);
                        plain.push((name, host, slot));
                    }
                    _ if !plain.is_empty() => {
                        let (name, host, _) = plain.remove(which % plain.len());
                        prop_assert_eq!(all.leave(name), Some(address(host)));
                    }
                    _ => if let Some((name, _)) = arrived.pop() {
                        prop_assert_eq!(all.leave(name), Some(balancer));
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
