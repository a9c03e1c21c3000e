//! Doubly linked lists over the entries of one slab.
//!
//! The links lie in the entries, so joining and leaving a list allocates nothing and costs the same
//! however long the list is. A list is a ring without a head of its own: the last entry leads on to
//! the first, and the list knows the first alone. An entry in no list is a ring by itself.

use std::iter;
use std::ops::{Index, IndexMut};

/// The key of no entry.
const NONE: u32 = u32::MAX;

/// Entries under keys, of which each can stand in one list at a time.
///
/// [`insert`](Self::insert) chooses the key of an entry. Where the caller has keys already, such as
/// the slots of another slab, [`reserve`](Self::reserve) makes entries under all of them: a slab
/// is used in one way or the other.
#[derive(Debug)]
pub struct LinkedSlab<T> {
    entries: Vec<Entry<T>>,
    /// The entries that were taken, whose keys are used again.
    vacant: List,
    /// How many entries there are that were not taken.
    length: usize,
}

#[derive(Debug, Clone, Copy)]
struct Entry<T> {
    previous: u32,
    next: u32,
    value: T,
}

/// A list of entries of one [`LinkedSlab`], in the order in which they were added.
#[derive(Debug, Clone, Copy)]
pub struct List {
    /// The first entry; its previous one is the last.
    front: u32,
}

impl Default for List {
    /// The empty list.
    fn default() -> Self {
        Self { front: NONE }
    }
}

impl List {
    /// Whether no entry is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.front == NONE
    }

    /// The key of its first entry.
    #[must_use]
    pub fn front(&self) -> Option<usize> {
        (!self.is_empty()).then_some(self.front as usize)
    }
}

impl<T: Copy> LinkedSlab<T> {
    /// The bytes that an entry takes.
    pub const ENTRY: usize = size_of::<Entry<T>>();

    /// An empty slab with room for this many entries, so that nothing is reallocated later.
    #[must_use]
    pub fn with_capacity(entries: usize) -> Self {
        Self { entries: Vec::with_capacity(entries), vacant: List::default(), length: 0 }
    }

    /// Adds an entry in no list. Returns its key.
    pub fn insert(&mut self, value: T) -> usize {
        let mut vacant = self.vacant;
        let key = self.pop_front(&mut vacant);
        self.vacant = vacant;
        self.length += 1;
        match key {
            Some(key) => self[key] = value,
            None => self.push(value),
        }
        key.unwrap_or(self.entries.len() - 1)
    }

    /// How many entries were inserted and not taken.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether no entries were inserted that were not taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Takes an entry that is in no list. Its key is used again.
    pub fn take(&mut self, key: usize) -> T {
        debug_assert!(self.is_alone(key), "an entry leaves its list first");
        let mut vacant = self.vacant;
        self.push_back(&mut vacant, key);
        self.vacant = vacant;
        self.length -= 1;
        self[key]
    }

    /// Makes sure that there is an entry under this key and all lower ones. New ones have this
    /// value, and are in no list.
    #[inline]
    pub fn reserve(&mut self, key: usize, value: T) {
        while self.entries.len() <= key {
            self.push(value);
        }
    }

    fn push(&mut self, value: T) {
        let key = number(self.entries.len());
        self.entries.push(Entry { previous: key, next: key, value });
    }

    /// Whether an entry is in no list, or the only one in its list.
    fn is_alone(&self, key: usize) -> bool {
        self.entries[key].next as usize == key
    }

    /// Adds an entry, which is in no list, at the end of this list.
    #[inline]
    pub fn push_back(&mut self, list: &mut List, key: usize) {
        debug_assert!(self.is_alone(key), "an entry is in one list at a time");
        let at = number(key);
        if list.is_empty() {
            list.front = at;
            return;
        }
        debug_assert!(list.front != at, "an entry is in a list once");
        let (front, back) = (list.front, self.entries[list.front as usize].previous);
        self.entries[front as usize].previous = at;
        self.entries[back as usize].next = at;
        let entry = &mut self.entries[key];
        (entry.previous, entry.next) = (back, front);
    }

    /// Removes an entry from this list. Returns whether it was in a list; it was in no other.
    #[inline]
    pub fn remove(&mut self, list: &mut List, key: usize) -> bool {
        let at = number(key);
        let Some(Entry { previous, next, .. }) = self.entries.get(key) else { return false };
        let (previous, next) = (*previous, *next);
        if next == at {
            let was_in = list.front == at;
            if was_in {
                list.front = NONE;
            }
            return was_in;
        }
        self.entries[previous as usize].next = next;
        self.entries[next as usize].previous = previous;
        if list.front == at {
            list.front = next;
        }
        let entry = &mut self.entries[key];
        (entry.previous, entry.next) = (at, at);
        true
    }

    /// Moves an entry of this list to its end. Where it was the first, which is so when all of them
    /// take turns, the ring stays as it is and only begins one entry later.
    #[inline]
    pub fn move_to_back(&mut self, list: &mut List, key: usize) {
        let at = number(key);
        let Entry { previous, next, .. } = &self.entries[key];
        let (previous, next) = (*previous, *next);
        if list.front == at {
            list.front = next;
        } else if next != list.front {
            self.entries[previous as usize].next = next;
            self.entries[next as usize].previous = previous;
            let entry = &mut self.entries[key];
            (entry.previous, entry.next) = (at, at);
            self.push_back(list, key);
        }
    }

