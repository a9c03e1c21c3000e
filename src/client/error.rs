//! Why a client has failed.

use std::fmt;
use std::io;

use countersign_proto::{
    Dialect, ForeignProtocol, Framing, KeyRing, NoUsableKeyError, Refusal, RefusalCode,
    SessionConfig,
};

use crate::address::AddressError;

/// Why a [`Client`](crate::Client) has failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientError {
    /// There is no key to sign with.
    NoUsableKey(NoUsableKeyError),
    /// There is no address to connect to: the text isn't one, or its name can't be resolved.
    Address(AddressError),
    /// The server can't be reached, or the connection broke.
    ///
    /// Before there is a connection, the kind of the error says what is wrong:
    /// [`NotFound`](io::ErrorKind::NotFound), the Unix socket isn't there;
    /// [`TimedOut`](io::ErrorKind::TimedOut), nothing answers at the address.
    Io(io::Error),
    /// The server didn't prove that it holds the key. Nothing was sent to it but our call.
    Unproven,
    /// The server refuses, with this reason. The reason is not authenticated.
    Rejected(RefusalCode),
    /// In `raw` and `hex`: the server ended the stream at once after our proof or the first
    /// message, without an answer.
    Refused,
    /// In `raw`, `hex` and `open`: the server ended the stream before it answered anything, but not
    /// because of the proof. Connecting again may help.
    Unanswered,
    /// The server ended the stream when an answer was due.
    Closed,
    /// The stream ended inside the handshake or inside a message, or without the close record
    /// that records end with.
    Truncated,
    /// The server ended the stream without an answer, as a server does whose ring is a clone of the
    /// client's; and this program has made such a server.
    SameRing,
    /// The server accepted the connection, but the handshake didn't finish in time.
    HandshakeTimeout(Dialect),
    /// The call didn't finish in time; [`Client::set_timeout`](crate::Client::set_timeout) says
    /// what may be called again.
    Timeout,
    /// The call can't succeed, because an earlier one has failed or has
    /// [finished](crate::Client::finish) the stream. Connect again.
    Over,
    /// The server violated the protocol.
    Server(Refusal),
    /// The framing can't carry such a message.
    Unsendable(Framing),
    /// The message is longer than this, which is the limit.
    TooLong(usize),
    /// The message is longer than the server accepts.
    TooLongForServer,
}

impl ClientError {
    /// The same error in the handshake, where a server of this program may have our ring.
    pub(super) fn in_handshake(self, config: &SessionConfig) -> Self {
        let dialect = config.dialect();
        let listens = || config.keys().is_some_and(KeyRing::listens);
        match self {
            Self::Timeout => Self::HandshakeTimeout(dialect),
            Self::Closed | Self::Truncated if dialect == Dialect::Countersign && listens() => {
                Self::SameRing
            }
            // If the server closes with unread input, its end is a reset: the same failure.
            Self::Io(error) if is_reset(&error) => Self::Truncated.in_handshake(config),
            other => other,
        }
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoUsableKey(_) => f.write_str("there is no key to sign with"),
            Self::Address(_) => f.write_str("cannot resolve the address"),
            Self::Io(_) => f.write_str("the connection failed"),
            Self::Unproven => f.write_str(
                "the server did not prove that it holds the key; do both ends have the same key \
                 under the same id, and is it valid there, for this audience?",
            ),
            Self::Rejected(reason) => write!(f, "the server refuses: {reason}"),
            Self::Refused => f.write_str(
                "the server closed the connection after the client's proof; do both ends have the \
                 same key, dialect and MAC, and does the server accept messages of this length?",
            ),
            Self::Unanswered => f.write_str(
                "the server closed the connection before it answered anything; was it idle for too \
                 long, do both ends have the same dialect and framing, and may this address \
                 connect there?",
            ),
            Self::Closed => f.write_str("the server closed the connection"),
            Self::Truncated => f.write_str(
                "the stream was truncated in the handshake or in a message, or lacks its \
                 close record; do both ends have the same dialect and framing, may this address \
                 connect without a load balancer, and has it failed to authenticate too often?",
            ),
            Self::SameRing => f.write_str(
                "the server closed the connection without a message; if the server is in this \
                 program, its key ring must not be a clone of the client's: read or parse the \
                 keys again for the client",
            ),
            Self::HandshakeTimeout(dialect) => {
                f.write_str("the handshake timed out; do both ends have the same dialect, ")?;
                if *dialect == Dialect::Multiprocessing {
                    f.write_str("does the Listener have an authkey, ")?;
                }
                f.write_str(
                    "or does the server delay this address after failed attempts to authenticate?",
                )
            }
            Self::Timeout => {
                f.write_str("timed out; do both ends have the same dialect and framing?")
            }
            Self::Over => f.write_str("the connection has ended or failed before; connect again"),
            Self::Server(Refusal::Foreign(ForeignProtocol::Raw)) => f.write_str(
                "the server begins with a challenge; it speaks raw or hex: use the same dialect",
            ),
            Self::Server(Refusal::Foreign(opening)) => {
                write!(f, "the server speaks {opening}: use the same dialect at both ends")
            }
            Self::Server(Refusal::Protection) => f.write_str(
                "the server does not protect messages as this client does; use the same protection \
                 at both ends",
            ),
            Self::Server(_) => {
                f.write_str("the server violated the protocol, or speaks another dialect")
            }
            Self::Unsendable(framing) => {
                write!(f, "the framing {framing} can't carry this message; length carries any")
            }
            Self::TooLong(limit) => {
                write!(f, "the message is longer than the limit, {limit} bytes")
            }
            Self::TooLongForServer => f.write_str(
                "the message is longer than the server accepts; raise its limit, or send less",
            ),
        }
    }
}

impl std::error::Error for ClientError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoUsableKey(error) => Some(error),
            Self::Address(error) => Some(error),
            Self::Io(error) => Some(error),
            // The text has the protocol of the server, or what differs, already.
            Self::Server(Refusal::Foreign(_) | Refusal::Protection) => None,
            Self::Server(refusal) => Some(refusal),
            _ => None,
        }
    }
}

impl From<Refusal> for ClientError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::WrongProof => Self::Unproven,
            Refusal::Rejected(reason) => Self::Rejected(reason),
            other => Self::Server(other),
        }
    }
}

impl From<AddressError> for ClientError {
    fn from(error: AddressError) -> Self {
        Self::Address(error)
    }
}

impl From<io::Error> for ClientError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<NoUsableKeyError> for ClientError {
    fn from(error: NoUsableKeyError) -> Self {
        Self::NoUsableKey(error)
    }
}

/// Whether the peer has broken the connection.
pub(super) fn is_reset(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset)
}
