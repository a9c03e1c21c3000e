//! The bytes of a frame (a proof, a message) that has arrived only in part.
//!
//! A frame that lies whole in the input is lent from there and never copied. Only one that a read
//! has cut is buffered here, in blocks of one size, and those are freed once the frame was
//! delivered: a connection owns bytes only while it is blocked.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::blocks::Blocks;

/// Whether the frame at the front of the input is whole, as `httparse::Status` says it of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FrameStatus {
    /// The frame is complete with this many more bytes.
    Whole(usize),
    /// All that is there belongs to it, and it is not whole.
    Partial,
}

impl FrameStatus {
    /// The extent of a frame of which `missing` bytes have not been taken yet.
    pub(crate) fn of(missing: usize, input: &[u8]) -> Self {
        if missing <= input.len() { Self::Whole(missing) } else { Self::Partial }
    }
}

/// What is known of the part of a frame that was taken already.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Taken<'a> {
    /// Its front: all of it, where it is no longer than a frame of a handshake.
    pub(crate) front: &'a [u8],
    /// Its length.
    pub(crate) length: usize,
    /// Its last byte.
    pub(crate) last: Option<u8>,
}

#[cfg(test)]
impl<'a> From<&'a [u8]> for Taken<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self { front: bytes, length: bytes.len(), last: bytes.last().copied() }
    }
}

/// The first `N` bytes of a frame of which this was taken already, wherever they lie.
pub(crate) fn head<const N: usize>(taken: Taken<'_>, input: &[u8]) -> Option<[u8; N]> {
    if let Some(head) = taken.front.first_chunk() {
        return Some(*head);
    }
    let mut head = [0; N];
    let (old, new) = head.split_at_mut(taken.front.len());
    old.copy_from_slice(taken.front);
    new.copy_from_slice(input.get(..new.len())?);
    Some(head)
}

/// The first `N` bytes of it that are there, and zeros behind them.
pub(crate) fn front<const N: usize>(taken: Taken<'_>, input: &[u8]) -> [u8; N] {
    let mut front = [0; N];
    let bytes = taken.front.iter().chain(input);
    front.iter_mut().zip(bytes).for_each(|(place, byte)| *place = *byte);
    front
}

/// The frame that a read has cut, or nothing.
#[derive(Debug, Default)]
pub(crate) struct PartialFrame(Option<Box<FrameBuffer>>);

/// The buffered bytes of a frame.
#[derive(Debug, Default)]
struct FrameBuffer {
    /// The frame's bytes so far.
    bytes: Blocks,
    /// The whole frame in one piece, for as long as it is lent, where one block has no room for it.
    whole: Vec<u8>,
    /// The frame is whole and was lent to the caller: the next call drops it.
    delivered: bool,
    /// Only the rest of the frame is kept, in the blocks; `whole` is the part of it that is lent.
    parked: bool,
}

impl PartialFrame {
    /// What a cut frame takes beside its bytes.
    pub(crate) const BOX: usize = size_of::<FrameBuffer>();

