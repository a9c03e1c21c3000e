//! The steps of a session in `raw` and `hex`, where the client answers a challenge, and in `open`.

use alloc::vec::Vec;
use core::time::Duration;

use crate::handshake::{self, CHALLENGE, multiprocessing};
use crate::keys::key::Key;
use crate::protocol::Protocol;
use crate::refusal::{ForeignProtocol, Refusal};
use crate::role::Role;
use crate::session::event::{Event, Opened};
use crate::session::session_core::SessionCore;
use crate::session::state::SessionState;

impl SessionCore {
    /// Goes on without records.
    pub(super) fn establish<'s>(
        &mut self,
        protocol: &Protocol,
        role: Role,
        key: Option<&'s Key>,
    ) -> Event<'s> {
        let dialect = protocol.challenged();
        let credential = key.map(|key| key.credential(dialect));
        self.state = SessionState::established(protocol, role, credential);
        let form = protocol.framing().form();
        Event::Open(Opened {
            key,
            dialect,
            form,
            is_protected: false,
            is_sealed: false,
            exporter: None,
        })
    }

    /// As a server: awaits the proof that answers our challenge.
    pub(super) fn receive_answer<'s>(
        &mut self,
        protocol: &'s Protocol,
        now: Duration,
        challenge: &[u8; CHALLENGE],
        input: &mut &[u8],
    ) -> Result<Option<Event<'s>>, Refusal> {
        let length = handshake::proof_length(protocol.challenged(), protocol.mac().length());
        let Some(proof) = self.partial.exactly(length, input) else { return Ok(None) };
        let checked = handshake::check(protocol, now, challenge, proof);
        self.partial.release();
        checked.map(|key| Some(self.establish(protocol, Role::Server, key)))
    }

    /// As a client: awaits the challenge, and answers it.
    pub(super) fn answer_challenge<'s>(
        &mut self,
        protocol: &'s Protocol,
        now: Duration,
        input: &mut &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'s>>, Refusal> {
        let key = protocol.signing_key(now).map_err(|_| Refusal::WrongProof)?;
        if let Some(key) = key {
            let Some(frame) = self.partial.exactly(CHALLENGE, input) else { return Ok(None) };
            if multiprocessing::begins(frame) {
                return Err(Refusal::Foreign(ForeignProtocol::Multiprocessing));
            }
            handshake::answer(protocol, key, frame, out);
            self.partial.release();
        }
        Ok(Some(self.establish(protocol, Role::Client, key)))
    }
}
