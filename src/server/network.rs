//! What counts as one place on the net.

use std::net::{Ipv4Addr, SocketAddr};

use crate::contract::peer::PeerAddress;

/// What counts as one place on the net: an IPv4 address, an IPv6 /64, and this machine for all who
/// come through Unix sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Network(u64);

impl From<PeerAddress> for Network {
    fn from(address: PeerAddress) -> Self {
        match address {
            PeerAddress::Ip(SocketAddr::V4(v4)) => Self::of_v4(*v4.ip()),
            PeerAddress::Ip(SocketAddr::V6(v6)) => match v6.ip().to_ipv4_mapped() {
                Some(v4) => Self::of_v4(v4),
                None => Self(u64::try_from(v6.ip().to_bits() >> 64).unwrap_or_default()),
            },
            // Of a multicast prefix, which nobody comes from.
            PeerAddress::Unix => Self(u64::MAX),
        }
    }
}

impl Network {
    /// Within ::ffff:0:0/96, from which no IPv6 network comes that has the same number.
    fn of_v4(v4: Ipv4Addr) -> Self {
        Self(0xffff_0000_0000 | u64::from(v4.to_bits()))
    }

    pub(super) fn number(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_network_is_one_place_and_a_mapped_ipv4_address_is_that_address() {
        let network = |text: &str| {
            let address = SocketAddr::new(text.parse().unwrap(), 9);
            Network::from(PeerAddress::Ip(address))
        };
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:2"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
        assert_ne!(network("192.0.2.1"), Network::from(PeerAddress::Unix));
    }
}
