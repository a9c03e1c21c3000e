//! Chunks: what one read returns is one message.
//!
//! This is not a real framing: the network decides where a message ends. It serves programs that
//! call `recv(1024)` and take the result as one message.

use crate::partial_frame::FrameStatus;

/// How much a server takes for one message.
pub const CHUNK_MAX: usize = 1024;

/// All that is there is the message, up to `max` bytes.
pub(crate) fn scan(input: &[u8], max: usize) -> FrameStatus {
    if input.is_empty() { FrameStatus::Partial } else { FrameStatus::Whole(input.len().min(max)) }
}
