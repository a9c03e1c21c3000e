//! The bytes of a unit (a proof, a message) that has arrived only in part.
//!
//! A unit that lies whole in the input is lent from there and never copied. Only one that a read
//! has cut is gathered here, and its buffer goes as soon as the unit was delivered: a connection
//! owns bytes only while it is stuck.

/// How far the unit at the front of the input reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// With the next so many bytes it is whole.
    Whole(usize),
    /// All that is there belongs to it, and it is not whole.
    Partial,
}

impl Extent {
    /// The extent of a unit of which `missing` bytes have not been taken yet.
    pub(crate) fn of(missing: usize, input: &[u8]) -> Self {
        if missing <= input.len() { Self::Whole(missing) } else { Self::Partial }
    }
}

/// The first `N` bytes of a unit of which `held` was taken already, wherever they lie.
pub(crate) fn head<const N: usize>(held: &[u8], input: &[u8]) -> Option<[u8; N]> {
    if let Some(head) = held.first_chunk() {
        return Some(*head);
    }
    let mut head = [0; N];
    let (old, new) = head.split_at_mut(held.len());
    old.copy_from_slice(held);
    new.copy_from_slice(input.get(..new.len())?);
    Some(head)
}

/// The first `N` bytes of it that are there, and zeros behind them.
pub(crate) fn front<const N: usize>(held: &[u8], input: &[u8]) -> [u8; N] {
    let mut front = [0; N];
    let bytes = held.iter().chain(input);
    front.iter_mut().zip(bytes).for_each(|(place, byte)| *place = *byte);
    front
}

/// A unit that a read has cut, or nothing.
#[derive(Debug, Default)]
pub(crate) struct Held(Option<Box<Gathered>>);

/// What was gathered of a unit.
#[derive(Debug)]
struct Gathered {
    /// The unit's bytes so far.
    bytes: Vec<u8>,
    /// The unit is whole and was lent to the caller: the next call drops it.
    delivered: bool,
}

impl Held {
    /// What a cut unit takes beside its bytes.
    pub(crate) const BOX: usize = size_of::<Gathered>();

    /// What is there of an unfinished unit.
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.0 {
            Some(gathered) if !gathered.delivered => &gathered.bytes,
            _ => &[],
        }
    }

    /// Whether nothing is kept, not even a unit that was delivered.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The bytes of memory in use.
    pub(crate) fn capacity(&self) -> usize {
        self.0.as_ref().map_or(0, |gathered| gathered.bytes.capacity())
    }

    /// Forgets a unit that was delivered; to be called before the next one is sought.
    #[inline]
    pub(crate) fn release(&mut self) {
        if self.0.as_ref().is_some_and(|gathered| gathered.delivered) {
            self.0 = None;
        }
    }

    /// Takes the unit at the front of the input, which is nowhere longer than `max` bytes.
    ///
    /// Returns `None`, and has taken all of the input, while the unit isn't whole.
    #[inline]
    pub(crate) fn take<'s, 'i: 's>(
        &'s mut self,
        extent: Extent,
        input: &mut &'i [u8],
        max: usize,
    ) -> Option<&'s [u8]> {
        let (unit, whole) = match extent {
            Extent::Whole(length) => (input.split_off(..length)?, true),
            Extent::Partial => (std::mem::take(input), false),
        };
        match &mut self.0 {
            None if whole => Some(unit),
            None if unit.is_empty() => None,
            held => {
                let gathered = held
                    .get_or_insert_with(|| Gathered { bytes: Vec::new(), delivered: false }.into());
                gathered.append(unit, max);
                gathered.delivered = whole;
                whole.then_some(&gathered.bytes)
            }
        }
    }

    /// Takes a unit of exactly `length` bytes, as [`take`](Self::take) does.
    pub(crate) fn exactly<'s, 'i: 's>(
        &'s mut self,
        length: usize,
        input: &mut &'i [u8],
    ) -> Option<&'s [u8]> {
        let missing = length - self.bytes().len();
        self.take(Extent::of(missing, input), input, length)
    }

    /// Takes what is held as the last unit of the stream.
    pub(crate) fn take_rest(&mut self) -> Option<&[u8]> {
        let gathered = self.0.as_mut().filter(|gathered| !gathered.delivered)?;
        gathered.delivered = true;
        Some(&gathered.bytes)
    }
}

impl Gathered {
    /// Grows by doubling, but never past `max`: the memory sum counts on it.
    fn append(&mut self, unit: &[u8], max: usize) {
        let needed = self.bytes.len() + unit.len();
        debug_assert!(needed <= max, "the framings refuse a longer unit before it is kept");
        if needed > self.bytes.capacity() {
            let target = needed.max(self.bytes.capacity() * 2).min(max.max(needed));
            self.bytes.reserve_exact(target - self.bytes.len());
        }
        self.bytes.extend_from_slice(unit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_unit_is_lent_from_the_input() {
        let bytes = *b"abcdef";
        let mut input = &bytes[..];
        let mut held = Held::default();
        let unit = held.take(Extent::Whole(4), &mut input, 8).unwrap();
        assert_eq!(unit.as_ptr(), bytes.as_ptr());
        assert_eq!(input, b"ef");
        assert_eq!(held.capacity(), 0);
    }

    #[test]
    fn a_cut_unit_is_gathered_and_its_buffer_goes_after_delivery() {
        let mut held = Held::default();
        assert_eq!(held.take(Extent::Partial, &mut &b"abc"[..], 8), None);
        let mut input = &b"defg"[..];
        assert_eq!(held.take(Extent::Whole(2), &mut input, 8), Some(&b"abcde"[..]));
        assert_eq!(input, b"fg");
        assert_eq!(held.bytes(), b"", "a delivered unit is no partial one");
        held.release();
        assert_eq!(held.capacity(), 0);
    }

    #[test]
    fn the_buffer_never_outgrows_the_limit() {
        let mut held = Held::default();
        for _ in 0..100 {
            held.take(Extent::Partial, &mut &b"x"[..], 100);
        }
        assert_eq!(held.capacity(), 100);
    }

    #[test]
    fn nothing_is_kept_of_nothing() {
        let mut held = Held::default();
        assert_eq!(held.take(Extent::Partial, &mut &b""[..], 8), None);
        assert_eq!(held.capacity(), 0);
        assert_eq!(held.take_rest(), None);
    }
}
