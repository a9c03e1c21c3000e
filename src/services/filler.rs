//! Messages whose content doesn't matter.

use crate::contract::reply::Reply;

/// The bytes that messages consist of: lines can have them, too.
const FILLER: [u8; 4096] = [b'x'; 4096];

/// Writes a message of this many bytes.
pub(super) fn fill(length: usize, reply: &mut Reply<'_>) {
    let mut left = length;
    while left > 0 {
        let part = left.min(FILLER.len());
        reply.append(&FILLER[..part]);
        left -= part;
    }
    reply.end();
}
