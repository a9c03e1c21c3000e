//! What a peer can do wrong.

use std::fmt;

/// Why a peer was turned away: its fault, as a value.
///
/// Nothing that a peer sends is an error of ours, and nothing it sends can panic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// The proof is not that of any key.
    WrongProof,
    /// The stream ended inside the handshake or inside a message.
    Cut,
    /// A message is longer than [`Protocol::message_max`](super::protocol::Protocol::message_max).
    MessageTooLong,
    /// A length field holds what no length can be.
    BadLength,
    /// The handshake was not over at its deadline.
    HandshakeTimeout,
    /// A message was not whole at its deadline.
    MessageTimeout,
    /// Too many were waiting to be authenticated, and this one had waited longest.
    Crowded,
}

impl Refusal {
    /// A word for logs and counters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::WrongProof => "wrong-proof",
            Self::Cut => "cut",
            Self::MessageTooLong => "message-too-long",
            Self::BadLength => "bad-length",
            Self::HandshakeTimeout => "handshake-timeout",
            Self::MessageTimeout => "message-timeout",
            Self::Crowded => "crowded",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WrongProof => "the proof fits no key",
            Self::Cut => "the stream ended inside a handshake or a message",
            Self::MessageTooLong => "a message is longer than the limit",
            Self::BadLength => "a length field is malformed",
            Self::HandshakeTimeout => "the handshake took too long",
            Self::MessageTimeout => "a message took too long to arrive",
            Self::Crowded => "too many were waiting to be authenticated",
        })
    }
}

impl std::error::Error for Refusal {}
