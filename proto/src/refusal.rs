//! What a peer can do wrong.

use core::fmt;

use crate::handshake::countersign::frame::MAGIC;
use crate::keys::key::MD5_TAG;

/// Why a peer was rejected: its fault, as a value.
///
/// What a peer sends is never an error of this library, and never causes a panic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// The proof matches no key, or not the key that was named.
    WrongProof,
    /// The ring has no valid key with this id for the dialect.
    UnknownKey,
    /// The peer asks for an audience that isn't served here, or that its key isn't for.
    WrongAudience,
    /// The stream ended inside the handshake or inside a message, or without the close record.
    Truncated,
    /// A message is longer than the [limit](crate::SessionConfig::message_max).
    MessageTooLong,
    /// A length field is invalid.
    BadLength,
    /// The peer speaks another protocol.
    Foreign(ForeignProtocol),
    /// A part of the handshake is malformed.
    Malformed,
    /// The peer and we support no common version.
    Version,
    /// The ends do not agree on records, or on sealing them.
    Protection,
    /// The peer signs with another digest than is accepted here, or in `multiprocessing` asks for
    /// one. In `raw` and `hex`, its proof is as long as an HMAC-MD5. Pythons up to 3.11 know MD5
    /// alone.
    OtherDigest,
    /// The peer has sent our own challenge back, or is this end itself.
    Reflected,
    /// A record is malformed, or not the next one: it was forged, repeated or reordered.
    BadRecord,
    /// The other end has refused with this reason, which is not authenticated.
    Rejected(RefusalCode),
    /// The handshake was not over at its deadline.
    HandshakeTimeout,
    /// A message was not complete at its deadline.
    MessageTimeout,
    /// Too many connections had not authenticated, and this one was the oldest.
    TooManyConnections,
    /// Too many failed proofs came from the peer's network.
    Throttled,
    /// Its address is not allowed to connect (`Access`), or isn't that of a load balancer where all
    /// connections must come through one.
    Denied,
    /// The connection doesn't begin with a header of the PROXY protocol, where one is required.
    ProxyHeader,
}

/// The reason of a refusal, as a byte on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusalCode {
    /// No version in common.
    Version,
    /// Refused because of the key or the options; the code doesn't say which.
    Refused,
    /// Busy, or about to stop: try again later.
    Busy,
    /// The handshake was malformed.
    Malformed,
    /// The handshake took too long.
    TimedOut,
    /// A code that is unknown here.
    Other(u8),
}

/// The protocol that a peer speaks instead of ours, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ForeignProtocol {
    /// A TLS client hello.
    Tls,
    /// An HTTP request.
    Http,
    /// A header of the PROXY protocol, where none is expected.
    Proxy,
    /// The length with which Python's `multiprocessing` begins.
    Multiprocessing,
    /// A hello of `countersign/1`.
    Countersign,
    /// Hexadecimal digits, as a proof of `hex`.
    Hex,
    /// Bytes that are as long as a proof of `raw`, where one of `hex` is awaited.
    Raw,
    /// None of these.
    Other,
}

impl Refusal {
    /// The name in logs and counters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::WrongProof => "wrong-proof",
            Self::UnknownKey => "unknown-key",
            Self::WrongAudience => "wrong-audience",
            Self::Truncated => "truncated",
            Self::MessageTooLong => "message-too-long",
            Self::BadLength => "bad-length",
            Self::Foreign(_) => "foreign",
            Self::Malformed => "malformed",
            Self::Version => "version",
            Self::Protection => "protection",
            Self::OtherDigest => "other-digest",
            Self::Reflected => "reflected",
            Self::BadRecord => "bad-record",
            Self::Rejected(_) => "rejected",
            Self::HandshakeTimeout => "handshake-timeout",
            Self::MessageTimeout => "message-timeout",
            Self::TooManyConnections => "too-many-connections",
            Self::Throttled => "throttled",
            Self::Denied => "denied",
            Self::ProxyHeader => "proxy-header",
        }
    }

    /// The code that the peer is sent, if there is one. All reasons that have to do with the key
    /// have the same code.
    #[must_use]
    pub fn code(self) -> Option<RefusalCode> {
        match self {
            Self::WrongProof | Self::UnknownKey | Self::WrongAudience | Self::Protection => {
                Some(RefusalCode::Refused)
            }
            Self::Version => Some(RefusalCode::Version),
            Self::Malformed => Some(RefusalCode::Malformed),
            Self::HandshakeTimeout => Some(RefusalCode::TimedOut),
            Self::TooManyConnections => Some(RefusalCode::Busy),
            _ => None,
        }
    }
}

impl RefusalCode {
    pub(crate) fn to_byte(self) -> u8 {
        match self {
            Self::Version => 1,
            Self::Refused => 2,
            Self::Busy => 3,
            Self::Malformed => 4,
            Self::TimedOut => 5,
            Self::Other(code) => code,
        }
    }

