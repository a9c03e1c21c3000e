//! What a session tells of.

use crate::dialect::Dialect;
use crate::framing::FrameFormat;
use crate::handshake::countersign::schedule::Exporter;
use crate::keys::key::Key;

/// What [`Session::process`](super::Session::process) found.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'s> {
    /// The handshake is over.
    Open(Opened<'s>),
    /// A message has arrived.
    Message(Message<'s>),
    /// A record has arrived that isn't a message: a ping, whose answer was appended, or a pong.
    Control,
    /// The peer has said that no message follows. Send what is due, say good-bye, and close.
    Finished,
    /// The exchange that the protocol is for is over: send what is due, and close.
    End,
}

/// What a handshake has come to.
#[derive(Debug)]
#[non_exhaustive]
pub struct Opened<'s> {
    /// As a server, the key that the peer has proved; as a client, the one that we have. `open`
    /// has none.
    pub key: Option<&'s Key>,
    /// The dialect that was spoken.
    pub dialect: Dialect,
    /// How to frame messages that aren't replies.
    pub form: FrameFormat,
    /// Whether each message is protected.
    pub is_protected: bool,
    /// Whether each message is encrypted, too.
    pub is_sealed: bool,
    /// What secrets for the host program derive from; `countersign/1` alone has it.
    pub exporter: Option<Exporter>,
}

/// A message that has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'s> {
    /// Its bytes, without what framed it.
    pub bytes: &'s [u8],
    /// How a reply to it is framed.
    pub form: FrameFormat,
}
