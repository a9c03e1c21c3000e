//! How a session ends: in order, by the end of the stream, or by a fault of the peer's.

use alloc::vec::Vec;

use crate::framing::Framing;
use crate::handshake;
use crate::handshake::countersign::frame::MAGIC;
use crate::handshake::countersign::server;
use crate::protocol::Protocol;
use crate::refusal::{Refusal, RefusalCode};
use crate::session::event::Message;
use crate::session::{Session, Stage};

impl Session {
    /// Appends what tells the peer that no message follows, where the dialect has a word for it.
    /// Then end the stream.
    pub fn say_goodbye(&mut self, out: &mut Vec<u8>) {
        match &mut self.stage {
            Stage::Guarded(guarded) => guarded.records.say_close(out),
            Stage::Accepting(accepting) if !accepting.plain => accepting.records.say_close(out),
            _ => {}
        }
    }

    /// As a server that ends a handshake of its own accord: appends the word for it, where the
    /// dialect has one and the peer speaks it. The session takes nothing more.
    pub fn give_up(&mut self, code: RefusalCode, out: &mut Vec<u8>) {
        match self.stage.end() {
            Stage::Called(nonce, is_sent) if self.partial.taken().front.starts_with(&MAGIC) => {
                server::refuse((!is_sent).then_some(&nonce), code, out);
            }
            Stage::Confirming(_) => server::refuse(None, code, out),
            _ => {}
        }
    }

    /// The stream has ended: takes the last message, where its end is the end of the stream.
    ///
    /// # Errors
    ///
    /// [`Refusal::Truncated`]: the handshake wasn't over, or a message wasn't whole. A client that
    /// leaves upon our proof is refused for what its key lacks: it saw that before we could.
    /// [`Refusal::MessageTooLong`]: the last line is one byte longer than it may be, a CR that no
    /// LF followed.
    pub fn finish<'s>(&'s mut self, protocol: &Protocol) -> Result<Option<Message<'s>>, Refusal> {
        if let Some(why) = self.stage.failure() {
            return Err(why);
        }
        let stage = self.stage.end();
        let ended = match (stage, self.partial.take_rest()) {
            (Stage::Talking(..), Some(frame)) if protocol.framing() == Framing::Lines => {
                let (bytes, form) = Framing::Lines.open(frame);
                if bytes.len() > protocol.message_max() {
                    return Err(Refusal::MessageTooLong);
                }
                Ok(Some(Message { bytes, form }))
            }
            (Stage::Talking(..), None) => Ok(None),
            (Stage::Unguarded | Stage::Ending(_) | Stage::Over(_), _) => Ok(None),
            (Stage::Guarded(guarded), _) if guarded.is_over() => Ok(None),
            (Stage::Confirming(pending), None) => Err(pending.left()),
            (Stage::Challenged(_), Some(front)) => {
                Err(handshake::suspect(protocol, front).unwrap_or(Refusal::Truncated))
            }
            _ => Err(Refusal::Truncated),
        };
        if let Err(why) = ended {
            self.stage = Stage::Failed(self.stage.credential(), why);
        }
        ended
    }

    /// As a server whose client is late with its proof: what is wrong with what has arrived of it,
    /// if that can be seen.
    pub fn suspect(&self, protocol: &Protocol) -> Option<Refusal> {
        match self.stage {
            Stage::Challenged(_) => handshake::suspect(protocol, self.partial.taken().front),
            _ => None,
        }
    }

    /// The peer did what it must not do, so the session is over, and each later call says so.
    pub(super) fn fail(&mut self, why: Refusal) -> Refusal {
        self.stage = Stage::Failed(self.stage.credential(), why);
        why
    }
}
