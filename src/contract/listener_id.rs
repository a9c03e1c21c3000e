//! The id of a listener.

use std::error::Error;
use std::fmt;

/// Identifies a listener of a server.
///
/// [`Listener::id`](crate::Listener::id) returns it, and [`Peer::listener`](crate::Peer::listener)
/// tells a service which listener a peer connected to. It is the listener's place among those of
/// its server, so servers that were given the same listeners in the same order, such as one on each
/// of several threads, share their ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenerId(u8);

impl ListenerId {
    /// The first listener of a server.
    pub(crate) const FIRST: Self = Self(0);

    /// The most listeners that a server can have.
    pub(crate) const COUNT_MAX: usize = 1 << u8::BITS;

    /// The listener at this place, from 0.
    pub(crate) fn at(place: usize) -> Result<Self, TooManyListenersError> {
        u8::try_from(place).map(Self).map_err(|_| TooManyListenersError)
    }

    /// The listener's place among those of its server, from 0: an index into
    /// [`Server::listeners`](crate::Server::listeners), or into a table of yours.
    #[must_use]
    pub fn index(self) -> usize {
        self.0.into()
    }
}

impl From<ListenerId> for usize {
    fn from(id: ListenerId) -> Self {
        id.index()
    }
}

/// The error for a [`ListenerId`] of another server: this one has fewer listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownListenerError(pub(crate) ListenerId);

impl fmt::Display for UnknownListenerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server has no listener {}; use an id that it returned", self.0.index())
    }
}

impl Error for UnknownListenerError {}

/// The error for more listeners than the 256 that a server can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyListenersError;

impl fmt::Display for TooManyListenersError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a server has at most {} listeners", ListenerId::COUNT_MAX)
    }
}

impl Error for TooManyListenersError {}
