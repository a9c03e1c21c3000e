//! Chunks: what one read returns is one message.
//!
//! This is no framing at all: where a message is cut is up to the network. It is what programs do
//! that call `recv(1024)` and take what they get for one message, and it serves those.

use crate::partial_frame::FrameStatus;

/// How much a server takes for one message.
pub const CHUNK_MAX: usize = 1024;

/// All that is there is the message, up to `max` bytes.
pub(crate) fn scan(input: &[u8], max: usize) -> FrameStatus {
    if input.is_empty() { FrameStatus::Partial } else { FrameStatus::Whole(input.len().min(max)) }
}
