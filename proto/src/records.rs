//! Records: each message with a number and a tag, in either direction.
//!
//! `type u8 || length u24 || payload || tag[16]`; the tag is the front of HMAC-SHA256 over the
//! record's number and all that stands before the tag. The number is not sent: both ends count, so
//! a record that is missing, doubled, moved or turned back fits no tag.

pub(crate) mod batch;

use alloc::vec::Vec;
use core::fmt;

use hmac::digest::block_api::{Buffer, CoreProxy};
use hmac::{Hmac, KeyInit as _, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::handshake::countersign::frame::{BODY_MAX, HEADER, Header};
use crate::partial_frame::{FrameStatus, Taken, head};
use crate::refusal::Refusal;

pub(crate) use batch::{BATCH, DATA, FRAME, TAG};

/// The longest payload of a ping.
const PING_MAX: usize = 125;

/// The types of records that hold no messages.
const PING: u8 = 0x11;
const PONG: u8 = 0x12;
const CLOSE: u8 = 0x13;

type HmacSha256 = Hmac<Sha256>;
type Core = <HmacSha256 as CoreProxy>::Core;

/// What authenticates the records of one direction: its key, and the number of the next record.
pub(crate) struct RecordMac {
    /// The HMAC with the pads absorbed, without the buffer that it needs only at work.
    keyed: Core,
    next: u64,
}

impl RecordMac {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        let (keyed, _) = keyed(key).decompose();
        Self { keyed, next: 0 }
    }

    /// The HMAC of the next record, of which this is everything before the tag.
    fn mac(&mut self, record: &[u8]) -> HmacSha256 {
        let mut mac = HmacSha256::compose(self.keyed.clone(), Buffer::<Core>::default());
        mac.update(&self.next.to_be_bytes());
        mac.update(record);
        // 2^64 records are more than a connection lives to see.
        self.next = self.next.wrapping_add(1);
        mac
    }

    /// Fills in the tag of a record.
    pub(crate) fn seal(&mut self, record: &mut [u8]) {
        if let Some((front, tag)) = record.split_last_chunk_mut::<TAG>() {
            let full = self.mac(front).finalize().into_bytes();
            tag.copy_from_slice(&full[..TAG]);
        }
    }

    /// Whether a record has the tag that it must have; compared in constant time.
    pub(crate) fn opens(&mut self, record: &[u8]) -> bool {
        let split = record.split_last_chunk::<TAG>();
        split.is_some_and(|(front, tag)| self.mac(front).verify_truncated_left(tag).is_ok())
    }
}

/// The HMAC with its key absorbed, which it pads with zeros to a block of the hash.
pub(crate) fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    let mut block = Zeroizing::new([0; 64]);
    block[..32].copy_from_slice(key);
    Hmac::new((&*block).into())
}

/// Both directions of a connection, from one end's point of view.
#[derive(Debug)]
pub(crate) struct Records {
    ours: RecordMac,
    theirs: RecordMac,
    /// The longest record that the other end takes.
    record_max: usize,
    /// What of the handshake's stands in front of all that is sealed first, and is ready as it is.
    front: usize,
    /// Our good-bye is said.
    said_close: bool,
    /// The other end's is heard.
    heard_close: bool,
}

/// What a record says.
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

/// The peer does not accept a message of this length. What stands before it can be sent; nothing
/// may follow that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealError {
    /// How many bytes can be sent.
    pub ready: usize,
}

impl fmt::Display for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message is longer than the peer accepts")
    }
}

impl core::error::Error for SealError {}

impl Records {
    /// What both ends have agreed upon: a key for each direction, and the longest record that the
    /// other end takes.
    pub(crate) fn new(ours: RecordMac, theirs: RecordMac, record_max: u32) -> Self {
        let record_max = usize::try_from(record_max).unwrap_or(usize::MAX).min(BODY_MAX);
        Self { ours, theirs, record_max, front: 0, said_close: false, heard_close: false }
    }

