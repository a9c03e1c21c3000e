//! The steps of a session in `raw` and `hex`, where the client answers a challenge, and in `open`.

use alloc::vec::Vec;
use core::time::Duration;

use crate::config::session_config::SessionConfig;
use crate::handshake::{self, CHALLENGE, multiprocessing};
use crate::keys::key::Key;
use crate::refusal::{ForeignProtocol, Refusal};
use crate::role::Role;
use crate::session::event::{Event, Opened};
use crate::session::session_core::SessionCore;
use crate::session::state::SessionState;

impl SessionCore {
    /// Continues without records.
    pub(super) fn establish<'s>(
        &mut self,
        config: &SessionConfig,
        role: Role,
        key: Option<&'s Key>,
    ) -> Event<'s> {
        let dialect = config.challenged();
        let credential = key.map(|key| key.credential(dialect));
        self.state = SessionState::established(config, role, credential);
        let form = config.framing().form();
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
        config: &'s SessionConfig,
        now: Duration,
        challenge: &[u8; CHALLENGE],
        input: &mut &[u8],
    ) -> Result<Option<Event<'s>>, Refusal> {
        let length = handshake::proof_length(config.challenged(), config.mac().length());
        let Some(proof) = self.partial.exactly(length, input) else { return Ok(None) };
        let checked = handshake::check(config, now, challenge, proof);
        self.partial.release();
        checked.map(|key| Some(self.establish(config, Role::Server, Some(key))))
    }

    /// As a client: awaits the challenge, and answers it.
    pub(super) fn answer_challenge<'s>(
        &mut self,
        config: &'s SessionConfig,
        now: Duration,
        input: &mut &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'s>>, Refusal> {
        let key = config.signing_key(now).map_err(|_| Refusal::WrongProof)?;
        if let Some(key) = key {
            let Some(frame) = self.partial.exactly(CHALLENGE, input) else { return Ok(None) };
            if multiprocessing::begins(frame) {
                return Err(Refusal::Foreign(ForeignProtocol::Multiprocessing));
            }
            handshake::answer(config, key, frame, out);
            self.partial.release();
        }
        Ok(Some(self.establish(config, Role::Client, key)))
    }
}
