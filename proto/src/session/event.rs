//! The events of a session.

use crate::dialect::Dialect;
use crate::framing::FrameFormat;
use crate::handshake::countersign::schedule::Exporter;
use crate::keys::key::Key;

/// An event of a [`Session`](super::Session): what [`process`](super::Session::process) has found.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'s> {
    /// The handshake is over.
    Open(Opened<'s>),
    /// A message has arrived.
    Message(Message<'s>),
    /// A record has arrived that isn't a message: a ping, whose answer was appended, or a pong.
    Control,
    /// The peer has sent its close record: no message follows. Send what is due and your own
    /// ([`Session::finish`](super::Session::finish)), and close.
    Finished,
    /// The [exchange](crate::Exchange) of the configuration is complete: send what is due, and
    /// close.
    End,
}

/// The result of a handshake.
#[derive(Debug)]
#[non_exhaustive]
pub struct Opened<'s> {
    /// At a server, the key that the peer holds; at a client, its own. None in the dialect `open`.
    pub key: Option<&'s Key>,
    /// The dialect of the handshake.
    pub dialect: Dialect,
    /// The format of messages that aren't replies.
    pub form: FrameFormat,
    /// Whether messages are protected by records.
    pub is_protected: bool,
    /// Whether messages are also encrypted.
    pub is_sealed: bool,
    /// Derives secrets for the host program; only in `countersign/1`.
    pub exporter: Option<Exporter>,
}

/// A message that has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'s> {
    /// Its bytes, without its frame.
    pub bytes: &'s [u8],
    /// The format of a reply to it.
    pub form: FrameFormat,
}
