//! Names for the entries of a slab that reuses its slots.
//!
//! A slab reuses a slot as soon as it is free, so something that only names the slot, such as an
//! event of the same batch, could reach the next entry. A token also has the generation of the
//! entry.

use std::ops::Deref;

use slab::Slab;

/// Half of a token's bits are the slot, half the generation.
const HALF: u32 = usize::BITS / 2;

/// The most slots that a token can tell apart, and a slot that no entry has.
pub const SLOTS_MAX: usize = (1 << HALF) - 1;

/// A slot, and the generation of its entry. As a number it fits the system's event tokens.
///
/// No entry has generation 0, which a loop can use for other things, such as listening sockets. A
/// generation repeats only after four billion entries (65,534 on 32-bit machines).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(usize);

impl Token {
    /// The name of the entry of this generation in a slot.
    #[must_use]
    pub fn new(slot: usize, generation: u32) -> Self {
        debug_assert!(slot <= SLOTS_MAX, "the limit on entries is capped");
        Self(slot | (generation as usize) << HALF)
    }

    /// The slot.
    #[must_use]
    pub fn slot(self) -> usize {
        self.0 & SLOTS_MAX
    }

    /// Which of the slot's entries it is; 0 for none.
    #[must_use]
    pub fn generation(self) -> u32 {
        u32::try_from(self.0 >> HALF).unwrap_or_default()
    }

    /// The generation that follows. It wraps around, skipping 0.
    #[must_use]
    pub fn generation_after(generation: u32) -> u32 {
        let last = u32::try_from(SLOTS_MAX).unwrap_or(u32::MAX);
        if generation >= last { 1 } else { generation + 1 }
    }
}

impl From<usize> for Token {
    fn from(number: usize) -> Self {
        Self(number)
    }
}

impl From<Token> for usize {
    fn from(token: Token) -> Self {
        token.0
    }
}

/// An entry that keeps its generation, where it costs the least room.
pub trait Tokened {
    /// The generation of the token that it was given.
    fn generation(&self) -> u32;
}

/// A slab whose entries have tokens. They can be read by their slots too.
#[derive(Debug)]
pub struct TokenSlab<T> {
    entries: Slab<T>,
    /// The generation of the latest entry.
    generation: u32,
}

impl<T: Tokened> TokenSlab<T> {
    /// An empty slab with room for this many entries, so that nothing is reallocated later.
    #[must_use]
    pub fn with_capacity(entries: usize) -> Self {
        Self { entries: Slab::with_capacity(entries), generation: 0 }
    }

    /// The token of the entry that is inserted next.
    #[must_use]
    pub fn next_token(&self) -> Token {
        Token::new(self.entries.vacant_key(), Token::generation_after(self.generation))
    }

    /// Adds an entry that keeps the generation of [`next_token`](Self::next_token). Returns its
    /// slot.
    pub fn insert(&mut self, entry: T) -> usize {
        self.generation = Token::generation_after(self.generation);
        debug_assert_eq!(entry.generation(), self.generation, "it keeps its token");
        self.entries.insert(entry)
    }

    /// The entry with this token, if it is still there.
    #[inline]
    pub fn find(&mut self, token: Token) -> Option<&mut T> {
        self.entries.get_mut(token.slot()).filter(|entry| entry.generation() == token.generation())
    }

    /// The entry in a slot.
    #[inline]
    pub fn get_mut(&mut self, slot: usize) -> Option<&mut T> {
        self.entries.get_mut(slot)
    }

    /// All entries, by their slots.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &mut T)> {
        self.entries.iter_mut()
    }

    /// Removes the entry in a slot, if there is one.
    pub fn try_remove(&mut self, slot: usize) -> Option<T> {
        self.entries.try_remove(slot)
    }
}

impl<T> Deref for TokenSlab<T> {
    type Target = Slab<T>;

    fn deref(&self) -> &Slab<T> {
        &self.entries
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    /// The last generation before they wrap around.
    fn last() -> u32 {
        Token::from(usize::MAX).generation()
    }

    #[derive(Debug, PartialEq)]
    struct Entry(u32, u8);

    impl Tokened for Entry {
        fn generation(&self) -> u32 {
            self.0
        }
    }

    #[test]
    fn a_token_is_its_slot_and_its_generation() {
        for (slot, generation) in [(0, 1), (7, 40_000), (SLOTS_MAX, 1), (SLOTS_MAX, last())] {
            let token = Token::new(slot, generation);
            assert_eq!((token.slot(), token.generation()), (slot, generation));
            assert_eq!(Token::from(usize::from(token)), token);
        }
    }

    #[test]
    fn generations_wrap_past_that_of_no_entry() {
        assert_eq!(Token::generation_after(0), 1);
        assert_eq!(Token::generation_after(last() - 1), last());
        assert_eq!(Token::generation_after(last()), 1);
    }

    proptest! {
        #[test]
        fn a_token_finds_its_own_entry_alone(
            steps in prop::collection::vec((any::<bool>(), 0..8usize), 1..200)
        ) {
            let mut slab = TokenSlab::with_capacity(2);
            let (mut present, mut gone) = (HashMap::new(), Vec::new());
            for (value, (inserts, which)) in (0..=u8::MAX).zip(steps) {
                let token = present.keys().nth(which).copied();
                match token.filter(|_| !inserts) {
                    None => {
                        let token = slab.next_token();
                        let slot = slab.insert(Entry(token.generation(), value));
                        prop_assert_eq!(slot, token.slot());
                        prop_assert!(present.insert(token, value).is_none());
                    }
                    Some(token) => {
                        let removed = slab.try_remove(token.slot()).map(|entry| entry.1);
                        prop_assert_eq!(removed, present.remove(&token));
                        gone.push(token);
                    }
                }
                prop_assert!(gone.iter().all(|token| slab.find(*token).is_none()));
                for (token, value) in &present {
                    prop_assert_eq!(slab.find(*token).map(|entry| entry.1), Some(*value));
                }
                prop_assert_eq!(slab.len(), present.len());
            }
        }
    }
}
