//! Frames: a type, a length of three bytes, and a body; and the sizes of their fixed parts.

use alloc::vec::Vec;

/// The first bytes of a client, which no other protocol begins with, neither text nor TLS.
pub(crate) const MAGIC: [u8; 8] = *b"\x9ecsgn/1\n";

/// The only version.
pub(crate) const VERSION: u8 = 1;

/// The bytes of a nonce, of either end.
pub(crate) const NONCE: usize = 32;

/// The bytes of a proof, of either end.
pub(crate) const PROOF: usize = 32;

/// The status of a server that continues, in its hello and in its acceptance; the only one.
pub(crate) const STATUS: u8 = 0;

/// The nonce that a server sends first, without a header.
pub(crate) type Nonce = [u8; NONCE];

/// Type and length.
pub(crate) const HEADER: usize = 4;

/// The longest hello, with its header; a client's with the magic too.
pub const HELLO_MAX: usize = 512;

/// The longest body that a length field can hold.
pub(crate) const BODY_MAX: usize = (1 << 24) - 1;

/// The types of the handshake.
pub(crate) const HELLO: u8 = 0x01;
pub(crate) const SERVER_HELLO: u8 = 0x02;
pub(crate) const CONFIRM: u8 = 0x03;
pub(crate) const ACCEPT: u8 = 0x04;
pub(crate) const REFUSAL: u8 = 0x05;

/// The front of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: u8,
    /// The bytes of the body.
    pub(crate) length: usize,
}

impl Header {
    pub(crate) fn read([kind, a, b, c]: [u8; HEADER]) -> Self {
        Self { kind, length: read_length([a, b, c]) }
    }

    /// The header of the frame that begins at this place, if one does.
    #[inline]
    pub(crate) fn at(bytes: &[u8], place: usize) -> Option<Self> {
        bytes.get(place..)?.first_chunk().copied().map(Self::read)
    }

    /// The length is at most [`BODY_MAX`]; all limits are lower.
    pub(crate) fn bytes(self) -> [u8; HEADER] {
        debug_assert!(self.length <= BODY_MAX, "limits are capped below what a length can tell");
        let [.., a, b, c] = self.length.to_be_bytes();
        [self.kind, a, b, c]
    }
}

/// The number that a length of three bytes stands for.
#[inline(always)]
pub(crate) fn read_length([a, b, c]: [u8; 3]) -> usize {
    usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c)
}

/// Appends a frame.
pub(crate) fn write(kind: u8, body: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&Header { kind, length: body.len() }.bytes());
    out.extend_from_slice(body);
}
