//! Why a server could not be made.

use std::error::Error;
use std::fmt;
use std::io;

use countersign_proto::NoUsableKeyError;

use crate::address::{Address, AddressError};
use crate::contract::listener_id::TooManyListenersError;

/// The error for a server that could not be made: an address that could not be bound, or a listener
/// that could not be used.
///
/// Its text says what failed, and its [source](Error::source) why, with the remedy where there is
/// one. Neither repeats the other.
#[derive(Debug)]
#[non_exhaustive]
pub enum BindError {
    /// There is no address: the text isn't one, or its name can't be resolved.
    Lookup(AddressError),
    /// The address can't be bound.
    Address(Address, io::Error),
    /// The socket that was handed over is not one that listens for streams, or the system refuses
    /// an option of it.
    Socket(io::Error),
    /// The dialect of a listener needs a key, and none of its keys can be used now.
    NoUsableKey(NoUsableKeyError),
    /// There are too many listeners.
    TooManyListeners(TooManyListenersError),
    /// The system refuses something else that a server needs: random bytes, or a poll.
    System(io::Error),
}

impl BindError {
    /// The system's error that caused this one, if there is one. Its [kind](io::Error::kind)
    /// distinguishes a port in use, which may be free again soon, from errors that persist.
    #[must_use]
    pub fn io_error(&self) -> Option<&io::Error> {
        match self {
            Self::Lookup(error) => error.io_error(),
            Self::Address(_, error) | Self::Socket(error) | Self::System(error) => Some(error),
            Self::NoUsableKey(_) | Self::TooManyListeners(_) => None,
        }
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lookup(_) => f.write_str("cannot resolve the address"),
            Self::Address(address, _) => write!(f, "cannot bind {address}"),
            Self::Socket(_) => f.write_str("cannot listen with the socket"),
            Self::NoUsableKey(error) => error.fmt(f),
            Self::TooManyListeners(error) => error.fmt(f),
            Self::System(_) => f.write_str("cannot make a server"),
        }
    }
}

impl Error for BindError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Lookup(error) => Some(error),
            other => other.io_error().map(|error| error as &(dyn Error + 'static)),
        }
    }
}

impl From<AddressError> for BindError {
    fn from(error: AddressError) -> Self {
        Self::Lookup(error)
    }
}

impl From<NoUsableKeyError> for BindError {
    fn from(error: NoUsableKeyError) -> Self {
        Self::NoUsableKey(error)
    }
}

impl From<TooManyListenersError> for BindError {
    fn from(error: TooManyListenersError) -> Self {
        Self::TooManyListeners(error)
    }
}

/// An error that isn't about an address.
impl From<io::Error> for BindError {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}