    /// Removes the first entry from this list. Returns its key.
    pub fn pop_front(&mut self, list: &mut List) -> Option<usize> {
        let key = list.front()?;
        self.remove(list, key);
        Some(key)
    }

    /// The key of the entry that follows this one in its list.
    #[must_use]
    pub fn next(&self, list: &List, key: usize) -> Option<usize> {
        let next = self.entries[key].next;
        (next != list.front).then_some(next as usize)
    }

    /// The keys of the entries in this list, in order.
    pub fn iter(&self, list: &List) -> impl Iterator<Item = usize> {
        iter::successors(list.front(), move |key| self.next(list, *key))
    }
}

impl<T> Index<usize> for LinkedSlab<T> {
    type Output = T;

    #[inline]
    fn index(&self, key: usize) -> &T {
        &self.entries[key].value
    }
}

impl<T> IndexMut<usize> for LinkedSlab<T> {
    #[inline]
    fn index_mut(&mut self, key: usize) -> &mut T {
        &mut self.entries[key].value
    }
}

/// A key as a link. There are fewer entries, for each takes more than a byte of memory.
fn number(key: usize) -> u32 {
    debug_assert!(key < NONE as usize, "there are fewer entries than links count");
    u32::try_from(key).unwrap_or(NONE)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, VecDeque};

    use proptest::prelude::*;

    use super::*;

    const LISTS: usize = 3;

    /// What a slab and its lists should be.
    #[derive(Default)]
    struct Model {
        /// The values of the entries, and the list that each is in.
        entries: BTreeMap<usize, (u32, Option<usize>)>,
        lists: [VecDeque<usize>; LISTS],
    }

    impl Model {
        /// One of the entries, if there are any.
        fn pick(&self, which: usize) -> Option<usize> {
            let count = self.entries.len().max(1);
            self.entries.keys().nth(which % count).copied()
        }

        fn unlink(&mut self, key: usize) -> Option<usize> {
            let list = self.entries.get_mut(&key).and_then(|(_, list)| list.take())?;
            self.lists[list].retain(|each| *each != key);
            Some(list)
        }
    }

    proptest! {
        #[test]
        fn the_lists_are_what_plain_queues_are(
            steps in prop::collection::vec((0..7u8, 0..LISTS, 0..64usize), 1..300)
        ) {
            let mut slab = LinkedSlab::with_capacity(4);
            let mut lists = [List::default(); LISTS];
            let (mut model, mut most) = (Model::default(), 0);
            for (value, (step, list, which)) in (0..).zip(steps) {
                match (step, model.pick(which)) {
                    (0 | 1, _) => {
                        let key = slab.insert(value);
                        prop_assert!(model.entries.insert(key, (value, None)).is_none());
                    }
                    (2, Some(key)) => {
                        if let Some(list) = model.unlink(key) {
                            prop_assert!(slab.remove(&mut lists[list], key));
                        }
                        let (value, _) = model.entries.remove(&key).unwrap();
                        prop_assert_eq!(slab.take(key), value);
                    }
                    (3, Some(key)) => {
                        if let Some(before) = model.unlink(key) {
                            prop_assert!(slab.remove(&mut lists[before], key));
                        }
                        slab.push_back(&mut lists[list], key);
                        model.lists[list].push_back(key);
                        model.entries.get_mut(&key).unwrap().1 = Some(list);
                    }
                    (4, _) => {
                        let key = model.lists[list].front().copied();
                        prop_assert_eq!(slab.pop_front(&mut lists[list]), key);
                        key.map(|key| model.unlink(key));
                    }
                    (5, Some(key)) => {
                        let was_in = model.unlink(key);
                        let list = was_in.unwrap_or(list);
                        prop_assert_eq!(slab.remove(&mut lists[list], key), was_in.is_some());
                    }
                    (_, Some(key)) => if let Some(list) = model.entries[&key].1 {
                        slab.move_to_back(&mut lists[list], key);
                        model.lists[list].retain(|each| *each != key);
                        model.lists[list].push_back(key);
                    },
                    (_, None) => {}
                }
                for (list, expected) in lists.iter().zip(&model.lists) {
                    prop_assert!(slab.iter(list).eq(expected.iter().copied()));
                    prop_assert_eq!(list.is_empty(), expected.is_empty());
                }
                for (key, (value, _)) in &model.entries {
                    prop_assert_eq!(slab[*key], *value);
                }
                prop_assert_eq!(slab.len(), model.entries.len());
                prop_assert_eq!(slab.is_empty(), model.entries.is_empty());
                most = most.max(slab.len());
                prop_assert_eq!(slab.entries.len(), most, "keys are given again");
            }
        }
    }

    #[test]
    fn an_entry_that_is_not_there_is_in_no_list() {
        let mut slab = LinkedSlab::with_capacity(0);
        let mut list = List::default();
        assert!(!slab.remove(&mut list, 3));
        slab.reserve(3, 'a');
        assert!(!slab.remove(&mut list, 3));
        slab.push_back(&mut list, 3);
        slab.push_back(&mut list, 1);
        slab[1] = 'b';
        assert_eq!(slab.iter(&list).map(|key| slab[key]).collect::<String>(), "ab");
        assert_eq!((slab.pop_front(&mut list), slab.pop_front(&mut list)), (Some(3), Some(1)));
        assert_eq!(slab.pop_front(&mut list), None);
    }
}
