//! Bytes in blocks of one size.
//!
//! What peers leave unfinished comes and goes in all lengths and in any order. In buffers of those
//! lengths it would leave holes in the heap that the next, longer one doesn't fit, and the process
//! would grow far beyond what is kept. A block fits wherever another one was.

use alloc::boxed::Box;
use core::fmt;

/// What a block counts for: its bytes, and what an allocator puts beside them.
const BLOCK: usize = 1024;

/// The bytes that a block has room for: of 1,000 bytes in all, the common allocators take no more
/// than [`BLOCK`] from the system.
const ROOM: usize = 1000 - size_of::<Option<Box<Block>>>();

/// A queue of bytes that grows at its end.
#[derive(Default)]
pub struct Blocks {
    first: Option<Box<Block>>,
    /// The last one, where there are several. Each leads to the one before it, down to the second.
    last: Option<Box<Block>>,
    /// The bytes in all of them. Every block but the last is full.
    length: usize,
}

struct Block {
    bytes: [u8; ROOM],
    before: Option<Box<Self>>,
}

impl Blocks {
    /// What this many bytes count for.
    #[must_use]
    pub const fn taken_by(length: usize) -> usize {
        length.div_ceil(ROOM).saturating_mul(BLOCK)
    }

    /// What they count for.
    #[must_use]
    pub fn taken(&self) -> usize {
        Self::taken_by(self.length)
    }

    /// How many bytes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The bytes of the first block: all of them, where one block has room for them.
    #[must_use]
    pub fn front(&self) -> &[u8] {
        self.first.as_ref().map_or(&[], |first| &first.bytes[..self.length.min(ROOM)])
    }

    /// The same to be changed.
    pub(crate) fn front_mut(&mut self) -> &mut [u8] {
        let length = self.length.min(ROOM);
        self.first.as_mut().map_or(&mut [], |first| &mut first.bytes[..length])
    }

    /// The last byte.
    #[must_use]
    pub fn last(&self) -> Option<u8> {
        let block = self.last.as_ref().or(self.first.as_ref())?;
        Some(block.bytes[(self.length - 1) % ROOM])
    }

    /// Whether one block has room for this many bytes.
    #[must_use]
    pub fn fit_one(length: usize) -> bool {
        length <= ROOM
    }

    /// Appends these bytes.
    pub fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let at = self.length % ROOM;
            let block =
                if at == 0 { self.grow() } else { self.last.as_mut().or(self.first.as_mut()) };
            let Some(block) = block else { return };
            let (now, later) = bytes.split_at(bytes.len().min(ROOM - at));
            block.bytes[at..][..now.len()].copy_from_slice(now);
            self.length += now.len();
            bytes = later;
        }
    }

    /// Adds an empty block, and returns it.
    fn grow(&mut self) -> Option<&mut Box<Block>> {
        let block = |before| Box::new(Block { bytes: [0; ROOM], before });
        if self.first.is_none() {
            return Some(self.first.insert(block(None)));
        }
        let before = self.last.take();
        Some(self.last.insert(block(before)))
    }

    /// Copies the bytes from a place on, as many as there are and as there is room for. Says how
    /// many those were.
    pub fn copy(&self, from: usize, into: &mut [u8]) -> usize {
        let end = self.length.min(from.saturating_add(into.len()));
        let mut number = self.length.div_ceil(ROOM);
        let mut block = self.last.as_ref();
        while number > 0 {
            number -= 1;
            let place = if number == 0 { self.first.as_ref() } else { block };
            let Some(here) = place else { break };
            let start = number * ROOM;
            let (low, high) = (start.max(from), (start + ROOM).min(end));
            if low < high {
                into[low - from..high - from]
                    .copy_from_slice(&here.bytes[low - start..high - start]);
            }
            block = here.before.as_ref();
        }
        end.saturating_sub(from)
    }
}

impl From<&[u8]> for Blocks {
    fn from(bytes: &[u8]) -> Self {
        let mut blocks = Self::default();
        blocks.push(bytes);
        blocks
    }
}

impl Drop for Blocks {
    /// One after the other: a long message has more blocks than a stack has room for calls.
    fn drop(&mut self) {
        let mut last = self.last.take();
        while let Some(mut block) = last {
            last = block.before.take();
        }
    }
}

impl fmt::Debug for Blocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blocks").field("length", &self.length).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn blocks_are_what_a_plain_vector_is(
            pieces in prop::collection::vec(0..3 * ROOM, 0..6),
            (from, room) in (0..9 * ROOM, 0..9 * ROOM),
        ) {
            let (mut blocks, mut plain) = (Blocks::default(), Vec::new());
            for (number, length) in (1..).zip(pieces) {
                let piece: Vec<u8> = (0..251).cycle().skip(number).take(length).collect();
                blocks.push(&piece);
                plain.extend(piece);
                prop_assert_eq!(blocks.len(), plain.len());
                prop_assert_eq!(blocks.front(), &plain[..plain.len().min(ROOM)]);
                prop_assert_eq!(blocks.last(), plain.last().copied());
                prop_assert_eq!(blocks.taken(), plain.len().div_ceil(ROOM) * BLOCK);
            }
            let mut copy = vec![0; room];
            let length = blocks.copy(from, &mut copy);
            let rest = plain.get(from..).unwrap_or_default();
            prop_assert_eq!(&copy[..length], &rest[..rest.len().min(room)]);
        }
    }

    #[test]
    fn a_long_message_is_dropped_on_a_short_stack() {
        let long = vec![b'x'; 64 << 20];
        let dropping = std::thread::Builder::new().stack_size(64 << 10);
        dropping.spawn(move || drop(Blocks::from(&long[..]))).unwrap().join().unwrap();
    }

    #[test]
    fn one_block_has_room_for_what_it_counts_for() {
        for length in [0, 1, ROOM] {
            assert!(Blocks::fit_one(length) && Blocks::taken_by(length) <= BLOCK, "{length}");
        }
        assert!(!Blocks::fit_one(ROOM + 1) && Blocks::taken_by(ROOM + 1) == 2 * BLOCK);
    }

    #[test]
    fn a_block_is_as_long_as_it_is_said_to_be() {
        assert_eq!(size_of::<Block>(), 1000);
    }
}
