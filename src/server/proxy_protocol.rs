//! The header of the PROXY protocol: where a connection really comes from.
//!
//! A load balancer sends it before the bytes of its client (The PROXY protocol, versions 1 and 2,
//! Willy Tarreau, 2020). Whether a load balancer is trusted is decided elsewhere.
//!
//! This module finds the length of a header, and limits it before any byte is kept; the crate
//! `proxy_header` parses the addresses. That crate has no limit for version 2, accepts more than
//! the limit of version 1 in one buffer, and waits for 15 bytes before it looks at the first. Here
//! the result is the same however the header was split, and is known at the first byte that decides
//! it.

use memchr::memchr;
use proxy_header::ParseConfig;

use crate::contract::peer::PeerAddress;

/// The longest header of version 1 (2.1), which is a line.
const LINE_MAX: usize = 107;

/// The front of version 2, which ends with a length.
const FRONT: usize = 16;

/// The longest header that is accepted. Addresses take 216 bytes at most, and the fields after them
/// (a name from TLS, an id, a certificate's name) a few hundred if a load balancer is configured to
/// send them all; the length field would allow 64 KiB.
pub(super) const HEADER_MAX: usize = 1024;

/// How headers begin. In version 2 the first byte after the signature says whether the connection
/// is the load balancer's own (2.2, `LOCAL`) or a client's, and the next one how the client
/// connected: unspecified, TCP over IPv4 or IPv6, or a Unix socket. Datagrams can't reach this
/// server.
const FRONTS: [&[u8]; 8] = [
    b"PROXY TCP4 ",
    b"PROXY TCP6 ",
    b"PROXY UNKNOWN",
    LOCAL,
    b"\r\n\r\n\0\r\nQUIT\n\x21\x00",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x21",
    UNIX,
];
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20";
const UNIX: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x31";

/// What a stream begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProxyHeader {
    /// The beginning of a header.
    Partial,
    /// A header of this many bytes.
    Whole {
        length: usize,
        /// The source of the connection; none if it is the load balancer's own, or unknown.
        source: Option<PeerAddress>,
    },
    /// Not a header, whatever follows.
    Malformed,
}

impl ProxyHeader {
    /// Parses the first bytes of a stream. More bytes don't change the result, unless it was
    /// `Partial`.
    pub(super) fn read(bytes: &[u8]) -> Self {
        let alike = |front: &&[u8]| front.iter().zip(bytes).all(|(one, other)| one == other);
        if !FRONTS.iter().any(alike) {
            return Self::Malformed;
        }
        let length = match bytes {
            [] => return Self::Partial,
            [b'P', ..] => line_length(bytes),
            _ => binary_length(bytes),
        };
        match length {
            Some(length) if length > HEADER_MAX => Self::Malformed,
            Some(length) => bytes.get(..length).map_or(Self::Partial, Self::of),
            None if bytes.len() >= LINE_MAX => Self::Malformed,
            None => Self::Partial,
        }
    }

    /// Parses a complete header.
    fn of(header: &[u8]) -> Self {
        let whole = |source| Self::Whole { length: header.len(), source };
        // Anything else in it must be ignored (2.2).
        if header.starts_with(LOCAL) {
            return whole(None);
        }
        let config = ParseConfig { include_tlvs: false, ..ParseConfig::default() };
        match proxy_header::ProxyHeader::parse(header, config) {
            Ok((parsed, length)) if length == header.len() => match parsed.proxied_address() {
                // Of streams alone: datagrams have other fronts.
                Some(way) => whole(Some(way.source.into())),
                None => whole(header.starts_with(UNIX).then_some(PeerAddress::Unix)),
            },
            _ => Self::Malformed,
        }
    }
}

/// The length of a header of version 1, if its end has arrived.
fn line_length(bytes: &[u8]) -> Option<usize> {
    memchr(b'\n', &bytes[..bytes.len().min(LINE_MAX)]).map(|end| end + 1)
}

/// The length of a header of version 2, if its length field has arrived.
fn binary_length(bytes: &[u8]) -> Option<usize> {
    let front: &[u8; FRONT] = bytes.first_chunk()?;
    Some(FRONT + usize::from(u16::from_be_bytes([front[14], front[15]])))
}

#[cfg(test)]
mod tests;
