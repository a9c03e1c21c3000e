//! What the handshake of `multiprocessing` travels in: length frames, as messages do, but short.

use alloc::vec::Vec;

use crate::framing::{FrameFormat, length};
use crate::partial_frame::{FrameStatus, Taken, front, head};
use crate::refusal::{ForeignProtocol, Refusal};

/// The longest message, without its header.
const MESSAGE_MAX: usize = 256;

/// The same with it.
pub(crate) const FRAME_MAX: usize = length::HEADER + MESSAGE_MAX;

/// The reach of the message at the front of the input, judged by its header.
pub(crate) fn scan(taken: Taken<'_>, input: &[u8]) -> Result<FrameStatus, Refusal> {
    let Some(header) = head::<{ length::HEADER }>(taken, input) else {
        return Ok(FrameStatus::Partial);
    };
    // A length of -1, behind which a longer one stands, is none here.
    let fault = match usize::try_from(i32::from_be_bytes(header)) {
        Ok(length) if length <= MESSAGE_MAX => {
            return Ok(FrameStatus::of(length::HEADER + length - taken.length, input));
        }
        Ok(_) => Refusal::MessageTooLong,
        Err(_) => Refusal::BadLength,
    };
    Err(match ForeignProtocol::of(&front::<16>(taken, input)) {
        ForeignProtocol::Other => fault,
        opening => Refusal::Foreign(opening),
    })
}

/// Appends a message.
pub(crate) fn write_message(parts: &[&[u8]], out: &mut Vec<u8>) {
    let start = out.len();
    FrameFormat::Length.begin(out);
    parts.iter().for_each(|part| out.extend_from_slice(part));
    FrameFormat::Length.end(out, start);
}
