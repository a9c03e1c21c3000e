//! How far a connection is on its way from accept to the end.

use crate::contract::close::CloseReason;
use crate::server::timer::Timer;

/// How far a connection is on its way from accept to the end.
// It is matched and never compared: comparing two of them takes a hundred instructions.
#[derive(Debug, Clone, Copy)]
pub(in crate::server) enum Phase {
    /// The header by which a balancer says whose connection it is, in front of everything else,
    /// isn't whole.
    AwaitingProxyHeader,
    /// It is greeted later, and not read before. The system may tell of it already: it was read
    /// until it was known where it comes from.
    Delayed { is_watched: bool },
    /// The handshake goes on, and then messages are answered.
    Open,
    /// What was written is still sent; then comes our good-bye, or we hang up `at_once`: on a peer
    /// that has said its own, or one that has nothing to lose.
    Closing { why: CloseReason, at_once: bool },
    /// We have said good-bye, and wait for the peer's: hanging up on input that wasn't read would
    /// reset the connection and could destroy the last reply on its way.
    Lingering { why: CloseReason, left: u16 },
}

impl Phase {
    /// What a connection waits for that begins like this.
    pub(in crate::server) fn first_timer(self) -> Timer {
        match self {
            Self::Delayed { .. } => Timer::Delay,
            _ => Timer::Handshake,
        }
    }

    pub(super) fn is_open(self) -> bool {
        matches!(self, Self::Open)
    }

    /// Whether its peer was greeted.
    pub(super) fn is_greeted(self) -> bool {
        !matches!(self, Self::AwaitingProxyHeader | Self::Delayed { .. })
    }

    /// Why a connection ends, if it ends now. A reason that was found before holds, but nobody has
    /// finished who hasn't taken the last reply.
    pub(super) fn reason(self, otherwise: CloseReason) -> CloseReason {
        match self {
            Self::Closing { why: CloseReason::Finished, .. } => otherwise,
            Self::Closing { why, .. } | Self::Lingering { why, .. } => why,
            Self::AwaitingProxyHeader | Self::Delayed { .. } | Self::Open => otherwise,
        }
    }
}
