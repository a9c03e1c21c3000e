//! Why a load can't begin.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::IpAddr;

use countersign::NoUsableKeyError;
use countersign::config::ConfigError;

use crate::plan::PlanError;

/// Why a [`Load`](crate::Load) can't begin.
#[derive(Debug)]
#[non_exhaustive]
pub enum LoadError {
    /// The plan can't be carried out.
    Plan(PlanError),
    /// There is no such configuration with room for the time stamp of a reply.
    Config(ConfigError),
    /// There is no key to sign with.
    NoUsableKey(NoUsableKeyError),
    /// Clients can't come from this address, which is not one of this machine.
    Source(IpAddr),
    /// The server's address is malformed ([`InvalidInput`](io::ErrorKind::InvalidInput)) or can't
    /// be resolved, or the system refuses what a loop needs.
    Io(io::Error),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plan(error) => error.fmt(f),
            Self::Config(error) => error.fmt(f),
            Self::NoUsableKey(error) => error.fmt(f),
            Self::Source(address) => {
                let what = "it isn't an address of this machine";
                write!(f, "clients can't use the source address {address}: {what}")
            }
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl Error for LoadError {
    /// Its text is that of the error inside, so this is what the error inside comes from.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Plan(error) => error.source(),
            Self::Config(error) => error.source(),
            Self::NoUsableKey(error) => error.source(),
            Self::Source(_) => None,
            Self::Io(error) => error.source(),
        }
    }
}

impl From<PlanError> for LoadError {
    fn from(error: PlanError) -> Self {
        Self::Plan(error)
    }
}

impl From<ConfigError> for LoadError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<NoUsableKeyError> for LoadError {
    fn from(error: NoUsableKeyError) -> Self {
        Self::NoUsableKey(error)
    }
}

impl From<io::Error> for LoadError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