    /// What is there of an unfinished frame.
    #[inline]
    pub(crate) fn taken(&self) -> Taken<'_> {
        match &self.0 {
            Some(buffer) if !buffer.delivered => {
                let FrameBuffer { bytes, .. } = &**buffer;
                Taken { front: bytes.front(), length: bytes.len(), last: bytes.last() }
            }
            _ => Taken::default(),
        }
    }

    /// Whether nothing is kept, not even a frame that was delivered.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The bytes of memory in use.
    pub(crate) fn memory(&self) -> usize {
        let taken = |buffer: &FrameBuffer| buffer.bytes.taken() + buffer.whole.capacity();
        self.0.as_deref().map_or(0, taken)
    }

    /// Forgets a frame that was delivered; to be called before the next one is sought.
    #[inline]
    pub(crate) fn release(&mut self) {
        if self.0.as_ref().is_some_and(|buffer| buffer.delivered) {
            self.0 = None;
        }
    }

    /// Whether a frame that was gathered here was delivered, and is not forgotten yet.
    #[inline]
    pub(crate) fn is_delivered(&self) -> bool {
        self.0.as_ref().is_some_and(|buffer| buffer.delivered)
    }

    /// Of the frame that was delivered last, the `left` bytes in front of the last `behind`: all of
    /// them, or, where they were [parked](Self::park), the first `window` of them.
    #[inline]
    pub(crate) fn rest(&mut self, (left, behind): (usize, usize), window: usize) -> &[u8] {
        let Some(buffer) = &mut self.0 else { return &[] };
        if buffer.parked {
            return buffer.window(left, window);
        }
        let frame = buffer.frame();
        &frame[frame.len() - behind - left..][..left]
    }

    /// Of the frame that was delivered last, keeps only the `left` bytes in front of the last
    /// `behind`, and those in blocks: the next call may be far off.
    #[cold]
    pub(crate) fn park(&mut self, (left, behind): (usize, usize)) {
        if let Some(buffer) = self.0.as_mut().filter(|buffer| !buffer.whole.is_empty()) {
            let whole = core::mem::take(&mut buffer.whole);
            if !core::mem::replace(&mut buffer.parked, true) {
                buffer.bytes = whole[whole.len() - behind - left..][..left].into();
            }
        }
    }

    /// Forgets all of it: the frame won't be finished.
    pub(crate) fn discard(&mut self) {
        self.0 = None;
    }

    /// Takes the frame at the front of the input, which is nowhere longer than `max` bytes.
    ///
    /// Returns `None`, and has taken all of the input, while the frame isn't whole.
    #[inline]
    pub(crate) fn take<'s, 'i: 's>(
        &'s mut self,
        extent: FrameStatus,
        input: &mut &'i [u8],
        max: usize,
    ) -> Option<&'s [u8]> {
        let (frame, whole) = match extent {
            FrameStatus::Whole(length) => (input.split_off(..length)?, true),
            FrameStatus::Partial => (core::mem::take(input), false),
        };
        match &mut self.0 {
            None if whole => Some(frame),
            None if frame.is_empty() => None,
            held => {
                let buffer = held.get_or_insert_default();
                let length = buffer.bytes.len() + frame.len();
                debug_assert!(
                    length <= max,
                    "the framings refuse a longer frame before it is kept"
                );
                if whole {
                    return Some(buffer.deliver(frame));
                }
                buffer.bytes.push(frame);
                None
            }
        }
    }

    /// Takes the frame as [`take`](Self::take) does, into a buffer of ours in any case: for one
    /// that is decrypted in place.
    pub(crate) fn take_owned(
        &mut self,
        extent: FrameStatus,
        input: &mut &[u8],
        max: usize,
    ) -> Option<&mut [u8]> {
        if let (FrameStatus::Whole(length), None) = (extent, &self.0) {
            let whole = input.split_off(..length)?.to_vec();
            let buffer = FrameBuffer { whole, delivered: true, ..FrameBuffer::default() };
            self.0 = Some(Box::new(buffer));
        } else {
            self.take(extent, input, max)?;
        }
        self.0.as_mut().map(|buffer| buffer.frame_mut())
    }

    /// Takes a frame of exactly `length` bytes, as [`take`](Self::take) does.
    pub(crate) fn exactly<'s, 'i: 's>(
        &'s mut self,
        length: usize,
        input: &mut &'i [u8],
    ) -> Option<&'s [u8]> {
        let missing = length - self.taken().length;
        self.take(FrameStatus::of(missing, input), input, length)
    }

    /// Takes what is held as the last frame of the stream.
    pub(crate) fn take_rest(&mut self) -> Option<&[u8]> {
        let buffer = self.0.as_mut().filter(|buffer| !buffer.delivered)?;
        Some(buffer.deliver(&[]))
    }
}

impl FrameBuffer {
    /// The whole frame, of which this is the rest. Where it doesn't lie in one block, it is copied
    /// to a buffer that goes when the frame was looked at: there is one at a time.
    fn deliver(&mut self, rest: &[u8]) -> &[u8] {
        self.delivered = true;
        let length = self.bytes.len() + rest.len();
        if Blocks::fit_one(length) {
            self.bytes.push(rest);
        } else {
            self.whole.reserve_exact(length);
            self.whole.resize(self.bytes.len(), 0);
            self.bytes.copy(0, &mut self.whole);
            self.whole.extend_from_slice(rest);
            self.bytes = Blocks::default();
        }
        self.frame()
    }

    /// The first bytes of what was parked, of which so many are `left`.
    #[cold]
    fn window(&mut self, left: usize, window: usize) -> &[u8] {
        self.whole.clear();
        self.whole.resize(left.min(window), 0);
        self.bytes.copy(self.bytes.len() - left, &mut self.whole);
        &self.whole
    }

    /// The same to be changed.
    fn frame_mut(&mut self) -> &mut [u8] {
        if self.whole.is_empty() { self.bytes.front_mut() } else { &mut self.whole }
    }

