//! A session without its configuration.

use alloc::vec::Vec;
use core::time::Duration;

use crate::config::client::ClientConfig;
use crate::config::error::NoUsableKeyError;
use crate::config::server::ServerConfig;
use crate::config::session_config::SessionConfig;
use crate::dialect::Dialect;
use crate::framing::FrameFormat;
use crate::handshake::countersign::server;
use crate::handshake::countersign::state::CountersignState;
use crate::handshake::multiprocessing::{MultiprocessingState, Retained, write_challenge};
use crate::handshake::{CHALLENGE, ChallengeState};
use crate::keys::key::Credential;
use crate::partial_frame::PartialFrame;
use crate::records::SealError;
use crate::refusal::Refusal;
use crate::role::Role;
use crate::session::event::Event;
use crate::session::protected::Protected;
use crate::session::state::SessionState;

/// A session without its configuration, for a loop that serves many connections.
///
/// A [`Session`](crate::Session) owns its configuration and seals what it appends. Here the caller
/// does both: the configuration is an argument, so that each connection takes less memory, and what
/// several calls append is sealed together, so that replies are written in place and share records.
///
/// 1. Pass the same configuration to each call. Only its keys may change.
/// 2. Call [`next`](Self::next), at first with an empty input, until it returns [`Event::Open`];
///    then [`process_messages`](Self::process_messages), or `next` again.
/// 3. These two, [`FrameFormat::frame`], [`finish`](Self::finish) and
///    [`refuse`](Self::refuse) append without sealing. Pass everything that was appended, once
///    and in this order, to [`seal`](Self::seal), and send as many bytes as that returns.
///
/// ```
/// use core::ops::ControlFlow;
/// use core::time::Duration;
///
/// use countersign_proto::{Event, ServerConfig, SessionCore, Step};
///
/// let config = ServerConfig::open();
/// let mut session = SessionCore::server(&config, [7; 32]); // from the system's random source
/// let (now, mut out) = (Duration::from_secs(1_796_000_000), Vec::new());
/// let opened = session.next(&config, now, &mut &[][..], &mut out)?;
/// assert!(matches!(opened, Some(Event::Open(_))));
///
/// let (mut input, mut control) = (&b"one\ntwo\nthr"[..], Vec::new());
/// let step = session.process_messages(&config, &mut input, &mut control, |message| {
///     message.form.frame(message.bytes, &mut out);
///     ControlFlow::<()>::Continue(())
/// })?;
/// assert_eq!(step, Step::NeedsInput);
/// out.append(&mut control); // answers to pings
/// let ready = session.seal(&mut out)?;
/// assert_eq!(out[..ready], *b"one\ntwo\n");
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SessionCore {
    pub(super) state: SessionState,
    /// The bytes of a proof or a message that has arrived in part.
    pub(super) partial: PartialFrame,
}

impl SessionCore {
    /// The bytes that an incomplete frame takes, beside its own.
    pub const CUT_MAX: usize = PartialFrame::BOX;

    /// The bytes that a session keeps on the heap from the handshake to its end, at most.
    #[must_use]
    pub fn keys_max(config: &SessionConfig) -> usize {
        match config.dialect() {
            Dialect::Countersign => size_of::<server::Pending>().max(size_of::<Protected>()),
            Dialect::Raw | Dialect::Hex | Dialect::Multiprocessing | Dialect::Open => 0,
        }
    }

    /// The server's end.
    ///
    /// `nonce` is the challenge, where the dialect has one. It must come from the system's random
    /// source and be used for no other session.
    #[must_use]
    pub fn server(config: &ServerConfig, nonce: [u8; CHALLENGE]) -> Self {
        let state = match config.dialect() {
            Dialect::Open => SessionState::Open,
            _ => SessionState::Unsent(nonce),
        };
        Self { state, partial: PartialFrame::default() }
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
        config: &ClientConfig,
        now: Duration,
        nonce: [u8; CHALLENGE],
    ) -> Result<Self, NoUsableKeyError> {
        config.signing_key(now)?;
        let state = match config.dialect() {
            Dialect::Countersign => SessionState::Countersign(CountersignState::Start(nonce)),
            Dialect::Multiprocessing => SessionState::Multiprocessing(
                MultiprocessingState::AwaitingChallenge(Retained::Nonce(nonce)),
            ),
            Dialect::Raw | Dialect::Hex | Dialect::Open => {
                SessionState::Challenge(ChallengeState::AwaitingChallenge)
            }
        };
        Ok(Self { state, partial: PartialFrame::default() })
    }

