//! Why a connection ended.

use std::fmt;

use crate::proto::refusal::{ForeignProtocol, Refusal, RefusalCode};

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer ended the stream between two messages.
    Finished,
    /// The exchange that the protocol is for is over.
    Answered,
    /// The stream ended inside the handshake or inside a message.
    Truncated,
    /// The connection broke: a reset, or an error of the socket.
    Reset,
    /// The peer did what it must not do.
    Refused(Refusal),
    /// Nothing was said for [`Limits::idle_timeout`](super::limits::Limits::idle_timeout).
    IdleTimeout,
    /// The peer took nothing of what was written for
    /// [`Limits::write_timeout`](super::limits::Limits::write_timeout).
    WriteTimeout,
    /// The service's reply passed [`Limits::reply_max`](super::limits::Limits::reply_max).
    ReplyTooLong,
    /// All connections together buffered more than
    /// [`Limits::buffered_max`](super::limits::Limits::buffered_max) bytes, and this one had been
    /// blocked longest: its message was unfinished, or its peer took nothing.
    Overloaded,
    /// The service or its host program closed it.
    ClosedByService,
    /// The service panicked.
    Panicked,
    /// The server was told to stop.
    Stopped,
    /// The operating system gave no random bytes, or would not watch the socket.
    Unavailable,
    /// The peer's key has gone from the ring, has run out, or isn't for the same dialect and
    /// audience any more.
    Revoked,
    /// The connection was as old as
    /// [`Limits::session_age_max`](super::limits::Limits::session_age_max).
    SessionAge,
}

impl CloseReason {
    /// All reasons, in the order in which counters are shown. Strangers of every kind are one,
    /// and so are those who refuse us.
    pub const ALL: &[Self] = &[
        Self::Finished,
        Self::Reset,
        Self::Truncated,
        Self::Answered,
        Self::IdleTimeout,
        Self::WriteTimeout,
        Self::ReplyTooLong,
        Self::Overloaded,
        Self::ClosedByService,
        Self::Panicked,
        Self::Stopped,
        Self::Unavailable,
        Self::Revoked,
        Self::SessionAge,
        Self::Refused(Refusal::WrongProof),
        Self::Refused(Refusal::UnknownKey),
        Self::Refused(Refusal::WrongAudience),
        Self::Refused(Refusal::MessageTooLong),
        Self::Refused(Refusal::BadLength),
        Self::Refused(Refusal::Foreign(ForeignProtocol::Other)),
        Self::Refused(Refusal::Malformed),
        Self::Refused(Refusal::Version),
        Self::Refused(Refusal::Protection),
        Self::Refused(Refusal::OtherDigest),
        Self::Refused(Refusal::Reflected),
        Self::Refused(Refusal::BadRecord),
        Self::Refused(Refusal::Rejected(RefusalCode::Refused)),
        Self::Refused(Refusal::Unseeded),
        Self::Refused(Refusal::HandshakeTimeout),
        Self::Refused(Refusal::MessageTimeout),
        Self::Refused(Refusal::TooManyConnections),
        Self::Refused(Refusal::Throttled),
        Self::Refused(Refusal::Denied),
        Self::Refused(Refusal::ProxyHeader),
    ];

    /// A word for logs and counters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Answered => "answered",
            Self::Truncated => "truncated",
            Self::Reset => "reset",
            Self::Refused(refusal) => refusal.name(),
            Self::IdleTimeout => "idle-timeout",
            Self::WriteTimeout => "write-timeout",
            Self::ReplyTooLong => "reply-too-long",
            Self::Overloaded => "overloaded",
            Self::ClosedByService => "closed-by-service",
            Self::Panicked => "panicked",
            Self::Stopped => "stopped",
            Self::Unavailable => "unavailable",
            Self::Revoked => "revoked",
            Self::SessionAge => "session-age",
        }
    }

    /// Whether the peer was refused: it did what it must not do. Every other end is of nobody's
    /// making, or as it should be. Logs and metrics keep the two apart by this.
    #[must_use]
    pub fn is_refusal(self) -> bool {
        matches!(self, Self::Refused(_))
    }
}

impl CloseReason {
    /// Its place in [`ALL`](Self::ALL), where foreign protocols of all kinds are one reason, and so
    /// are all codes that a peer refuses with.
    pub(crate) fn index(self) -> Option<usize> {
        let listed = match self {
            Self::Refused(Refusal::Foreign(_)) => Refusal::Foreign(ForeignProtocol::Other).into(),
            Self::Refused(Refusal::Rejected(_)) => Refusal::Rejected(RefusalCode::Refused).into(),
            Self::Refused(refusal) => refusal.into(),
            other => other,
        };
        Self::ALL.iter().position(|reason| *reason == listed)
    }

    /// Whether the peer has failed to prove that it holds a key that it may use here. Whatever the
    /// reason is, it must come to the same, or the peer could tell which it is.
    pub(crate) fn is_failed_proof(self) -> bool {
        use Refusal::{UnknownKey, WrongAudience, WrongProof};
        matches!(self, Self::Refused(WrongProof | UnknownKey | WrongAudience))
    }

    /// Whether the peer is told good-bye: it has all that it was owed.
    pub(crate) fn is_orderly(self) -> bool {
        use CloseReason::{
            Answered, ClosedByService, Finished, IdleTimeout, Revoked, SessionAge, Stopped,
        };
        matches!(
            self,
            Answered | ClosedByService | Finished | IdleTimeout | Revoked | Stopped | SessionAge
        )
    }
}

impl From<Refusal> for CloseReason {
    fn from(refusal: Refusal) -> Self {
        if refusal == Refusal::Truncated { Self::Truncated } else { Self::Refused(refusal) }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(Refusal::Foreign(opening)) => write!(f, "{} ({opening})", self.name()),
            _ => f.write_str(self.name()),
        }
    }
}
