//! The header of the PROXY protocol: where a connection really comes from.
//!
//! A balancer writes it in front of what its client says (The PROXY protocol, versions 1 and 2,
//! Willy Tarreau, 2020). Whether a balancer's word is taken at all is decided elsewhere.
//!
//! How far a header reaches is found out here, and bounded before a byte of it is kept; what its
//! addresses are, the crate `proxy_header` reads. That crate has no bound for version 2, lets
//! one buffer have more than the bound of version 1, and waits for 15 bytes before it looks at the
//! first. Here the answer is the same however the header was cut, and comes with the first byte
//! that tells.

use memchr::memchr;
use proxy_header::{ParseConfig, Protocol};

use crate::contract::peer::PeerAddress;

/// The longest header of version 1 (2.1), which is a line.
const LINE_MAX: usize = 107;

/// The front of version 2, which ends with a length.
const FRONT: usize = 16;

/// The longest header that is taken. Addresses take 216 bytes at most, and the fields behind them
/// (a name from TLS, an id, a certificate's name) a few hundred where a balancer is told to send
/// them all; the length itself could say 64 KiB.
pub(super) const HEADER_MAX: usize = 1024;

/// How headers begin. Version 2 says whose connection it is, the balancer's own (2.2, `LOCAL`) or
/// a client's, and then how that one came: in a way that isn't said, by TCP over either IP, or by
/// a Unix socket. Datagrams are nobody's way to here.
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

/// What the front of a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProxyHeader {
    /// A header so far, if more follows.
    Partial,
    /// A header of this many bytes.
    Whole {
        length: usize,
        /// The source of the connection; none if it is the load balancer's own, or unknown.
        source: Option<PeerAddress>,
    },
    /// No header, whatever follows.
    Malformed,
}

impl ProxyHeader {
    /// What the first bytes of a stream are. Of all that there are together, the front decides: it
    /// is no other answer when more have come, unless it was `Partial`.
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

    /// What a header is that has been cut out.
    fn of(header: &[u8]) -> Self {
        let whole = |source| Self::Whole { length: header.len(), source };
        // Whatever else stands there is to be ignored (2.2).
        if header.starts_with(LOCAL) {
            return whole(None);
        }
        let config = ParseConfig { include_tlvs: false, ..ParseConfig::default() };
        match proxy_header::ProxyHeader::parse(header, config) {
            Ok((parsed, length)) if length == header.len() => match parsed.proxied_address() {
                Some(way) if way.protocol == Protocol::Stream => whole(Some(way.source.into())),
                Some(_) => Self::Malformed,
                None => whole(header.starts_with(UNIX).then_some(PeerAddress::Unix)),
            },
            _ => Self::Malformed,
        }
    }
}

/// The length of a header of version 1, if its end is there.
fn line_length(bytes: &[u8]) -> Option<usize> {
    memchr(b'\n', &bytes[..bytes.len().min(LINE_MAX)]).map(|end| end + 1)
}

/// The length of a header of version 2, if it is said already.
fn binary_length(bytes: &[u8]) -> Option<usize> {
    let front: &[u8; FRONT] = bytes.first_chunk()?;
    Some(FRONT + usize::from(u16::from_be_bytes([front[14], front[15]])))
}

#[cfg(test)]
mod tests;
