//! The states of a connection from accept to close, with the data of each.

use std::mem;

use crate::contract::close::CloseReason;
use crate::server::unauthenticated::UnauthenticatedId;

/// How much a peer may send after the end of our stream before the connection is closed, in units.
/// Packed, since that makes the state of a connection smaller.
#[derive(Debug, Clone, Copy)]
#[repr(Rust, packed)]
pub(in crate::server) struct LingerBudget(u16);

impl LingerBudget {
    /// The bytes of a unit.
    const UNIT: usize = 16;

    /// For a peer that has authenticated: 1 MiB.
    const AUTHENTICATED: Self = Self(u16::MAX);

    /// For a peer that has not: 4 KiB.
    const UNAUTHENTICATED: Self = Self(256);

    /// Subtracts what was read. Returns whether that was too much.
    pub(super) fn spend(&mut self, length: usize) -> bool {
        let units = u16::try_from(length.div_ceil(Self::UNIT)).unwrap_or(u16::MAX);
        self.0 = self.0.saturating_sub(units);
        self.0 == 0
    }
}

/// The state of a connection, with the data that only this state has. `T` is the service's state.
// It is matched and never compared: comparing two of them takes a hundred instructions. It has a
// tag of its own: without it, the type would be a byte smaller, which the padding of a connection's
// entry would use up; the tag would be part of a reason's, and distinguishing the variants would
// cost a message 20 instructions.
#[derive(Debug)]
#[repr(u8)]
pub(in crate::server) enum State<T> {
    /// The header of the load balancer, which comes before everything else, isn't complete.
    AwaitingProxyHeader(UnauthenticatedId),
    /// It is greeted later, and not read before. It may already have events: behind a load balancer
    /// it was read to find its source.
    Delayed { id: UnauthenticatedId, is_watched: bool },
    /// The peer has not authenticated yet.
    Handshake(UnauthenticatedId),
    /// Messages are answered.
    Open(T),
    /// Unsent output is still sent. Then our stream is ended; or the connection is closed
    /// `at_once`, if the peer has ended its own stream or has nothing to lose.
    Closing { auth: AuthStatus<T>, why: CloseReason, at_once: bool },
    /// Our stream is ended, and the end of the peer's is awaited: closing with unread input would
    /// reset the connection, which could destroy the last reply on its way. `left` is how much more
    /// is read.
    Lingering { auth: AuthStatus<T>, why: CloseReason, left: LingerBudget },
    /// It has ended, and is about to be removed.
    Closed,
}

/// Whether the peer of a connection that ends had authenticated, with the data of that state.
#[derive(Debug)]
pub(in crate::server) enum AuthStatus<T> {
    /// Its peer had not authenticated.
    Unauthenticated(UnauthenticatedId),
    /// Its peer had authenticated. There is no state if the service panicked when it opened the
    /// connection.
    Authenticated(Option<T>),
}

impl<T> State<T> {
    /// The id among the unauthenticated connections, of one whose peer has not authenticated.
    pub(in crate::server) fn unauthenticated(&self) -> Option<UnauthenticatedId> {
        match self {
            Self::AwaitingProxyHeader(id) | Self::Delayed { id, .. } | Self::Handshake(id) => {
                Some(*id)
            }
            Self::Closing { auth: AuthStatus::Unauthenticated(id), .. }
            | Self::Lingering { auth: AuthStatus::Unauthenticated(id), .. } => Some(*id),
            Self::Open(_) | Self::Closing { .. } | Self::Lingering { .. } | Self::Closed => None,
        }
    }

    /// Whether what arrives is processed: a handshake, or messages.
    pub(super) fn is_active(&self) -> bool {
        matches!(self, Self::Handshake(_) | Self::Open(_))
    }

    /// Why a connection ends, if it ends now. An earlier reason holds, except that a connection
    /// isn't finished before its peer has taken the last reply.
    pub(super) fn reason(&self, otherwise: CloseReason) -> CloseReason {
        match self {
            Self::Closing { why: CloseReason::Finished, .. } => otherwise,
            Self::Closing { why, .. } | Self::Lingering { why, .. } => *why,
            _ => otherwise,
        }
    }

    /// Begins to close, or goes on closing for another reason.
    pub(super) fn close(&mut self, why: CloseReason, at_once: bool) {
        *self = Self::Closing { auth: self.leave(), why, at_once };
    }

    /// Begins to wait for the end of the peer's stream.
    pub(super) fn linger(&mut self) {
        debug_assert!(matches!(self, Self::Closing { at_once: false, .. }), "it ends gracefully");
        let why = self.reason(CloseReason::Finished);
        let left = match self.unauthenticated() {
            Some(_) => LingerBudget::UNAUTHENTICATED,
            None => LingerBudget::AUTHENTICATED,
        };
        *self = Self::Lingering { auth: self.leave(), why, left };
    }

    /// Ends. Returns what it was.
    pub(in crate::server) fn leave(&mut self) -> AuthStatus<T> {
        match mem::replace(self, Self::Closed) {
            Self::AwaitingProxyHeader(id) | Self::Delayed { id, .. } | Self::Handshake(id) => {
                AuthStatus::Unauthenticated(id)
            }
            Self::Open(state) => AuthStatus::Authenticated(Some(state)),
            Self::Closing { auth, .. } | Self::Lingering { auth, .. } => auth,
            Self::Closed => {
                debug_assert!(false, "a connection ends once");
                AuthStatus::Authenticated(None)
            }
        }
    }
}
