//! The peer of a connection, as a service sees it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use countersign_proto::{Dialect, Exporter};

use crate::contract::listener_id::ListenerId;
use crate::reactor::token::Token;

/// Names one connection. No other connection of the server has the same name, not even a later one
/// in the same slot, until four thousand million others have come (65,534 on 32-bit machines).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId(pub(crate) Token);

impl From<PeerId> for u64 {
    /// A number for a host that can keep nothing else, such as one in C. It is never 0.
    fn from(peer: PeerId) -> Self {
        usize::from(peer.0) as Self
    }
}

impl From<u64> for PeerId {
    /// The connection of this number. No connection has a number that was not made from its id.
    fn from(number: u64) -> Self {
        Self(usize::try_from(number).unwrap_or(usize::MAX).into())
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0.generation(), self.0.slot())
    }
}

/// The peer of an authenticated connection: its key, its dialect and its address.
#[derive(Debug, Clone, Copy)]
pub struct Peer<'a> {
    pub(crate) id: PeerId,
    pub(crate) key: Option<&'a str>,
    pub(crate) dialect: Dialect,
    pub(crate) is_protected: bool,
    pub(crate) is_sealed: bool,
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

    /// Whether messages are encrypted, too, so that only those who hold the key can read them.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.is_sealed
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
    fn a_name_shows_the_generation_and_the_slot() {
        assert_eq!(PeerId(Token::new(7, 3)).to_string(), "3.7");
    }

    #[test]
    fn a_name_is_the_same_there_and_back_as_a_number() {
        let peer = PeerId(Token::new(7, 3));
        assert_eq!(PeerId::from(u64::from(peer)), peer);
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
}
