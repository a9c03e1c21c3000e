//! Source networks, by which failures and connections are counted, and the hash of tables of them.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{Ipv4Addr, SocketAddr};

use crate::contract::peer::PeerAddress;

/// What counts as one source of connections: an IPv4 address, an IPv6 /64, or this machine for all
/// Unix sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct SourceNetwork(u64);

impl From<PeerAddress> for SourceNetwork {
    fn from(address: PeerAddress) -> Self {
        match address {
            PeerAddress::Ip(SocketAddr::V4(v4)) => Self::of_v4(*v4.ip()),
            PeerAddress::Ip(SocketAddr::V6(v6)) => match v6.ip().to_ipv4_mapped() {
                Some(v4) => Self::of_v4(v4),
                None => Self(u64::try_from(v6.ip().to_bits() >> 64).unwrap_or_default()),
            },
            // In a multicast prefix, from which no connection comes.
            PeerAddress::Unix => Self(u64::MAX),
        }
    }
}

impl SourceNetwork {
    /// Within ::ffff:0:0/96, so no IPv6 network has the same number.
    fn of_v4(v4: Ipv4Addr) -> Self {
        Self(0xffff_0000_0000 | u64::from(v4.to_bits()))
    }
}

/// Hashes networks by multiplying their numbers with a secret one. Two networks collide hardly more
/// often than random numbers do (Dietzfelbinger and others, 1997), and an attacker can't choose
/// networks that collide. SipHash is no better here, and takes ten times as long.
#[derive(Clone)]
pub(super) struct BuildNetworkHasher {
    /// The secret, an odd number.
    factor: u64,
}

impl BuildNetworkHasher {
    pub(super) fn new() -> Self {
        // The standard library's source of an unpredictable number.
        Self { factor: RandomState::new().build_hasher().finish() | 1 }
    }

    /// A number whose high bits are as good as random.
    pub(super) fn hash(&self, network: SourceNetwork) -> u64 {
        network.0.wrapping_mul(self.factor)
    }
}

impl BuildHasher for BuildNetworkHasher {
    type Hasher = NetworkHasher;

    fn build_hasher(&self) -> NetworkHasher {
        NetworkHasher { hasher: self.clone(), hash: 0 }
    }
}

/// The hash of one network, for the standard library's tables.
pub(super) struct NetworkHasher {
    hasher: BuildNetworkHasher,
    hash: u64,
}

impl Hasher for NetworkHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(byte.into()));
    }

    fn write_u64(&mut self, number: u64) {
        self.hash = self.hasher.hash(SourceNetwork(self.hash ^ number));
    }

    /// The standard library's tables use the low bits first.
    fn finish(&self) -> u64 {
        self.hash.rotate_left(32)
    }
}

impl fmt::Debug for BuildNetworkHasher {
    /// The secret isn't shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BuildNetworkHasher").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn an_ipv6_network_is_one_place_and_a_mapped_ipv4_address_is_that_address() {
        let network = |text: &str| {
            let address = SocketAddr::new(text.parse().unwrap(), 9);
            SourceNetwork::from(PeerAddress::Ip(address))
        };
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:2"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
        assert_ne!(network("192.0.2.1"), SourceNetwork::from(PeerAddress::Unix));
    }

    #[test]
    fn hashes_differ_in_the_bits_that_tables_use() {
        let hasher = BuildNetworkHasher::new();
        let distinct = |hashes: &[u64]| hashes.iter().collect::<HashSet<_>>().len();
        // All that was hashed counts, whatever the secret is.
        let behind = |number: u64| hasher.hash_one((7_u64, number));
        let one_bit = (0..64).map(|bit| 1 << bit);
        let hashes: Vec<_> = one_bit.chain([0]).map(behind).collect();
        assert_eq!(distinct(&hashes), 65);
        let hashes: Vec<_> = (0..=u8::MAX).map(|byte| hasher.hash_one([byte, 7])).collect();
        assert_eq!(distinct(&hashes), 256);
        // The low bits are those of the high half, in which numbers that are close differ too.
        let network = |v4: u32| SourceNetwork::of_v4(v4.wrapping_mul(0x9e37_79b9).into());
        let low: Vec<_> = (0..256).map(|v4| hasher.hash_one(network(v4)) & 0xffff).collect();
        assert!(distinct(&low) > 200, "{} of 256", distinct(&low));
    }
}
