//! Records: each message with a number and a tag, in either direction.
//!
//! `type u8 || length u24 || payload || tag[16]`; the tag is the front of HMAC-SHA256 over the
//! record's number and all that stands before the tag. Where both ends have agreed to seal records,
//! the payload is encrypted, and the tag is that of ChaCha20-Poly1305.

pub(crate) mod batch;
mod cipher;
mod key;

use alloc::vec::Vec;
use core::fmt;

use crate::handshake::countersign::frame::{BODY_MAX, HEADER, Header};
use crate::partial_frame::{FrameStatus, Taken, head};
use crate::refusal::Refusal;

pub(crate) use batch::{BATCH, DATA, FRAME, TAG};
pub(crate) use key::{RecordKey, keyed};

/// The longest payload of a ping.
const PING_MAX: usize = 125;

/// The longest message that a record's length can tell.
pub(crate) const MESSAGE_MAX: usize = BODY_MAX - TAG;

/// The types of records that hold no messages.
const PING: u8 = 0x11;
const PONG: u8 = 0x12;
const CLOSE: u8 = 0x13;

/// Both directions of a connection, from one end's point of view.
#[derive(Debug)]
pub(crate) struct Records {
    ours: RecordKey,
    theirs: RecordKey,
    /// The longest record that the other end accepts.
    record_max: u32,
    /// The bytes of the handshake before the first records to be sealed, which are already ready.
    front: u32,
    /// Records are sealed, once the server has accepted the client.
    is_sealed: bool,
    /// We have sent our close record.
    sent_close: bool,
    /// The other end has sent its own.
    received_close: bool,
}

/// The content of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Record<'a> {
    /// A message.
    Data(&'a [u8]),
    /// One message or more, each behind its [length](batch).
    Batch(&'a [u8]),
    /// To be echoed.
    Ping(&'a [u8]),
    /// The echo of a ping.
    Pong(&'a [u8]),
    /// No record follows.
    Close,
}

/// A message is longer than the peer accepts. The messages before it can still be sent, and nothing
/// after them: close the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SealError {
    /// The bytes at the front of the output that can be sent.
    pub ready: usize,
}

impl fmt::Display for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message is longer than the peer accepts; split it")
    }
}

impl core::error::Error for SealError {}

impl Records {
    /// Records with a key for each direction, and the longest record that the other end accepts.
    pub(crate) fn new(ours: RecordKey, theirs: RecordKey, record_max: u32) -> Self {
        Self {
            ours,
            theirs,
            record_max,
            front: 0,
            is_sealed: false,
            sent_close: false,
            received_close: false,
        }
    }

    /// The same, with sealing or without.
    pub(crate) fn with_sealing(self, is_sealed: bool) -> Self {
        Self { is_sealed, ..self }
    }

    /// Whether records are sealed.
    #[inline]
    pub(crate) fn is_sealed(&self) -> bool {
        self.is_sealed
    }

    /// Seals what we send from now on, if records are sealed. Before that, it has tags.
    pub(crate) fn start_sending(&mut self) {
        if self.is_sealed {
            self.ours.start_sealing();
        }
    }

    /// Expects sealed records from now on, if records are sealed.
    pub(crate) fn start_receiving(&mut self) {
        if self.is_sealed {
            self.theirs.start_sealing();
        }
    }

    /// The same, with this many bytes before the first records to be sealed: a client may send its
    /// proof and a message together, so the acceptance and a reply may be in one buffer.
    pub(crate) fn behind(self, front: usize) -> Self {
        Self { front: u32::try_from(front).unwrap_or(u32::MAX), ..self }
    }

    /// Whether the other end accepts a message of this length.
    pub(crate) fn takes(&self, length: usize) -> bool {
        length + TAG <= self.record_max()
    }

    /// The longest record that the other end accepts, at most what a length field can hold.
    fn record_max(&self) -> usize {
        wide(self.record_max).min(BODY_MAX)
    }

    /// Whether we have sent our close record, after which nothing may follow.
    pub(crate) fn sent_close(&self) -> bool {
        self.sent_close
    }

    /// Whether the other end has sent its close record.
    pub(crate) fn received_close(&self) -> bool {
        self.received_close
    }

    /// How far the record reaches of which `taken` has arrived before. Checks the header, so that
    /// nothing of a refused record is buffered.
    #[inline]
    pub(crate) fn scan(
        taken: Taken<'_>,
        input: &[u8],
        message_max: usize,
    ) -> Result<FrameStatus, Refusal> {
        let Some(header) = head(taken, input).map(Header::read) else {
            return Ok(FrameStatus::Partial);
        };
        let payload = header.length.checked_sub(TAG).ok_or(Refusal::BadRecord)?;
        match header.kind {
            DATA | BATCH if payload > message_max => Err(Refusal::MessageTooLong),
            DATA => Ok(()),
            BATCH if payload >= batch::LENGTH => Ok(()),
            PING | PONG if payload <= PING_MAX => Ok(()),
            CLOSE if payload == 0 => Ok(()),
            _ => Err(Refusal::BadRecord),
        }?;
        Ok(FrameStatus::of(HEADER + header.length - taken.length, input))
    }

