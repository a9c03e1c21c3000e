//! The steps of a session in `multiprocessing`, at either end.
//!
//! A server challenges the client, confirms its proof, and is then challenged itself; a client does
//! the same in the other order. So one step serves both, by what the other end must send next.

use alloc::vec::Vec;
use core::time::Duration;

use crate::config::session_config::SessionConfig;
use crate::dialect::Dialect;
use crate::framing::length;
use crate::handshake::multiprocessing::frame::{FRAME_MAX, scan};
use crate::handshake::multiprocessing::{self, MultiprocessingState, Retained};
use crate::keys::key::{Credential, Key, KeyNumber};
use crate::refusal::Refusal;
use crate::role::Role;
use crate::session::event::Event;
use crate::session::session_core::SessionCore;
use crate::session::state::SessionState;

/// The result of a message.
enum Received<'p> {
    /// The handshake continues.
    Next(MultiprocessingState),
    /// It is over.
    Established(Role, &'p Key),
}

impl SessionCore {
    /// Awaits the other end's next message, and appends the answer.
    // Inlined, it would make every dialect's steps pay for the registers and the stack it needs.
    #[inline(never)]
    pub(super) fn exchange_challenges<'s>(
        &mut self,
        config: &'s SessionConfig,
        now: Duration,
        mut state: MultiprocessingState,
        input: &mut &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'s>>, Refusal> {
        loop {
            let extent = scan(self.partial.taken(), input)?;
            let Some(frame) = self.partial.take(extent, input, FRAME_MAX) else {
                return Ok(None);
            };
            let received = state.receive(config, now, length::open(frame), out);
            self.partial.release();
            match received.inspect_err(|why| multiprocessing::write_failure(*why, out))? {
                Received::Next(next) => {
                    state = next;
                    self.state = SessionState::Multiprocessing(state);
                }
                Received::Established(role, key) => {
                    return Ok(Some(self.establish(config, role, Some(key))));
                }
            }
        }
    }
}

impl MultiprocessingState {
    fn receive<'p>(
        self,
        config: &'p SessionConfig,
        now: Duration,
        message: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Received<'p>, Refusal> {
        multiprocessing::check_failure(message)?;
        match self {
            Self::SentChallenge(role, nonce) => {
                let key = multiprocessing::verify(config, now, role, &nonce, message, out)?;
                Ok(match role {
                    Role::Server => {
                        let number = Retained::Key(key.number().0.to_ne_bytes());
                        Received::Next(Self::AwaitingChallenge(number))
                    }
                    Role::Client => Received::Established(role, key),
                })
            }
            Self::AwaitingChallenge(retained) => {
                let (role, key) = retained.signer(config, now)?;
                multiprocessing::answer(config, role, key, message, out)?;
                Ok(Received::Next(Self::SentProof(retained)))
            }
            Self::SentProof(retained) => {
                multiprocessing::check_welcome(message)?;
                let (role, key) = retained.signer(config, now)?;
                let Retained::Nonce(nonce) = retained else {
                    return Ok(Received::Established(role, key));
                };
                multiprocessing::write_challenge(role, &nonce, out);
                Ok(Received::Next(Self::SentChallenge(role, nonce)))
            }
        }
    }
}

impl Retained {
    /// Our role and our key: as a server, the key that the client has proved, if it is still
    /// accepted.
    fn signer(self, config: &SessionConfig, now: Duration) -> Result<(Role, &Key), Refusal> {
        let dialect = Dialect::Multiprocessing;
        let (role, key) = match self {
            Self::Key(number) => {
                let number = KeyNumber(u32::from_ne_bytes(number));
                (Role::Server, config.accepted(Credential { number, dialect }, now))
            }
            Self::Nonce(_) => (Role::Client, config.signing_key(now).ok().flatten()),
        };
        key.map(|key| (role, key)).ok_or(Refusal::UnknownKey)
    }
}

#[cfg(test)]
mod tests;
