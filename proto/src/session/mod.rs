//! One connection: a handshake and then a framing, without a socket.

mod challenge;
mod countersign;
mod ending;
pub(crate) mod event;
pub(crate) mod messages;
mod multiprocessing;
mod protected;
pub(crate) mod send;
pub(crate) mod session_core;
mod state;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Deref;
use core::time::Duration;

use crate::config::client::ClientConfig;
use crate::config::error::NoUsableKeyError;
use crate::config::server::ServerConfig;
use crate::config::session_config::SessionConfig;
use crate::handshake::CHALLENGE;
use crate::handshake::countersign::state::CountersignState;
use crate::keys::KeyRing;
use crate::keys::key::Credential;
use crate::refusal::Refusal;
use crate::session::event::{Event, Message};
use crate::session::session_core::SessionCore;
use crate::session::state::SessionState;

/// The protocol of one connection, at either end, without sockets, clock or randomness.
///
/// Call [`process`](Self::process) with what has arrived until it returns `None`, and then send
/// what it has appended to the output. Begin with an empty input, because in some dialects the
/// server sends first, and in others the client. [`send`](Self::send) and [`reply`](Self::reply)
/// append messages, [`finish`](Self::finish) says that none follows, and [`close`](Self::close)
/// refuses the peer. When the peer has ended its stream, call [`input_ended`](Self::input_ended).
/// Everything that these append is ready to be sent. Beside its keys and its configuration, a
/// session keeps the bytes of an incomplete frame, and nothing else.
///
/// ```
/// use core::time::Duration;
///
/// use countersign_proto::{Event, Key, KeyRing, RingSecrets, Session};
///
/// let key = Key::new("garden", b"sixteen bytes or more")?;
/// // This and the nonces come from the system's random source.
/// let ring = |random| KeyRing::new(RingSecrets::new(random)).with(key.clone());
/// let now = Duration::from_secs(1_796_000_000); // since 1970
///
/// let (mut to_client, mut to_server) = (Vec::new(), Vec::new());
/// let mut server = Session::server(ring([3; 48])?, [7; 32]);
/// let mut client = Session::client(ring([4; 48])?, now, [8; 32])?;
///
/// assert!(client.process(now, &mut &[][..], &mut to_server)?.is_none());
/// assert!(server.process(now, &mut &to_server[..], &mut to_client)?.is_none());
/// to_server.clear();
/// let opened = client.process(now, &mut &to_client[..], &mut to_server)?;
/// assert!(matches!(opened, Some(Event::Open(_))));
/// client.send(b"hello", &mut to_server)?;
/// client.finish(&mut to_server);
///
/// let (mut input, mut out) = (&to_server[..], Vec::new());
/// let opened = server.process(now, &mut input, &mut out)?;
/// assert!(matches!(opened, Some(Event::Open(opened)) if opened.key.unwrap().id() == "garden"));
/// let message = server.process(now, &mut input, &mut out)?;
/// assert!(matches!(message, Some(Event::Message(message)) if message.bytes == b"hello"));
/// let finished = server.process(now, &mut input, &mut out)?;
/// assert!(matches!(finished, Some(Event::Finished)));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Session {
    config: RoleConfig,
    core: SessionCore,
}

/// The configuration of a session, at either end.
#[derive(Debug)]
enum RoleConfig {
    Server(Arc<ServerConfig>),
    Client(Arc<ClientConfig>),
}

impl Deref for RoleConfig {
    type Target = SessionConfig;

    fn deref(&self) -> &SessionConfig {
        match self {
            Self::Server(config) => config,
            Self::Client(config) => config,
        }
    }
}

impl Session {
    /// The server's end.
    ///
    /// `nonce` is the challenge, where the dialect has one. It must come from the system's random
    /// source and be used for no other session.
    #[must_use]
    pub fn server(config: impl Into<Arc<ServerConfig>>, nonce: [u8; CHALLENGE]) -> Self {
        let config = config.into();
        Self { core: SessionCore::server(&config, nonce), config: RoleConfig::Server(config) }
    }

