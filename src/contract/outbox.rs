//! The loop's buffer for replies.

/// The loop's buffer for replies, allocated once with its full length.
///
/// Bytes written after the kept part count only once they are kept too: a reply that is abandoned
/// half-way, even by a panic, leaves nothing behind.
#[derive(Debug)]
pub(crate) struct Outbox {
    bytes: Box<[u8]>,
    /// The length of the kept part.
    length: usize,
}

impl Outbox {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { bytes: vec![0; capacity].into(), length: 0 }
    }

    /// The bytes to send.
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// The same, to be sealed.
    #[inline]
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.length]
    }

    /// Discards everything after this many bytes.
    #[inline]
    pub(crate) fn cut(&mut self, length: usize) {
        self.length = self.length.min(length);
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    #[inline]
    pub(crate) fn clear(&mut self) {
        self.length = 0;
    }

    /// All bytes, and how many of them are kept.
    #[inline(always)]
    pub(crate) fn parts(&mut self) -> (&mut [u8], &mut usize) {
        (&mut self.bytes, &mut self.length)
    }

    /// Appends the session's own output, and empties it.
    pub(crate) fn append(&mut self, bytes: &mut Vec<u8>) {
        let end = self.length + bytes.len();
        self.bytes[self.length..end].copy_from_slice(bytes);
        self.length = end;
        bytes.clear();
    }

    pub(crate) fn capacity(&self) -> usize {
        self.bytes.len()
    }
}
