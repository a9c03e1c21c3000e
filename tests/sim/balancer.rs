//! Balancers: the header of the PROXY protocol in front of what a client says, told a second time.

use std::net::{IpAddr, SocketAddr};

use crate::random::Random;

/// Whose headers are taken, where everybody comes by a balancer.
pub(crate) const TRUSTED: &str = "10.1.0.0/16";

/// How many there are.
pub(crate) const BALANCERS: usize = 2;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The longest header of version 2 that is taken, without its front.
const REST_MAX: usize = 1024 - 16;

/// What comes before all that a client says itself.
#[derive(Debug, Clone)]
pub(crate) struct ProxyHeader {
    pub(crate) bytes: Vec<u8>,
    /// How much of it is sent. Who sends less, or no header, says nothing behind it.
    pub(crate) goal: usize,
    /// It is a header.
    pub(crate) is_good: bool,
    /// It names the client; else the connection counts as the balancer's own.
    pub(crate) is_named: bool,
}

impl ProxyHeader {
    /// That of a client that comes by itself.
    pub(crate) fn none() -> Self {
        Self { bytes: Vec::new(), goal: 0, is_good: true, is_named: true }
    }

    /// That of a client from there; only those that aren't honest send a bad one, or one that takes
    /// long through so little room.
    pub(crate) fn draw(
        random: &mut Random,
        client: SocketAddr,
        is_honest: bool,
        room: usize,
    ) -> Self {
        let is_good = is_honest || random.per_mille(750);
        if !is_good {
            let bytes = bad(random, client);
            return Self { goal: bytes.len(), bytes, is_good, is_named: false };
        }
        let is_named = random.per_mille(850);
        let most = if is_honest && room < 2_000 { 3 } else { REST_MAX - addresses(client).len() };
        let fields = field(random.pick(&[0, 0, 3, most]));
        let bytes = match random.number() % 3 {
            0 if is_named => line(client),
            _ if is_named => binary(0x21, 0x11, &[addresses(client), fields].concat()),
            0 => b"PROXY UNKNOWN 1 2 3\r\n".to_vec(),
            1 => binary(0x21, 0x00, &fields),
            _ => binary(0x20, random.pick(&[0x00, 0x11, 0x12]), &addresses(client)),
        };
        let is_cut = !is_honest && random.per_mille(200);
        let goal = if is_cut { random.between(0, bytes.len() - 1) } else { bytes.len() };
        Self { bytes, goal, is_good, is_named }
    }

    /// Whether the client's own bytes follow.
    pub(crate) fn is_whole(&self) -> bool {
        self.is_good && self.goal == self.bytes.len()
    }
}

/// Where a balancer's sockets come from; one that nobody trusts is among them.
pub(crate) fn host(random: &mut Random, is_honest: bool) -> IpAddr {
    match is_honest || random.per_mille(900) {
        true => IpAddr::from([10, 1, 0, random.pick(&[1, 2])]),
        false => IpAddr::from([10, 2, 0, 1]),
    }
}

fn line(client: SocketAddr) -> Vec<u8> {
    format!("PROXY TCP4 {} 10.9.9.9 {} 9527\r\n", client.ip(), client.port()).into()
}

fn addresses(client: SocketAddr) -> Vec<u8> {
    let SocketAddr::V4(client) = client else { panic!("clients have IPv4 addresses") };
    let ports = [client.port().to_be_bytes(), 9527_u16.to_be_bytes()].concat();
    [&client.ip().octets()[..], &[10, 9, 9, 9], &ports].concat()
}

/// A field of so many bytes in all, of a type that means nothing.
fn field(length: usize) -> Vec<u8> {
    let Some(inner) = length.checked_sub(3) else { return Vec::new() };
    let [high, low] = u16::try_from(inner).unwrap().to_be_bytes();
    let mut field = vec![0xe7, high, low];
    field.resize(length, b'f');
    field
}

fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &length, rest].concat()
}

/// What is no header, by its last byte at the latest.
fn bad(random: &mut Random, client: SocketAddr) -> Vec<u8> {
    let rest = addresses(client);
    match random.number() % 8 {
        0 => b"0123".to_vec(),
        1 => b"\x9ecsgn/1\n".to_vec(),
        2 => format!("PROXY TCP6 {} 10.9.9.9 1 2\r\n", client.ip()).into(),
        3 => [&b"PROXY UNKNOWN "[..], &[b'x'; 93]].concat(),
        4 => binary(0x21, 0x12, &rest),
        5 => binary(0x21, 0x21, &rest),
        6 => binary(0x22, 0x11, &rest),
        _ => binary(0x21, 0x11, &[rest, vec![0; REST_MAX]].concat()),
    }
}
