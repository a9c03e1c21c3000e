//! Whether a new connection is accepted, delayed or rejected.

use std::fmt;

use countersign_proto::Refusal;

/// Whether a new connection is accepted, delayed or rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Its handshake begins at once.
    Accept,
    /// Its handshake begins when [`Limits::failure_delay`](crate::Limits::failure_delay) has
    /// passed: too many proofs from its network were wrong.
    Delay,
    /// It is closed for this reason.
    Reject(Refusal),
}

impl Admission {
    /// How much an admission hinders the connection: more with larger numbers.
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
