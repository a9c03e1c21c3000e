//! The steps of a session in `multiprocessing`, at either end.
//!
//! A server challenges, welcomes, and is challenged itself; a client does the same in the other
//! order. So there is one step, which depends on what the other end owes.

use alloc::vec::Vec;

use crate::dialect::Dialect;
use crate::framing::length;
use crate::handshake::{CHALLENGE, multiprocessing};
use crate::keys::key::{Credential, Key, KeyNumber};
use crate::protocol::Protocol;
use crate::refusal::Refusal;
use crate::role::Role;
use crate::session::event::Event;
use crate::session::{Session, Stage};

/// What an end keeps while it isn't challenging.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kept {
    /// A server: the key that the client has proved.
    Key(KeyNumber),
    /// A client: what its challenge will be made of.
    Nonce([u8; CHALLENGE]),
}

/// What a message has led to.
enum Heard<'p> {
    /// The handshake goes on.
    Next(Stage),
    /// It is over.
    Through(Role, &'p Key),
}

impl Session {
    /// Awaits what the other end owes, and says what is due thereupon.
    // Inlined, it would make every dialect's steps pay for the registers and the stack it needs.
    #[inline(never)]
    pub(super) fn pair<'s>(
        &mut self,
        protocol: &'s Protocol,
        input: &mut &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'s>>, Refusal> {
        loop {
            let extent = multiprocessing::scan(self.partial.taken(), input)?;
            let Some(frame) = self.partial.take(extent, input, multiprocessing::FRAME_MAX) else {
                return Ok(None);
            };
            let stage = self.stage.end();
            let heard = stage.hear(protocol, length::open(frame), out);
            self.partial.release();
            match heard.inspect_err(|why| multiprocessing::fail(*why, out))? {
                Heard::Next(stage) => self.stage = stage,
                Heard::Through(role, key) => {
                    return Ok(Some(self.begin(protocol, role, Some(key))));
                }
            }
        }
    }
}

impl Stage {
    fn hear<'p>(
        self,
        protocol: &'p Protocol,
        message: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Heard<'p>, Refusal> {
        multiprocessing::heed(message)?;
        match self {
            Self::AwaitingProof(role, nonce) => {
                let key = multiprocessing::verify(protocol, role, &nonce, message, out)?;
                Ok(match role {
                    Role::Server => Heard::Next(Self::AwaitingChallenge(Kept::Key(key.number()))),
                    Role::Client => Heard::Through(role, key),
                })
            }
            Self::AwaitingChallenge(kept) => {
                let (role, key) = kept.signer(protocol)?;
                multiprocessing::answer(protocol, role, key, message, out)?;
                Ok(Heard::Next(Self::AwaitingWord(kept)))
            }
            Self::AwaitingWord(kept) => {
                multiprocessing::welcomed(message)?;
                let (role, key) = kept.signer(protocol)?;
                let Kept::Nonce(nonce) = kept else { return Ok(Heard::Through(role, key)) };
                multiprocessing::challenge(role, &nonce, out);
                Ok(Heard::Next(Self::AwaitingProof(role, nonce)))
            }
            _ => Err(Refusal::Malformed),
        }
    }
}

impl Kept {
    /// Who we are, and the key that we prove: as a server, the one that the client has proved, as
    /// long as that is taken.
    fn signer(self, protocol: &Protocol) -> Result<(Role, &Key), Refusal> {
        let dialect = Dialect::Multiprocessing;
        let (role, key) = match self {
            Self::Key(number) => (Role::Server, protocol.accepted(Credential { number, dialect })),
            Self::Nonce(_) => (Role::Client, protocol.signing_key().ok().flatten()),
        };
        key.map(|key| (role, key)).ok_or(Refusal::UnknownKey)
    }
}

#[cfg(test)]
mod tests;
