//! Why a connection ended.

use std::fmt;

use countersign_proto::{ForeignProtocol, Refusal, RefusalCode};

/// The reason why a connection ended, as services, logs and counters report it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer ended the stream between two messages.
    Finished,
    /// The only exchange that the listener is configured for is complete, or the handshake alone.
    Answered,
    /// The stream ended inside the handshake or inside a message.
    Truncated,
    /// The connection was reset, or the socket failed.
    Reset,
    /// The peer did something that it must not do.
    Refused(Refusal),
    /// The peer sent nothing for [`Limits::idle_timeout`](super::limits::Limits::idle_timeout).
    IdleTimeout,
    /// The peer read nothing of what was sent for
    /// [`Limits::write_timeout`](super::limits::Limits::write_timeout).
    WriteTimeout,
    /// The service's reply exceeded [`Limits::reply_max`](super::limits::Limits::reply_max).
    ReplyTooLong,
    /// The service's reply can't be sent in the connection's framing: a line with a line feed
    /// inside.
    ReplyUnsendable,
    /// All connections together buffered more than
    /// [`Limits::buffered_max`](super::limits::Limits::buffered_max) bytes, and this one had been
    /// blocked longest, with an unfinished message or an unsent reply.
    Overloaded,
    /// The service or its host program closed it.
    ClosedByService,
    /// The service panicked.
    Panicked,
    /// The server was told to stop.
    Stopped,
    /// The operating system gave no random bytes, or could not watch the socket.
    Unavailable,
    /// The peer's key was removed from the ring, has expired, or no longer serves the dialect and
    /// audience of the connection.
    Revoked,
    /// The connection was as old as
    /// [`Limits::session_age_max`](super::limits::Limits::session_age_max).
    SessionAge,
    /// The server was to close it for the test of a client: see
    /// [`Faults`](crate::faults::Faults).
    InjectedFault,
}

impl CloseReason {
    /// All reasons, in the order in which counters are shown. All foreign protocols are one reason,
    /// and so are all refusals by the peer.
    pub const ALL: &[Self] = &[
        Self::Finished,
        Self::Reset,
        Self::Truncated,
        Self::Answered,
        Self::IdleTimeout,
        Self::WriteTimeout,
        Self::ReplyTooLong,
        Self::ReplyUnsendable,
        Self::Overloaded,
        Self::ClosedByService,
        Self::Panicked,
        Self::Stopped,
        Self::Unavailable,
        Self::Revoked,
        Self::SessionAge,
        Self::InjectedFault,
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
        Self::Refused(Refusal::HandshakeTimeout),
        Self::Refused(Refusal::MessageTimeout),
        Self::Refused(Refusal::TooManyConnections),
        Self::Refused(Refusal::Throttled),
        Self::Refused(Refusal::Denied),
        Self::Refused(Refusal::ProxyHeader),
    ];

    /// The word for this reason in logs and counters.
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
            Self::ReplyUnsendable => "reply-unsendable",
            Self::Overloaded => "overloaded",
            Self::ClosedByService => "closed-by-service",
            Self::Panicked => "panicked",
            Self::Stopped => "stopped",
            Self::Unavailable => "unavailable",
            Self::Revoked => "revoked",
            Self::SessionAge => "session-age",
            Self::InjectedFault => "injected-fault",
        }
    }

    /// Whether the peer was refused because it did something that it must not do. All other reasons
    /// are not its fault, or are normal. Logs and metrics distinguish the two.
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

    /// Whether the peer failed to prove that it holds a key that it may use here. All these reasons
    /// must have the same effect, or the peer could tell which one it is.
    pub(crate) fn is_failed_proof(self) -> bool {
        use Refusal::{UnknownKey, WrongAudience, WrongProof};
        matches!(self, Self::Refused(WrongProof | UnknownKey | WrongAudience))
    }

    /// Whether the peer is sent a close message: it has received everything that was due.
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
