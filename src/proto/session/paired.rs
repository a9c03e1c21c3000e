//! The steps of a session in `multiprocessing`, at either end.
//!
//! A server challenges, welcomes, and is challenged itself; a client does the same in the other
//! order. So there is one step, which depends on what the other end owes.

use crate::proto::dialect::Dialect;
use crate::proto::framing::length;
use crate::proto::handshake::{CHALLENGE, multiprocessing};
use crate::proto::keys::key::{Credential, Key, KeyNumber};
use crate::proto::protocol::Protocol;
use crate::proto::refusal::Refusal;
use crate::proto::session::event::Event;
use crate::proto::session::{Session, Stage};
use crate::proto::side::Side;

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
    Through(Side, &'p Key),
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
            let extent = multiprocessing::scan(self.held.taken(), input)?;
            let Some(unit) = self.held.take(extent, input, multiprocessing::UNIT_MAX) else {
                return Ok(None);
            };
            let stage = self.stage.end();
            let heard = stage.hear(protocol, length::open(unit), out);
            self.held.release();
            match heard.inspect_err(|why| multiprocessing::fail(*why, out))? {
                Heard::Next(stage) => self.stage = stage,
                Heard::Through(side, key) => {
                    return Ok(Some(self.begin(protocol, side, Some(key))));
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
            Self::AwaitingProof(side, nonce) => {
                let key = multiprocessing::verify(protocol, side, &nonce, message, out)?;
                Ok(match side {
                    Side::Server => Heard::Next(Self::AwaitingChallenge(Kept::Key(key.number()))),
                    Side::Client => Heard::Through(side, key),
                })
            }
            Self::AwaitingChallenge(kept) => {
                let (side, key) = kept.signer(protocol)?;
                multiprocessing::answer(protocol, side, key, message, out)?;
                Ok(Heard::Next(Self::AwaitingWord(kept)))
            }
            Self::AwaitingWord(kept) => {
                multiprocessing::welcomed(message)?;
                let (side, key) = kept.signer(protocol)?;
                let Kept::Nonce(nonce) = kept else { return Ok(Heard::Through(side, key)) };
                multiprocessing::challenge(side, &nonce, out);
                Ok(Heard::Next(Self::AwaitingProof(side, nonce)))
            }
            _ => Err(Refusal::Malformed),
        }
    }
}

impl Kept {
    /// Who we are, and the key that we prove: as a server, the one that the client has proved, as
    /// long as that is taken.
    fn signer(self, protocol: &Protocol) -> Result<(Side, &Key), Refusal> {
        let dialect = Dialect::Multiprocessing;
        let (side, key) = match self {
            Self::Key(number) => {
                (Side::Server, protocol.keys().accepted(Credential { number, dialect }))
            }
            Self::Nonce(_) => (Side::Client, protocol.signing_key().ok().flatten()),
        };
        key.map(|key| (side, key)).ok_or(Refusal::UnknownKey)
    }
}

#[cfg(test)]
mod tests;