    /// The frame, once it is whole.
    fn frame(&self) -> &[u8] {
        if self.whole.is_empty() { self.bytes.front() } else { &self.whole }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_unit_is_lent_from_the_input() {
        let bytes = *b"abcdef";
        let mut input = &bytes[..];
        let mut held = PartialFrame::default();
        let frame = held.take(FrameStatus::Whole(4), &mut input, 8).unwrap();
        assert_eq!(frame.as_ptr(), bytes.as_ptr());
        assert_eq!(input, b"ef");
        assert_eq!(held.memory(), 0);
    }

    #[test]
    fn a_cut_unit_is_gathered_and_its_buffer_goes_after_delivery() {
        let mut held = PartialFrame::default();
        assert_eq!(held.take(FrameStatus::Partial, &mut &b"abc"[..], 8), None);
        let mut input = &b"defg"[..];
        assert_eq!(held.take(FrameStatus::Whole(2), &mut input, 8), Some(&b"abcde"[..]));
        assert_eq!(input, b"fg");
        assert_eq!(held.taken().length, 0, "a delivered frame is no partial one");
        held.release();
        assert_eq!(held.memory(), 0);
    }

    #[test]
    fn a_unit_of_many_blocks_is_delivered_in_one_piece() {
        let frame: Vec<u8> =
            (0..10_000_u32).map(|number| u8::try_from(number % 251).unwrap()).collect();
        for cut in [1, 999, 1_000, 1_001, 5_000, 9_999] {
            let mut held = PartialFrame::default();
            for piece in frame[..cut].chunks(700) {
                assert_eq!(held.take(FrameStatus::Partial, &mut &piece[..], 10_000), None);
            }
            assert_eq!(held.memory(), Blocks::taken_by(cut));
            assert_eq!(held.taken().length, cut);
            let rest = FrameStatus::Whole(frame.len() - cut);
            let delivered = held.take(rest, &mut &frame[cut..], 10_000);
            assert!(delivered == Some(&frame[..]), "cut at {cut}");
            held.release();
            assert_eq!(held.memory(), 0);
        }
    }

    #[test]
    fn a_frame_that_is_to_be_changed_is_copied_however_it_was_cut() {
        let bytes: Vec<u8> =
            (0..2_000_u32).map(|number| u8::try_from(number % 251).unwrap()).collect();
        for length in [1, 900, 2_000] {
            for cut in [0, 1, length / 2, length - 1] {
                let mut held = PartialFrame::default();
                let mut front = &bytes[..cut];
                assert_eq!(held.take_owned(FrameStatus::Partial, &mut front, 2_000), None);
                let (mut back, rest) = (&bytes[cut..], FrameStatus::Whole(length - cut));
                let frame = held.take_owned(rest, &mut back, 2_000).unwrap();
                assert!(*frame == bytes[..length], "{length} bytes, cut at {cut}");
                frame.fill(0);
                assert_eq!(back.len(), bytes.len() - length);
                assert_eq!(held.rest((length, 0), 0), vec![0; length]);
                held.release();
                assert_eq!(held.memory(), 0);
            }
        }
    }

    #[test]
    fn a_frame_that_its_last_byte_or_the_end_completes_is_all_of_it() {
        let bytes: Vec<u8> =
            (0..2_000_u32).map(|number| u8::try_from(number % 251).unwrap()).collect();
        for length in [2, 992, 993, 994, 2_000] {
            let (frame, mut held) = (&bytes[..length], PartialFrame::default());
            let (mut front, mut last) = frame.split_at(length - 1);
            assert_eq!(held.take(FrameStatus::Partial, &mut front, 2_000), None);
            assert!(held.take(FrameStatus::Whole(1), &mut last, 2_000) == Some(frame), "{length}");
            held.release();
            assert_eq!(held.take(FrameStatus::Partial, &mut &*frame, 2_000), None);
            assert!(held.take_rest() == Some(frame), "{length}");
        }
    }

    #[test]
    fn what_is_parked_is_kept_in_blocks_and_lent_a_window_at_a_time() {
        let frame: Vec<u8> =
            (0..10_000_u32).map(|number| u8::try_from(number % 251).unwrap()).collect();
        let mut held = PartialFrame::default();
        assert_eq!(held.take(FrameStatus::Partial, &mut &frame[..5_000], 10_000), None);
        held.take(FrameStatus::Whole(5_000), &mut &frame[5_000..], 10_000).unwrap();
        assert_eq!(held.memory(), 10_000);
        let all = &frame[3_984..9_984];
        for left in [6_000, 4_000, 1] {
            held.park((left, 16));
            assert_eq!(held.memory(), Blocks::taken_by(6_000), "the front is not moved again");
            for window in [100, 3_000, 6_000] {
                let rest = &all[all.len() - left..];
                assert!(held.rest((left, 16), window) == &rest[..left.min(window)], "{left}");
                assert!(held.memory() >= Blocks::taken_by(6_000) + left.min(window));
            }
        }
        held.release();
        assert_eq!(held.memory(), 0);
    }

    #[test]
    fn nothing_is_kept_of_nothing() {
        let mut held = PartialFrame::default();
        assert_eq!(held.take(FrameStatus::Partial, &mut &b""[..], 8), None);
        assert_eq!(held.memory(), 0);
        assert_eq!(held.take_rest(), None);
    }
}