    pub(crate) fn from_byte(code: u8) -> Self {
        let known = [Self::Version, Self::Refused, Self::Busy, Self::Malformed, Self::TimedOut];
        known.into_iter().find(|known| known.to_byte() == code).unwrap_or(Self::Other(code))
    }
}

impl ForeignProtocol {
    /// The protocol of a stream that begins with these bytes.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        const HTTP: [&[u8]; 6] = [b"GET ", b"HEAD ", b"POST ", b"PUT ", b"OPTIONS ", b"PRI * "];
        const PROXY: [&[u8]; 2] = [b"PROXY ", b"\r\n\r\n\0\r\nQUIT\n"];
        let begins = |known: &&[u8]| bytes.starts_with(known);
        match bytes {
            // A record of at most 16 KiB with a client hello. A proof may begin with the first two
            // bytes of that, but hardly with all of them.
            [0x16, 3, 0..=4, 0..=0x40, _, 1, ..] => Self::Tls,
            // Its handshake has messages of 1 to 256 bytes.
            [0, 0, 0, 1..=0xff, ..] | [0, 0, 1, 0, ..] => Self::Multiprocessing,
            _ if bytes.starts_with(&MAGIC) => Self::Countersign,
            _ if bytes.len() >= MD5_TAG && is_hex(bytes) => Self::Hex,
            _ if HTTP.iter().any(begins) => Self::Http,
            _ if PROXY.iter().any(begins) => Self::Proxy,
            _ => Self::Other,
        }
    }
}

/// Whether bytes are lower-case hexadecimal digits, as a proof of `hex` is. Takes as long for each
/// wrong proof, so that this need not be told apart from a comparison that ends early.
pub(crate) fn is_hex(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |is_hex, byte| is_hex & matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WrongProof => "the proof matches no key",
            Self::UnknownKey => "there is no valid key with this id",
            Self::WrongAudience => "the audience is another service",
            Self::Truncated => "the stream was truncated",
            Self::MessageTooLong => "a message is longer than the limit",
            Self::BadLength => "a length field is malformed",
            Self::Foreign(opening) => return write!(f, "the peer speaks {opening}"),
            Self::Malformed => "the handshake is malformed",
            Self::Version => "no version in common",
            Self::Protection => "the ends do not agree on records, or on sealing them",
            Self::OtherDigest => {
                "it uses another digest than SHA-256, as Python up to 3.11 does, which is not \
                 accepted here"
            }
            Self::Reflected => "it reflected our own challenge; are you connecting to yourself?",
            Self::BadRecord => "a record is forged, repeated or out of order",
            Self::Rejected(reason) => return write!(f, "the other end refuses: {reason}"),
            Self::HandshakeTimeout => "the handshake took too long",
            Self::MessageTimeout => "a message took too long to arrive",
            Self::TooManyConnections => "too many connections had not authenticated",
            Self::Throttled => "too many failed proofs came from its network",
            Self::Denied => "its address is not allowed to connect",
            Self::ProxyHeader => "it does not begin with a PROXY header",
        })
    }
}

impl fmt::Display for RefusalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Version => "it supports none of our versions",
            Self::Refused => {
                "it does not accept this key for this service with these options; compare the \
                 keys, the audience and the records of both ends"
            }
            Self::Busy => "it is busy or stopping",
            Self::Malformed => "it considers our handshake malformed",
            Self::TimedOut => "our handshake took too long",
            Self::Other(code) => return write!(f, "unknown reason {code}"),
        })
    }
}

impl fmt::Display for ForeignProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls => "TLS",
            Self::Http => "HTTP",
            Self::Proxy => "the PROXY protocol",
            Self::Multiprocessing => "Python's multiprocessing",
            Self::Countersign => "countersign/1",
            Self::Hex => "the dialect hex",
            Self::Raw => "the dialect raw",
            Self::Other => "another protocol",
        })
    }
}

impl core::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT_HELLO: [u8; 9] = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc];

    fn is_tls(bytes: &[u8]) -> bool {
        ForeignProtocol::of(bytes) == ForeignProtocol::Tls
    }

    #[test]
    fn one_proof_in_a_billion_looks_like_tls() {
        assert!(is_tls(&CLIENT_HELLO) && is_tls(&CLIENT_HELLO[..6]));
        assert!(!is_tls(&CLIENT_HELLO[..5]), "a client of TLS sends all of it at once");
        let fits = |at: usize| {
            let with = |byte: u8| {
                let mut bytes = CLIENT_HELLO;
                bytes[at] = byte;
                bytes
            };
            (0..=u8::MAX).filter(|byte| is_tls(&with(*byte))).count()
        };
        let all: usize = (0..CLIENT_HELLO.len()).map(fits).product();
        assert!((1_usize << 56) / (all >> 16) > 1_000_000_000, "{all} of 2^72");
    }
}
