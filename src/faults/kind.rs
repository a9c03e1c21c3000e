//! The kinds of faults.

use std::fmt;

/// A kind of fault: what a server does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FaultKind {
    /// A reply comes late.
    Delay,
    /// A reply is sent a few bytes at a time, with pauses.
    Drip,
    /// A reply is sent in pieces of random lengths, without pauses.
    Slice,
    /// The first part of a reply is sent, and the rest much later.
    Stall,
    /// The connection is reset in place of a reply.
    Reset,
    /// The connection is closed when a message has arrived, which the service doesn't get.
    CloseBefore,
    /// The connection is closed after a reply.
    CloseAfter,
    /// The first part of a reply is sent, and then the connection is closed.
    Truncate,
    /// One bit of a reply is flipped on the wire.
    Corrupt,
    /// A reply is not sent.
    Mute,
    /// The server answers so many messages a second, and the others wait.
    Rate,
    /// A new connection waits before the server sends or reads anything.
    AcceptDelay,
    /// The server answers the proof of a client late.
    HandshakeDelay,
    /// A new connection is closed at once.
    Refuse,
}

impl FaultKind {
    /// All kinds, in the order in which counters are shown.
    pub const ALL: &[Self] = &[
        Self::Delay,
        Self::Drip,
        Self::Slice,
        Self::Stall,
        Self::Reset,
        Self::CloseBefore,
        Self::CloseAfter,
        Self::Truncate,
        Self::Corrupt,
        Self::Mute,
        Self::Rate,
        Self::AcceptDelay,
        Self::HandshakeDelay,
        Self::Refuse,
    ];

    /// The verb for this kind in specifications and counters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Delay => "delay",
            Self::Drip => "drip",
            Self::Slice => "slice",
            Self::Stall => "stall",
            Self::Reset => "reset",
            Self::CloseBefore => "close-before",
            Self::CloseAfter => "close-after",
            Self::Truncate => "truncate",
            Self::Corrupt => "corrupt",
            Self::Mute => "mute",
            Self::Rate => "rate",
            Self::AcceptDelay => "accept-delay",
            Self::HandshakeDelay => "handshake-delay",
            Self::Refuse => "refuse",
        }
    }

    /// Its place in [`ALL`](Self::ALL).
    pub(crate) fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_stands_at_its_index() {
        for (index, kind) in (0..).zip(FaultKind::ALL) {
            assert_eq!(kind.index(), index, "{kind}");
        }
    }
}