    /// Verifies the server's acceptance, which precedes its first record.
    pub(crate) fn accept(&mut self, frame: &[u8]) -> Result<(), Refusal> {
        let is_right = self.theirs.verify(frame);
        self.start_receiving();
        if is_right { Ok(()) } else { Err(Refusal::BadRecord) }
    }

    /// The content of a complete record, if its tag is that of the next record.
    pub(crate) fn open<'a>(&mut self, frame: &'a [u8]) -> Result<Record<'a>, Refusal> {
        let is_right = self.theirs.verify(frame);
        self.read(frame, is_right)
    }

    /// The same for a sealed record, which is decrypted in place.
    pub(crate) fn unseal<'a>(&mut self, frame: &'a mut [u8]) -> Result<Record<'a>, Refusal> {
        let is_right = self.theirs.unseal(frame);
        self.read(frame, is_right)
    }

    /// The content of a record that was verified.
    fn read<'a>(&mut self, frame: &'a [u8], is_right: bool) -> Result<Record<'a>, Refusal> {
        if self.received_close || !is_right {
            return Err(Refusal::BadRecord);
        }
        let payload = &frame[HEADER..frame.len() - TAG];
        Ok(match frame[0] {
            DATA => Record::Data(payload),
            BATCH if batch::is_well_formed(payload) => Record::Batch(payload),
            BATCH => return Err(Refusal::BadRecord),
            PING => Record::Ping(payload),
            PONG => Record::Pong(payload),
            _ => {
                self.received_close = true;
                Record::Close
            }
        })
    }

    /// Makes records ready to be sent: packs messages that follow each other into batches, and adds
    /// the tags. Returns how many bytes are to be sent.
    pub(crate) fn seal(&mut self, out: &mut [u8]) -> Result<usize, SealError> {
        let record_max = self.record_max();
        let mut read = wide(core::mem::take(&mut self.front));
        let mut ready = read;
        while let Some(header) = Header::at(out, read) {
            if header.length > record_max {
                return Err(SealError { ready });
            }
            let start = ready;
            (read, ready) = match batch::pack(out, read, ready, record_max) {
                Some(packed) => packed,
                None => {
                    let end = read + HEADER + header.length;
                    out.copy_within(read..end, ready);
                    (end, ready + end - read)
                }
            };
            self.seal_next(&mut out[start..ready]);
        }
        debug_assert!(read == out.len(), "only complete frames are sent");
        Ok(ready)
    }

    /// Makes records ready to be sent that were appended after `start`.
    pub(crate) fn seal_appended(&mut self, out: &mut Vec<u8>, start: usize) {
        self.front = 0;
        let ready = self.seal(&mut out[start..]);
        debug_assert!(ready.is_ok(), "no record is longer than the other end accepts");
        out.truncate(start + ready.unwrap_or_else(|error| error.ready));
    }

    /// Protects our next record.
    pub(crate) fn seal_next(&mut self, record: &mut [u8]) {
        self.ours.protect(record);
    }

    /// Appends the echo of a ping, unless we have sent our close record.
    pub(crate) fn echo(&self, payload: &[u8], out: &mut Vec<u8>) {
        if !self.sent_close {
            write(PONG, payload, out);
        }
    }

    /// Appends our close record, once.
    pub(crate) fn close(&mut self, out: &mut Vec<u8>) {
        if !core::mem::replace(&mut self.sent_close, true) {
            write(CLOSE, &[], out);
        }
    }
}

/// A length from its 32-bit form, which takes less memory in each connection.
fn wide(length: u32) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

/// The bytes of a record with a message of this length, or with a ping.
pub(crate) fn frame_max(message_max: usize) -> usize {
    message_max.max(PING_MAX) + FRAME
}

/// Makes a record of the message that ends at `end`, with room for its header from `start` on. The
/// tag is added when it is sealed. Returns where the record ends.
pub(crate) fn end(out: &mut [u8], start: usize, end: usize) -> usize {
    let end = end + TAG;
    let header = Header { kind: DATA, length: end - start - HEADER };
    out[start..][..HEADER].copy_from_slice(&header.bytes());
    end
}

/// Appends a record without a message.
fn write(kind: u8, payload: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&Header { kind, length: payload.len() + TAG }.bytes());
    out.extend_from_slice(payload);
    out.extend_from_slice(&[0; TAG]);
}
