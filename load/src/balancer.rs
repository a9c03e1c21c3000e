//! The header of the PROXY protocol that a load balancer sends on each connection.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpStream};

use countersign::{Address, Networks};
use proxy_header::{ProxiedAddress, ProxyHeader};

use crate::share::Share;

/// The ports of clients that have none of their own begin here.
const FIRST_PORT: u16 = 1024;

/// A version of the PROXY protocol, by which a load balancer tells the server where a connection
/// comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyVersion {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

impl ProxyVersion {
    /// Appends the header of a connection from `source` to `destination`. Without addresses, it is
    /// that of a connection of the load balancer's own, such as a health check.
    pub fn write(self, addresses: Option<(SocketAddr, SocketAddr)>, out: &mut Vec<u8>) {
        let header = match addresses {
            Some((source, destination)) if source.is_ipv4() == destination.is_ipv4() => {
                ProxyHeader::with_address(ProxiedAddress::stream(source, destination))
            }
            Some((source, destination)) => ProxyHeader::with_address(ProxiedAddress::stream(
                mapped(source),
                mapped(destination),
            )),
            None => ProxyHeader::with_local(),
        };
        let written = match self {
            Self::V1 => header.encode_v1(out),
            Self::V2 => header.encode_v2(out),
        };
        debug_assert!(written.is_ok(), "addresses of one family always have a header");
    }
}

/// An IPv4 address as the IPv6 address that stands for it: a header has addresses of one family.
fn mapped(address: SocketAddr) -> SocketAddr {
    let mapped: Ipv6Addr = match address.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    SocketAddr::new(mapped.into(), address.port())
}

/// What a load balancer would say of the connections of one loop.
#[derive(Debug)]
pub(super) struct Balancer {
    version: ProxyVersion,
    /// Where its clients come from, in turn; if it is empty, they come from where we are.
    sources: Networks,
    /// The number of the next connection, among those of all loops.
    number: u64,
    /// The numbers between two connections of this loop.
    step: u64,
}

impl Balancer {
    pub(super) fn new(version: ProxyVersion, sources: Networks, share: Share) -> Self {
        Self { version, sources, number: share.index, step: share.of }
    }

    /// Appends the header of the next connection, which has reached the server at this address.
    pub(super) fn write(&mut self, socket: &TcpStream, server: &Address, out: &mut Vec<u8>) {
        let number = self.number;
        self.number += self.step;
        // A Unix socket has none.
        let local = socket.local_addr().ok();
        self.version.write(self.addresses(number, local, server), out);
    }

    fn addresses(
        &self,
        number: u64,
        local: Option<SocketAddr>,
        server: &Address,
    ) -> Option<(SocketAddr, SocketAddr)> {
        let source = match self.sources.address(number) {
            Some(ip) => SocketAddr::new(ip, local.map_or(port(number), |local| local.port())),
            None => local?,
        };
        let destination = match server {
            Address::Ip(server) => *server,
            _ => SocketAddr::new(self.sources.address(0)?, 0),
        };
        Some((source, destination))
    }
}

/// A port for a client of this number.
#[expect(clippy::cast_possible_truncation, reason = "it is less than the number of ports")]
fn port(number: u64) -> u16 {
    FIRST_PORT + (number % u64::from(u16::MAX - FIRST_PORT)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(version: ProxyVersion, source: &str, destination: &str) -> Vec<u8> {
        let mut out = Vec::new();
        let address = |text: &str| text.parse().unwrap();
        version.write(Some((address(source), address(destination))), &mut out);
        out
    }

    #[test]
    fn a_header_of_version_1_is_a_line() {
        let line = |source, destination| {
            String::from_utf8(header(ProxyVersion::V1, source, destination)).unwrap()
        };
        assert_eq!(
            line("10.0.0.1:5000", "192.0.2.7:9527"),
            "PROXY TCP4 10.0.0.1 192.0.2.7 5000 9527\r\n"
        );
        assert_eq!(line("[2001:db8::1]:5", "[::1]:6"), "PROXY TCP6 2001:db8::1 ::1 5 6\r\n");
        assert_eq!(line("10.0.0.1:5", "[::1]:6"), "PROXY TCP6 ::ffff:10.0.0.1 ::1 5 6\r\n");
        assert_eq!(line("[::1]:5", "10.0.0.1:6"), "PROXY TCP6 ::1 ::ffff:10.0.0.1 5 6\r\n");
    }

    #[test]
    fn a_header_of_version_2_is_binary() {
        let bytes = header(ProxyVersion::V2, "10.0.0.1:258", "192.0.2.7:9527");
        let expected =
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x0a\0\0\x01\xc0\0\x02\x07\x01\x02\x25\x37";
        assert_eq!(bytes, expected);
        let bytes = header(ProxyVersion::V2, "[::1]:5", "[::2]:6");
        assert_eq!((&bytes[12..16], bytes.len()), (&b"\x21\x21\0\x24"[..], 52));
    }

    #[test]
    fn a_connection_of_the_balancers_own_has_no_address() {
        for (version, expected) in [
            (ProxyVersion::V1, &b"PROXY UNKNOWN\r\n"[..]),
            (ProxyVersion::V2, b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"),
        ] {
            let mut out = Vec::new();
            version.write(None, &mut out);
            assert_eq!(out, expected, "{version:?}");
        }
    }

    #[test]
    fn sources_come_in_turn_and_unix_sockets_have_none_of_their_own() {
        let balancer = |sources| Balancer::new(ProxyVersion::V1, sources, Share::WHOLE);
        let server = Address::Ip("192.0.2.7:9527".parse().unwrap());
        let unix = Address::Unix("/run/garden".into());
        let local = "127.0.0.1:40000".parse().ok();
        let source = |balancer: &Balancer, number, local, server: &Address| {
            balancer.addresses(number, local, server).map(|(source, _)| source.to_string())
        };
        let own = balancer(Networks::new());
        assert_eq!(source(&own, 7, local, &server).as_deref(), Some("127.0.0.1:40000"));
        assert_eq!(source(&own, 7, None, &unix), None);
        let several = balancer("10.0.0.0/31,10.9.0.4".parse().unwrap());
        let sources: Vec<_> = (0..4).filter_map(|n| source(&several, n, local, &server)).collect();
        let expected = ["10.0.0.0:40000", "10.0.0.1:40000", "10.9.0.4:40000", "10.0.0.0:40000"];
        assert_eq!(sources, expected);
        assert_eq!(source(&several, 1, None, &unix).as_deref(), Some("10.0.0.1:1025"));
    }
}
