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
use crate::session::protected::{Protected, RecordsState};
use crate::session::state::SessionState;

/// One connection for a loop that serves many: the configuration is an argument, and what is
/// appended is made ready together.
///
/// Such a loop writes its replies in place, one behind the other. [`next`](Self::next),
/// [`process_messages`](Self::process_messages), [`FrameFormat::frame`],
/// [`say_goodbye`](Self::say_goodbye) and [`give_up`](Self::give_up) append without sealing; call
/// [`seal`](Self::seal) with everything that was appended before you send it. Pass the same
/// configuration to each call; only its keys may change. A [`Session`](crate::Session) owns its
/// configuration, and seals by itself.
#[derive(Debug)]
pub struct SessionCore {
    pub(super) state: SessionState,
    /// The bytes of a proof or a message that a read has cut.
    pub(super) partial: PartialFrame,
}

impl SessionCore {
    /// What a frame that a read has cut takes beside its bytes.
    pub const CUT_MAX: usize = PartialFrame::BOX;

    /// What a session keeps outside itself for as long as it lasts.
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
    /// `nonce` is what makes the session's keys its own, in `countersign/1`, and our challenge in
    /// `multiprocessing`. It must come from the system's random source and be used for no other
    /// session.
    ///
    /// # Errors
    ///
    /// There is no key to sign with at this time, which is counted since 1970: see
    /// [`ClientConfig::signing_key`].
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
    /// `out`, without sealing. `None` says that all of the input was taken and more is needed. In a
    /// handshake, keys are taken that are valid `now`: the time since 1970.
    ///
    /// Nothing behind a proof is looked at before the proof holds. Hand in again what was left of
    /// the input: a batch of messages is verified once, and then taken one by one.
    ///
    /// # Errors
    ///
    /// The peer did what it must not do. Send what was appended, which may tell it so, and close
    /// the connection: each later call returns the same.
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

    /// Takes an event that is no message, or one in a record.
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
            SessionState::Countersign(CountersignState::AwaitingAccept(_)) => {
                self.receive(config, input, out)
            }
            SessionState::Countersign(_) => self.advance_countersign(config, now, input, out),
            SessionState::Multiprocessing(_) => {
                let received = self.exchange_challenges(config, now, input, out);
                received.map_err(|why| self.fail(why))
            }
            _ => self.receive(config, input, out),
        }
    }

    /// Takes an event of a session whose own part in the handshake is over. It looks at no key, so
    /// it needs no time.
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

    /// Whether [`next`](Self::next) has something to say, or a message to hand on, though
    /// nothing more has arrived.
    #[inline]
    pub fn is_due(&self) -> bool {
        match &self.state {
            // Nearly always, and one comparison.
            SessionState::Established(..) => false,
            SessionState::Open | SessionState::Unsent(_) | SessionState::Ending(_) => true,
            SessionState::Protected(protected) => {
                protected.state == RecordsState::Ending || protected.batch > 0
            }
            _ => false,
        }
    }

    /// How to frame a message that isn't a reply.
    #[must_use]
    pub fn form(&self, config: &SessionConfig) -> FrameFormat {
        self.state.records().map_or(config.framing().form(), |_| FrameFormat::Record)
    }

    /// Makes what was appended without sealing ready to be sent: all that [`next`](Self::next),
    /// [`FrameFormat::frame`] and the like have appended since the last time, in their order. In
    /// `countersign/1` this protects each record, and messages that follow each other become one
    /// record, a batch; elsewhere there is nothing to be done.
    ///
    /// Returns how many bytes are to be sent. A batch is shorter than what was appended.
    ///
    /// # Errors
    ///
    /// The peer doesn't accept such a long message. Send what stands before it, and close.
    #[inline]
    pub fn seal(&mut self, out: &mut [u8]) -> Result<usize, SealError> {
        match self.state.records_mut() {
            Some(records) => records.seal(out),
            None => Ok(out.len()),
        }
    }

    /// Whether the peer accepts a message of this many bytes, as far as is known.
    #[must_use]
    pub fn takes(&self, length: usize) -> bool {
        self.state.records().is_none_or(|records| records.takes(length))
    }

    /// As a server: whether the peer could no longer authenticate as it did, because its key was
    /// removed from the ring, has expired by now, has another secret, or is no longer for the same
    /// dialect and audience.
    #[must_use]
    pub fn is_revoked(&self, config: &SessionConfig, now: Duration) -> bool {
        self.credential().is_some_and(|credential| config.accepted(credential, now).is_none())
    }

    /// As a server: what the peer has authenticated with.
    pub fn credential(&self) -> Option<Credential> {
        self.state.credential()
    }

    /// Whether a message, or a proof, has arrived in part.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.partial.taken().length > 0
    }

    /// Forgets the message that was given out last, where it was gathered here; the next call of
    /// [`next`](Self::next) would do so too, but may be far off. Of a batch that was handed on in
    /// part, it keeps the rest so that the memory of many sessions has no holes.
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

    /// Forgets the message that was given out last, where it was gathered here.
    #[inline]
    pub(super) fn forget_delivered(&mut self) {
        if !self.partial.is_empty() && !self.state.has_batch() {
            self.partial.release();
        }
    }

    /// Forgets what has arrived of an unfinished message, or proof. Only for a connection that
    /// takes no more input: without it, what comes next is misunderstood.
    pub fn discard_partial(&mut self) {
        self.partial.discard();
        self.state.discard_batch();
    }

    /// The bytes of memory that the session holds beside itself.
    #[must_use]
    pub fn bytes_buffered(&self) -> usize {
        self.partial.memory()
    }
}

/// Says what the dialect begins with. A listener of `countersign/1` alone keeps its nonce back
/// until it is called, so that it is silent to those who only look.
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
