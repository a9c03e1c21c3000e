//! The buffer that replies are written to.

/// The buffer that replies are written to, as long from the start as it will ever be.
///
/// What is written behind the part that was kept counts only once it is kept too: a reply that is
/// given up half-way, even by a panic, leaves nothing.
#[derive(Debug)]
pub(crate) struct Outbox {
    bytes: Box<[u8]>,
    /// How much of it was kept.
    length: usize,
}

impl Outbox {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { bytes: vec![0; capacity].into(), length: 0 }
    }

    /// What is to be sent.
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// The same, to be sealed.
    #[inline]
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.length]
    }

    /// Forgets what stands behind so many bytes.
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

    /// The room behind what was kept, at most so many bytes of it.
    #[inline(always)]
    pub(crate) fn room(&mut self, max: usize) -> &mut [u8] {
        let room = &mut self.bytes[self.length..];
        let max = max.min(room.len());
        &mut room[..max]
    }

    /// Keeps so many bytes of what was written to the room.
    #[inline(always)]
    pub(crate) fn keep(&mut self, length: usize) {
        self.length += length;
    }

    /// Moves what the session has to say itself to the end.
    pub(crate) fn append(&mut self, bytes: &mut Vec<u8>) {
        let length = bytes.len();
        self.room(length).copy_from_slice(bytes);
        self.keep(length);
        bytes.clear();
    }

    pub(crate) fn capacity(&self) -> usize {
        self.bytes.len()
    }
}