    /// The client's end.
    ///
    /// `nonce` makes the keys of the session unique, in `countersign/1`, and is the client's
    /// challenge in `multiprocessing`. It must come from the system's random source and be used for
    /// no other session.
    ///
    /// # Errors
    ///
    /// There is no key to sign with at this time since 1970: see [`ClientConfig::signing_key`].
    pub fn client(
        config: impl Into<Arc<ClientConfig>>,
        now: Duration,
        nonce: [u8; CHALLENGE],
    ) -> Result<Self, NoUsableKeyError> {
        let config = config.into();
        let core = SessionCore::client(&config, now, nonce)?;
        Ok(Self { core, config: RoleConfig::Client(config) })
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &SessionConfig {
        &self.config
    }

    /// Takes the next event from the front of the input, and appends what is to be sent for it to
    /// `out`. `None` means that all of the input was processed and more is needed. In a
    /// handshake, keys must be valid `now`: the time since 1970.
    ///
    /// Nothing after a proof is processed before the proof has been verified. Pass the rest of the
    /// input again: a batch of messages is verified once, and its messages are then returned one by
    /// one.
    ///
    /// # Errors
    ///
    /// The peer did something that it must not do. Send what was appended, which may tell it the
    /// reason, and close the connection: each later call returns the same refusal.
    pub fn process<'s, 'i: 's>(
        &'s mut self,
        now: Duration,
        input: &mut &'i [u8],
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'s>>, Refusal> {
        let Self { config, core } = self;
        core.forget_delivered();
        if let SessionState::Countersign(CountersignState::AwaitingAccept(_)) = core.state
            && !core.take_accept(input).map_err(|why| core.fail(why))?
        {
            return Ok(None);
        }
        if let SessionState::Protected(protected) = &mut core.state {
            // The server's acceptance may have been buffered here.
            if protected.batch == 0 {
                core.partial.release();
            }
            let start = out.len();
            let event = protected.next(&mut core.partial, config, input, out);
            protected.records.seal_appended(out, start);
            return event;
        }
        // Of all else that is appended, only the acceptance is a record, and it is already sealed.
        core.next(config, now, input, out)
    }

    /// Tells the session that the peer has ended its stream. Returns the last message, if the end
    /// of the stream was its end. A connection that was reset has not ended its stream: drop its
    /// session instead, or without records a part of a message may look whole.
    ///
    /// # Errors
    ///
    /// As for [`SessionCore::input_ended`].
    pub fn input_ended(&mut self) -> Result<Option<Message<'_>>, Refusal> {
        self.core.input_ended(&self.config)
    }

    /// Whether [`process`](Self::process) has an event to return or something to send, although
    /// nothing more has arrived.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.core.is_due()
    }

    /// Whether the peer accepts a message of this length, as far as is known.
    #[must_use]
    pub fn takes(&self, length: usize) -> bool {
        self.core.takes(length)
    }

    /// Whether part of a message, or of the handshake, has arrived.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.core.is_partial()
    }

    /// The bytes of memory that buffered input takes.
    #[must_use]
    pub fn bytes_buffered(&self) -> usize {
        self.core.bytes_buffered()
    }

    /// The session without its configuration, for a loop that keeps that elsewhere. It no longer
    /// seals what it appends: see [`SessionCore::seal`].
    #[must_use]
    pub fn into_core(self) -> SessionCore {
        self.core
    }

    /// At a server, what the peer has authenticated with.
    #[must_use]
    pub fn credential(&self) -> Option<Credential> {
        self.core.credential()
    }

    /// At a server, whether the peer could no longer authenticate as it did with this ring, which
    /// is the session's, or has [replaced](KeyRing::inherit) it: the key was removed, has expired
    /// by now, has another secret, or is no longer for the same dialect and audience.
    #[must_use]
    pub fn is_revoked(&self, ring: &KeyRing, now: Duration) -> bool {
        self.credential().is_some_and(|credential| ring.accepted(credential, now).is_none())
    }
}

#[cfg(test)]
mod tests;
