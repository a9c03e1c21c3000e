//! How a session ends: in order, by the end of the stream, or by a fault of the peer's.

use alloc::vec::Vec;

use crate::config::session_config::SessionConfig;
use crate::framing::Framing;
use crate::handshake::countersign::frame::MAGIC;
use crate::handshake::countersign::server;
use crate::handshake::countersign::state::CountersignState;
use crate::handshake::{self, ChallengeState};
use crate::refusal::{Refusal, RefusalCode};
use crate::session::Session;
use crate::session::event::Message;
use crate::session::protected::RecordsState;
use crate::session::session_core::SessionCore;
use crate::session::state::SessionState;

impl Session {
    /// Appends the close record, which says that no message follows; nothing without records. Send
    /// it, then end your stream. What the peer still sends is received as before.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let records =
            self.core.state.failure().is_none().then(|| self.core.state.records_mut()).flatten();
        if let Some(records) = records {
            let start = out.len();
            records.close(out);
            records.seal_appended(out, start);
        }
    }

    /// Refuses the peer: appends the reason in a handshake, or else the close record, where the
    /// dialect has them. Send it, and close the connection: each later call returns this refusal.
    pub fn close(&mut self, why: Refusal, out: &mut Vec<u8>) {
        if self.core.state.failure().is_some() {
            return;
        }
        match why.code() {
            _ if self.core.state.records().is_some() => self.finish(out),
            Some(code) => self.core.refuse(code, out),
            None => {}
        }
        self.core.partial.discard();
        self.core.fail(why);
    }
}

impl SessionCore {
    /// Appends the close record, without [sealing](Self::seal) it; nothing without records. Send
    /// it, then end your stream. What the peer still sends is received as before.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.state.records_mut().into_iter().for_each(|records| records.close(out));
    }

    /// At a server, ends a handshake: appends the refusal with this code, if the dialect has one
    /// and the peer speaks it. The session accepts nothing more. Unlike [`Session::close`], it
    /// appends nothing for a peer that has authenticated.
    pub fn refuse(&mut self, code: RefusalCode, out: &mut Vec<u8>) {
        let is_hello = |session: &Self| session.partial.taken().front.starts_with(&MAGIC);
        let SessionState::Countersign(state) = self.state.end() else { return };
        match state {
            CountersignState::AwaitingHello(nonce) if is_hello(self) => {
                server::refuse(Some(&nonce), code, out);
            }
            CountersignState::AwaitingHelloOrProof(_) if is_hello(self) => {
                server::refuse(None, code, out);
            }
            CountersignState::AwaitingProof(_) => server::refuse(None, code, out),
            _ => {}
        }
    }

    /// Tells the session that the peer has ended its stream. Returns the last message, if the end
    /// of the stream was its end. A connection that was reset has not ended its stream: drop its
    /// session instead, or without records a part of a message may look whole.
    ///
    /// # Errors
    ///
    /// [`Refusal::Truncated`]: the handshake wasn't over, a message was incomplete, or the close
    /// record was missing. A client that leaves after it has seen our proof is refused for the
    /// reason that its key is not accepted, which it has noticed first.
    /// [`Refusal::MessageTooLong`]: the last line is one byte longer than the limit, a CR without
    /// an LF.
    pub fn input_ended<'s>(
        &'s mut self,
        config: &SessionConfig,
    ) -> Result<Option<Message<'s>>, Refusal> {
        if let Some(why) = self.state.failure() {
            return Err(why);
        }
        let state = self.state.end();
        let ended = match (state, self.partial.take_rest()) {
            (SessionState::Established(..), Some(frame)) if config.framing() == Framing::Lines => {
                let (bytes, form) = Framing::Lines.open(frame);
                if bytes.len() > config.message_max() {
                    return Err(Refusal::MessageTooLong);
                }
                Ok(Some(Message { bytes, form }))
            }
            (SessionState::Established(..), None) => Ok(None),
            (SessionState::Open | SessionState::Ending(_) | SessionState::Over(_), _) => Ok(None),
            // Our replies and our close record may still follow.
            (SessionState::Protected(mut protected), _) if protected.is_over() => {
                protected.state = RecordsState::Over;
                self.state = SessionState::Protected(protected);
                Ok(None)
            }
            (SessionState::Countersign(CountersignState::AwaitingProof(pending)), None) => {
                Err(pending.left())
            }
            (SessionState::Challenge(ChallengeState::AwaitingProof(_)), Some(front)) => {
                Err(handshake::suspect(config, front).unwrap_or(Refusal::Truncated))
            }
            _ => Err(Refusal::Truncated),
        };
        if let Err(why) = ended {
            self.state = SessionState::Failed(self.state.credential(), why);
        }
        ended
    }

    /// At a server whose client is late with its proof: what is wrong with the part that has
    /// arrived, if that can be seen.
    pub fn suspect(&self, config: &SessionConfig) -> Option<Refusal> {
        match self.state {
            SessionState::Challenge(ChallengeState::AwaitingProof(_)) => {
                handshake::suspect(config, self.partial.taken().front)
            }
            _ => None,
        }
    }

    /// Ends the session for a fault of the peer. Each later call returns it.
    pub(super) fn fail(&mut self, why: Refusal) -> Refusal {
        self.state = SessionState::Failed(self.state.credential(), why);
        why
    }
}
