//! The peer of a connection, as a service sees it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::contract::listener_id::ListenerId;
use crate::proto::dialect::Dialect;
use crate::proto::handshake::countersign::schedule::Exporter;

/// Half of a name's bits are the slot, half the generation.
const HALF: u32 = usize::BITS / 2;

/// The most slots that a name can tell apart, and a slot that no connection has.
pub(crate) const SLOTS_MAX: usize = (1 << HALF) - 1;

/// Names one connection: its slot in the loop's slab, and the generation of the slot's tenant.
///
/// The slab gives a slot anew as soon as it is free, so what is said of a slot alone, such as an
/// event of the same batch, could hit the next tenant. A generation comes again only after four
/// thousand million connections (65,534 on 32-bit machines).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId(#[doc(hidden)] pub usize);

impl PeerId {
    #[doc(hidden)]
    #[must_use]
    pub fn new(slot: usize, generation: u32) -> Self {
        debug_assert!(slot <= SLOTS_MAX, "the limit on connections is capped");
        Self(slot | (generation as usize) << HALF)
    }

    #[doc(hidden)]
    #[must_use]
    pub fn slot(self) -> usize {
        self.0 & SLOTS_MAX
    }

    /// No connection has generation 0.
    #[doc(hidden)]
    #[must_use]
    pub fn generation(self) -> usize {
        self.0 >> HALF
    }

    /// The generation of the next connection. It wraps around, skipping 0.
    #[doc(hidden)]
    #[must_use]
    pub fn generation_after(generation: u32) -> u32 {
        let last = u32::try_from(SLOTS_MAX).unwrap_or(u32::MAX);
        if generation >= last { 1 } else { generation + 1 }
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.generation(), self.slot())
    }
}

/// The peer of an authenticated connection: its key, its dialect and its address.
#[derive(Debug, Clone, Copy)]
pub struct Peer<'a> {
    pub(crate) id: PeerId,
    pub(crate) key: Option<&'a str>,
    pub(crate) dialect: Dialect,
    pub(crate) is_protected: bool,
    pub(crate) exporter: Option<&'a Exporter>,
    pub(crate) address: PeerAddress,
    pub(crate) listener: ListenerId,
}

impl<'a> Peer<'a> {
    /// The id of the connection, for [`Server::tell`](crate::Server::tell).
    #[must_use]
    pub fn id(&self) -> PeerId {
        self.id
    }

    /// The id of the key that the peer holds; none in the dialect `open`.
    #[must_use]
    pub fn key(&self) -> Option<&'a str> {
        self.key
    }

    /// The dialect of the connection.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Whether messages are protected, by the records of `countersign/1`.
    #[must_use]
    pub fn is_protected(&self) -> bool {
        self.is_protected
    }

    /// The secret for this label, which only the two ends of this connection can derive; `None`
    /// unless the dialect is `countersign/1`. See [`Exporter`].
    #[must_use]
    pub fn secret(&self, label: &[u8]) -> Option<[u8; 32]> {
        self.exporter.map(|exporter| exporter.secret(label))
    }

    /// The peer's address; behind a load balancer, the client's address as the balancer reports it.
    #[must_use]
    pub fn address(&self) -> PeerAddress {
        self.address
    }

    /// The listener that the peer connected to.
    #[must_use]
    pub fn listener(&self) -> ListenerId {
        self.listener
    }
}

/// The address of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PeerAddress {
    /// An IP address and a port.
    Ip(SocketAddr),
    /// A Unix socket of this machine: such a peer has no address of its own.
    Unix,
}

impl PeerAddress {
    /// The IP address; `None` for a Unix socket.
    #[must_use]
    pub fn ip(self) -> Option<IpAddr> {
        match self {
            Self::Ip(address) => Some(address.ip()),
            Self::Unix => None,
        }
    }
}

impl From<SocketAddr> for PeerAddress {
    /// An IPv4 peer of a listener at `[::]` has its IPv4 address, as at any other listener.
    fn from(address: SocketAddr) -> Self {
        let SocketAddr::V6(v6) = address else { return Self::Ip(address) };
        let mapped = v6.ip().to_ipv4_mapped();
        Self::Ip(mapped.map_or(address, |v4| SocketAddr::from((v4, v6.port()))))
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix => f.write_str("unix"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_its_slot_and_its_generation() {
        for (slot, generation) in [(0, 1), (7, 40_000), (SLOTS_MAX, 1)] {
            let name = PeerId::new(slot, generation);
            assert_eq!((name.slot(), name.generation()), (slot, generation as usize));
        }
        assert_eq!(PeerId::new(7, 3).to_string(), "3.7");
    }

    #[test]
    fn an_ipv4_peer_has_its_ipv4_address_at_any_listener() {
        for (given, named) in [
            ("[::ffff:192.0.2.1]:80", "192.0.2.1:80"),
            ("192.0.2.1:80", "192.0.2.1:80"),
            ("[2001:db8::1]:80", "[2001:db8::1]:80"),
            ("[fe80::1%3]:80", "[fe80::1%3]:80"),
            ("[::192.0.2.1]:80", "[::c000:201]:80"),
        ] {
            let given: SocketAddr = given.parse().unwrap();
            assert_eq!(PeerAddress::from(given).to_string(), named);
        }
    }

    #[test]
    fn generations_wrap_past_that_of_nobody() {
        let last = PeerId(usize::MAX).generation();
        assert_eq!(PeerId::generation_after(0), 1);
        assert_eq!(PeerId::generation_after(u32::try_from(last).unwrap()), 1);
    }
}