    /// Takes the next event from the front of the input, and appends what is to be sent for it to
    /// `out`, without sealing. `None` means that all of the input was processed and more is needed.
    /// In a handshake, keys must be valid `now`: the time since 1970.
    ///
    /// Nothing after a proof is processed before the proof has been verified. Pass the rest of the
    /// input again: a batch of messages is verified once, and its messages are then returned one by
    /// one.
    ///
    /// # Errors
    ///
    /// The peer did something that it must not do. Send what was appended, which may tell it the
    /// reason, and close the connection: each later call returns the same refusal.
    #[inline]
    pub fn next<'s, 'i: 's>(
        &'s mut self,
        config: &'s SessionConfig,
        now: Duration,
        input: &mut &'i [u8],
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'s>>, Refusal> {
        self.forget_delivered();
        if let SessionState::Established(role, _) = self.state {
            return self.message(config, role, input);
        }
        self.change(config, now, input, out)
    }

    /// Takes an event of the handshake, or one in records.
    #[cold]
    fn change<'s, 'i: 's>(
        &'s mut self,
        config: &'s SessionConfig,
        now: Duration,
        input: &mut &'i [u8],
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'s>>, Refusal> {
        match self.state {
            SessionState::Open => Ok(Some(self.establish(config, Role::Server, None))),
            SessionState::Unsent(nonce) => {
                self.state = greet(config, nonce, out);
                self.change(config, now, input, out)
            }
            SessionState::Challenge(ChallengeState::AwaitingProof(challenge)) => {
                let verified = self.receive_answer(config, now, &challenge, input);
                verified.map_err(|why| self.fail(why))
            }
            SessionState::Challenge(ChallengeState::AwaitingChallenge) => {
                let answered = self.answer_challenge(config, now, input, out);
                answered.map_err(|why| self.fail(why))
            }
            SessionState::Countersign(CountersignState::AwaitingHello(nonce)) => {
                self.receive_hello(config, now, (nonce, false), input, out)
            }
            SessionState::Countersign(CountersignState::AwaitingHelloOrProof(nonce)) => {
                self.receive_hello(config, now, (nonce, true), input, out)
            }
            SessionState::Countersign(CountersignState::AwaitingProof(_)) => {
                self.receive_proof(config, now, input, out)
            }
            SessionState::Countersign(CountersignState::Start(nonce)) => {
                let received = self.send_hello(config, now, nonce, input, out);
                received.map_err(|why| self.fail(why))
            }
            SessionState::Countersign(CountersignState::AwaitingServerHello(nonce)) => {
                let received = self.receive_server_hello(config, now, &nonce, input, out);
                received.map_err(|why| self.fail(why))
            }
            SessionState::Multiprocessing(state) => {
                let received = self.exchange_challenges(config, now, state, input, out);
                received.map_err(|why| self.fail(why))
            }
            _ => self.receive(config, input, out),
        }
    }

    /// Takes an event of a session whose own part of the handshake is over. No key is checked any
    /// more, so it needs no time.
    pub(super) fn receive<'s, 'i: 's>(
        &'s mut self,
        config: &'s SessionConfig,
        input: &mut &'i [u8],
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'s>>, Refusal> {
        match self.state {
            SessionState::Established(role, _) => self.message(config, role, input),
            SessionState::Countersign(CountersignState::AwaitingAccept(_)) => {
                match self.take_accept(input) {
                    Ok(true) => {
                        self.forget_delivered();
                        self.receive(config, input, out)
                    }
                    Ok(false) => Ok(None),
                    Err(why) => Err(self.fail(why)),
                }
            }
            SessionState::Protected(ref mut protected) => {
                protected.next(&mut self.partial, config, input, out)
            }
            SessionState::Ending(_) => {
                self.state.end();
                Ok(Some(Event::End))
            }
            SessionState::Failed(_, why) => Err(why),
            SessionState::Over(_) => {
                *input = &[];
                Ok(None)
            }
            SessionState::Open
            | SessionState::Unsent(_)
            | SessionState::Challenge(_)
            | SessionState::Countersign(_)
            | SessionState::Multiprocessing(_) => Ok(None),
        }
    }

    /// Whether [`next`](Self::next) has an event to return or something to send, although nothing
    /// more has arrived.
    #[must_use]
    #[inline]
    pub fn is_due(&self) -> bool {
        // Nearly always not, and one comparison.
        !matches!(self.state, SessionState::Established(..)) && self.state.is_due()
    }

    /// The format of messages that aren't replies.
    #[must_use]
    pub fn form(&self, config: &SessionConfig) -> FrameFormat {
        self.state.records().map_or(config.framing().form(), |_| FrameFormat::Record)
    }

    /// Seals everything that was appended since the last call, in this order, so that it can be
    /// sent. In records, messages that follow each other become one record, a batch, and each
    /// record is protected. Without records, nothing changes.
    ///
    /// Returns how many bytes are to be sent. A batch is shorter than what was appended.
    ///
    /// # Errors
    ///
    /// A message is longer than the peer accepts. Send what is ready before it, and close.
    #[inline]
    pub fn seal(&mut self, out: &mut [u8]) -> Result<usize, SealError> {
        match self.state.records_mut() {
            Some(records) => records.seal(out),
            None => Ok(out.len()),
        }
    }

    /// Whether the peer accepts a message of this length, as far as is known.
    #[must_use]
    pub fn takes(&self, length: usize) -> bool {
        self.state.records().is_none_or(|records| records.takes(length))
    }

    /// At a server, whether the peer could no longer authenticate as it did, because its key was
    /// removed from the ring, has expired by now, has another secret, or is no longer for the same
    /// dialect and audience.
    #[must_use]
    pub fn is_revoked(&self, config: &SessionConfig, now: Duration) -> bool {
        self.credential().is_some_and(|credential| config.accepted(credential, now).is_none())
    }

    /// At a server, what the peer has authenticated with.
    #[must_use]
    pub fn credential(&self) -> Option<Credential> {
        self.state.credential()
    }

    /// Whether part of a message, or of the handshake, has arrived.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.partial.taken().length > 0
    }

    /// Frees the buffer of the message that was returned last, if it has one. [`next`](Self::next)
    /// would do so too, but may not be called for a long time. The rest of a batch is moved to
    /// blocks of one size, so that the heap of many sessions isn't fragmented.
    #[inline]
    pub fn release(&mut self) {
        if !self.partial.is_empty() {
            self.release_or_park();
        }
    }

    #[cold]
    fn release_or_park(&mut self) {
        match &self.state {
            SessionState::Protected(protected) if protected.batch > 0 => {
                protected.park(&mut self.partial);
            }
            _ => self.partial.release(),
        }
    }

    /// Frees the buffer of the message that was returned last, unless the rest of a batch is in it.
    #[inline]
    pub(super) fn forget_delivered(&mut self) {
        if !self.partial.is_empty() && !self.state.has_batch() {
            self.partial.release();
        }
    }

    /// Discards what has arrived of an incomplete message or handshake. Call it only if no more
    /// input follows, which would be misunderstood.
    pub fn discard_partial(&mut self) {
        self.partial.discard();
        self.state.discard_batch();
    }

    /// The bytes of memory that buffered input takes.
    #[must_use]
    pub fn bytes_buffered(&self) -> usize {
        self.partial.memory()
    }
}

/// Sends what the server begins with in this dialect. In `countersign/1` alone, that is nothing
/// before the client's hello, so that a port scan finds a silent port.
fn greet(config: &SessionConfig, nonce: [u8; CHALLENGE], out: &mut Vec<u8>) -> SessionState {
    match config.dialect() {
        Dialect::Countersign if !config.shares_raw() => {
            SessionState::Countersign(CountersignState::AwaitingHello(nonce))
        }
        Dialect::Countersign => {
            out.extend_from_slice(&nonce);
            SessionState::Countersign(CountersignState::AwaitingHelloOrProof(nonce))
        }
        Dialect::Multiprocessing => {
            write_challenge(Role::Server, &nonce, out);
            SessionState::Multiprocessing(MultiprocessingState::SentChallenge(Role::Server, nonce))
        }
        Dialect::Raw | Dialect::Hex | Dialect::Open => {
            out.extend_from_slice(&nonce);
            SessionState::Challenge(ChallengeState::AwaitingProof(nonce))
        }
    }
}
