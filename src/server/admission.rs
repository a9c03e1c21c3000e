//! What becomes of a new connection.

use std::fmt;

use countersign_proto::Refusal;

/// What becomes of a new connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Its handshake begins at once.
    Accept,
    /// Its handshake begins when [`Limits::failure_delay`](crate::Limits::failure_delay) has
    /// passed: too many proofs from its network were wrong.
    Delay,
    /// It is closed, and this is why.
    Reject(Refusal),
}

impl Admission {
    /// The larger, the worse for the connection.
    pub(super) fn severity(self) -> u8 {
        match self {
            Self::Accept => 0,
            Self::Delay => 1,
            Self::Reject(_) => 2,
        }
    }
}

impl fmt::Display for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Accept => "accepted",
            Self::Delay => "delayed",
            Self::Reject(_) => "refused",
        })
    }
}
