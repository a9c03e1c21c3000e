//! Sending messages.

use alloc::vec::Vec;
use core::fmt;

use crate::framing::FrameFormat;
use crate::session::Session;

/// Why a message can't be sent. Nothing was appended, and the session continues as before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The handshake is not over, or the session has failed or [finished](Session::finish).
    NotOpen,
    /// The framing can't carry such a message: see [`FrameFormat::carries`].
    Unframeable,
    /// The peer does not accept a message of this length.
    TooLong,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotOpen => "the handshake is not over, or the session has ended",
            Self::Unframeable => "the framing can't carry such a message; use records or length",
            Self::TooLong => "the message is longer than the peer accepts; split it",
        })
    }
}

impl core::error::Error for SendError {}

impl Session {
    /// Appends a message that isn't a reply, ready to be sent.
    ///
    /// # Errors
    ///
    /// The message can't be sent: see [`SendError`].
    pub fn send(&mut self, message: &[u8], out: &mut Vec<u8>) -> Result<(), SendError> {
        self.reply(self.core.form(&self.config), message, out)
    }

    /// Appends several messages, ready to be sent. The peer receives the same messages as from
    /// [`send`](Self::send), but in `countersign/1` they share records, which is cheaper at both
    /// ends.
    ///
    /// # Errors
    ///
    /// One of them can't be sent: see [`SendError`]. Then none was appended.
    pub fn send_all<'m>(
        &mut self,
        messages: impl IntoIterator<Item = &'m [u8]>,
        out: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        let (start, form) = (out.len(), self.core.form(&self.config));
        for message in messages {
            if let Err(error) = self.check(form, message) {
                out.truncate(start);
                return Err(error);
            }
            form.frame(message, out);
        }
        if let Some(records) = self.core.state.records_mut() {
            records.seal_appended(out, start);
        }
        Ok(())
    }

    /// Appends a reply, ready to be sent, to a message that has arrived in this
    /// [form](crate::Message::form): in `lines`, a reply ends as its request did.
    ///
    /// # Errors
    ///
    /// The message can't be sent: see [`SendError`].
    pub fn reply(
        &mut self,
        form: FrameFormat,
        message: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        self.check(form, message)?;
        let start = out.len();
        form.frame(message, out);
        if let Some(records) = self.core.state.records_mut() {
            debug_assert!(
                form == FrameFormat::Record,
                "it is the form of a message of this session"
            );
            records.seal_appended(out, start);
        }
        Ok(())
    }

    /// Whether such a message can be sent.
    fn check(&self, form: FrameFormat, message: &[u8]) -> Result<(), SendError> {
        match () {
            () if !self.core.state.may_send() => Err(SendError::NotOpen),
            () if !form.carries(message) => Err(SendError::Unframeable),
            () if !self.takes(message.len()) => Err(SendError::TooLong),
            () => Ok(()),
        }
    }
}
