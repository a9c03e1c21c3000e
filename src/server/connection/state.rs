//! How far a connection is on its way from accept to the end, and what it has at each point.

use std::mem;

use crate::contract::close::CloseReason;
use crate::server::unauthenticated::UnauthenticatedId;

/// How much a peer may go on to say after our good-bye before we hang up, in units. Packed, it can
/// stand anywhere in the state of a connection, which is smaller for it.
#[derive(Debug, Clone, Copy)]
#[repr(Rust, packed)]
pub(in crate::server) struct LingerBudget(u16);

impl LingerBudget {
    /// What is counted as one.
    const UNIT: usize = 16;

    /// Of a peer that has authenticated: 1 MiB.
    const AUTHENTICATED: Self = Self(u16::MAX);

    /// Of one that has not: 4 KiB.
    const UNAUTHENTICATED: Self = Self(256);

    /// Takes what was read off. Returns whether that was too much.
    pub(super) fn spend(&mut self, length: usize) -> bool {
        let units = u16::try_from(length.div_ceil(Self::UNIT)).unwrap_or(u16::MAX);
        self.0 = self.0.saturating_sub(units);
        self.0 == 0
    }
}

/// How far a connection is, with what it has at that point alone. `T` is the service's state.
// It is matched and never compared: comparing two of them takes a hundred instructions. With a tag
// of its own: in a byte smaller, which a connection's entry would pad, the tag would lie in a
// reason's, and to tell the variants apart would cost a message 20 instructions.
#[derive(Debug)]
#[repr(u8)]
pub(in crate::server) enum State<T> {
    /// The header by which a balancer says whose connection it is, in front of everything else,
    /// isn't whole.
    AwaitingProxyHeader(UnauthenticatedId),
    /// It is greeted later, and not read before. The system may tell of it already: it was read
    /// until it was known where it comes from.
    Delayed { id: UnauthenticatedId, is_watched: bool },
    /// The peer has not authenticated yet.
    Handshake(UnauthenticatedId),
    /// Messages are answered.
    Open(T),
    /// What was written is still sent; then comes our good-bye, or we hang up `at_once`: on a peer
    /// that has said its own, or one that has nothing to lose.
    Closing { former: Former<T>, why: CloseReason, at_once: bool },
    /// We have said good-bye, and wait for the peer's: hanging up on input that wasn't read would
    /// reset the connection and could destroy the last reply on its way. So much more of it is
    /// read.
    Lingering { former: Former<T>, why: CloseReason, left: LingerBudget },
    /// It is over, and about to be removed.
    Closed,
}

/// What a connection that ends was before.
#[derive(Debug)]
pub(in crate::server) enum Former<T> {
    /// Its peer had not authenticated.
    Unauthenticated(UnauthenticatedId),
    /// Its peer had authenticated. The service has no state of it where it panicked as it opened
    /// the connection.
    Authenticated(Option<T>),
}

impl<T> State<T> {
    /// The id among the unauthenticated connections, of one whose peer has not authenticated.
    pub(in crate::server) fn unauthenticated(&self) -> Option<UnauthenticatedId> {
        match self {
            Self::AwaitingProxyHeader(id) | Self::Delayed { id, .. } | Self::Handshake(id) => {
                Some(*id)
            }
            Self::Closing { former: Former::Unauthenticated(id), .. }
            | Self::Lingering { former: Former::Unauthenticated(id), .. } => Some(*id),
            Self::Open(_) | Self::Closing { .. } | Self::Lingering { .. } | Self::Closed => None,
        }
    }

    /// Whether what arrives is processed: a handshake, or messages.
    pub(super) fn is_active(&self) -> bool {
        matches!(self, Self::Handshake(_) | Self::Open(_))
    }

    /// Why a connection ends, if it ends now. A reason that was found before holds, but nobody has
    /// finished who hasn't taken the last reply.
    pub(super) fn reason(&self, otherwise: CloseReason) -> CloseReason {
        match self {
            Self::Closing { why: CloseReason::Finished, .. } => otherwise,
            Self::Closing { why, .. } | Self::Lingering { why, .. } => *why,
            _ => otherwise,
        }
    }

    /// Begins to close, or goes on closing for another reason.
    pub(super) fn close(&mut self, why: CloseReason, at_once: bool) {
        *self = Self::Closing { former: self.leave(), why, at_once };
    }

    /// Goes on from closing to waiting for the peer's good-bye.
    pub(super) fn linger(&mut self) {
        debug_assert!(matches!(self, Self::Closing { at_once: false, .. }), "it is owed a word");
        let why = self.reason(CloseReason::Finished);
        let left = match self.unauthenticated() {
            Some(_) => LingerBudget::UNAUTHENTICATED,
            None => LingerBudget::AUTHENTICATED,
        };
        *self = Self::Lingering { former: self.leave(), why, left };
    }

    /// Ends. Says what it was.
    pub(in crate::server) fn leave(&mut self) -> Former<T> {
        match mem::replace(self, Self::Closed) {
            Self::AwaitingProxyHeader(id) | Self::Delayed { id, .. } | Self::Handshake(id) => {
                Former::Unauthenticated(id)
            }
            Self::Open(state) => Former::Authenticated(Some(state)),
            Self::Closing { former, .. } | Self::Lingering { former, .. } => former,
            Self::Closed => {
                debug_assert!(false, "a connection ends once");
                Former::Authenticated(None)
            }
        }
    }
}