    /// With so many bytes in front of what is sealed first that are left alone: who has foreseen
    /// what we say may have said two things at once, and has them answered at once.
    pub(crate) fn behind(self, front: usize) -> Self {
        Self { front, ..self }
    }

    /// Whether the other end takes a message of so many bytes.
    pub(crate) fn takes(&self, length: usize) -> bool {
        length + TAG <= self.record_max
    }

    /// Whether our good-bye is said, which nothing may follow.
    pub(crate) fn said_close(&self) -> bool {
        self.said_close
    }

    /// Whether the other end has said that no record follows.
    pub(crate) fn heard_close(&self) -> bool {
        self.heard_close
    }

    /// How far the record reaches of which this was taken already. Judges it by its header, so
    /// that nothing is kept of one that is refused.
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

    /// Takes what stands before the first record of a server's.
    pub(crate) fn accept(&mut self, frame: &[u8]) -> Result<(), Refusal> {
        if self.theirs.opens(frame) { Ok(()) } else { Err(Refusal::BadRecord) }
    }

    /// What a whole record says, if its tag is that of the next one.
    pub(crate) fn open<'a>(&mut self, frame: &'a [u8]) -> Result<Record<'a>, Refusal> {
        if self.heard_close || !self.theirs.opens(frame) {
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
                self.heard_close = true;
                Record::Close
            }
        })
    }

    /// Makes the records ready that are about to be sent: puts messages that follow each other into
    /// batches, and fills in the tags. Returns how many bytes are to be sent.
    pub(crate) fn seal(&mut self, out: &mut [u8]) -> Result<usize, SealError> {
        let mut read = core::mem::take(&mut self.front);
        let mut ready = read;
        while let Some(header) = Header::at(out, read) {
            if header.length > self.record_max {
                return Err(SealError { ready });
            }
            let start = ready;
            (read, ready) = match batch::pack(out, read, ready, self.record_max) {
                Some(packed) => packed,
                None => {
                    let end = read + HEADER + header.length;
                    out.copy_within(read..end, ready);
                    (end, ready + end - read)
                }
            };
            self.seal_next(&mut out[start..ready]);
        }
        debug_assert!(read == out.len(), "what is sent are whole frames");
        Ok(ready)
    }

    /// Fills in the tags of records that were appended just now, behind what is ready.
    pub(crate) fn seal_appended(&mut self, records: &mut [u8]) {
        self.front = 0;
        let ready = self.seal(records);
        debug_assert!(ready == Ok(records.len()), "one record, and none that is too long");
    }

    /// Fills in the tag of our next record.
    pub(crate) fn seal_next(&mut self, record: &mut [u8]) {
        self.ours.seal(record);
    }

    /// Appends the echo of a ping, unless our good-bye is said, which nothing may follow.
    pub(crate) fn echo(&self, payload: &[u8], out: &mut Vec<u8>) {
        if !self.said_close {
            write(PONG, payload, out);
        }
    }

    /// Appends our good-bye, once.
    pub(crate) fn say_close(&mut self, out: &mut Vec<u8>) {
        if !core::mem::replace(&mut self.said_close, true) {
            write(CLOSE, &[], out);
        }
    }
}

/// The bytes of a record with a message of so many, or of a ping.
pub(crate) fn frame_max(message_max: usize) -> usize {
    message_max.max(PING_MAX) + FRAME
}

/// Makes a record of the message that lies in `out` behind a header's room from `start`, and ends
/// at `end`; its tag is filled in before it is sent. Returns where the record ends.
pub(crate) fn end(out: &mut [u8], start: usize, end: usize) -> usize {
    let end = end + TAG;
    let header = Header { kind: DATA, length: end - start - HEADER };
    out[start..][..HEADER].copy_from_slice(&header.bytes());
    end
}

/// Appends a record that is no message.
fn write(kind: u8, payload: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&Header { kind, length: payload.len() + TAG }.bytes());
    out.extend_from_slice(payload);
    out.extend_from_slice(&[0; TAG]);
}

impl fmt::Debug for RecordMac {
    /// A key is nobody's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordMac").field("next", &self.next).finish_non_exhaustive()
    }
}
