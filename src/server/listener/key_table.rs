//! The connections and counters of each key.

use countersign_proto::{Key, KeyNumber, KeyRing};

use crate::stats::counters::KeyCounters;

/// The open connections of each key: of the keys on the ring, and of removed keys as long as they
/// have any. So it is no longer than the ring and the connections together.
#[derive(Debug, Default)]
pub(in crate::server) struct KeyTable {
    /// In the order of their numbers.
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    number: KeyNumber,
    /// The key's id for the log, also after the key was removed.
    id: Box<str>,
    is_on_ring: bool,
    counters: KeyCounters,
}

impl KeyTable {
    /// A table for the keys of a ring, without connections.
    pub(in crate::server) fn of(ring: Option<&KeyRing>) -> Self {
        let mut table = Self::default();
        ring.into_iter().for_each(|ring| table.replace(ring));
        table
    }

    /// Replaces the ring.
    pub(in crate::server) fn replace(&mut self, ring: &KeyRing) {
        let old = std::mem::take(&mut self.entries);
        let find = |key: &Key| {
            let at = old.binary_search_by_key(&key.number(), |entry| entry.number).ok()?;
            Some(old[at].counters)
        };
        let entry = |key: &Key| Entry {
            number: key.number(),
            id: key.id().into(),
            is_on_ring: true,
            counters: find(key).unwrap_or_default(),
        };
        let mut entries: Vec<Entry> = ring.keys().map(entry).collect();
        let gone = old
            .into_iter()
            .filter(|entry| entry.counters.open > 0 && ring.by_number(entry.number).is_none());
        entries.extend(gone.map(|entry| Entry { is_on_ring: false, ..entry }));
        entries.sort_unstable_by_key(|entry| entry.number);
        self.entries = entries;
    }

    /// A peer has authenticated with this key.
    pub(in crate::server) fn opened(&mut self, number: KeyNumber) {
        if let Some(at) = self.find(number) {
            let counters = &mut self.entries[at].counters;
            counters.authenticated += 1;
            counters.open += 1;
        }
    }

    /// The connection of a peer that had authenticated with this key is closed.
    pub(in crate::server) fn closed(&mut self, number: KeyNumber) {
        let Some(at) = self.find(number) else { return };
        let Entry { counters, is_on_ring, .. } = &mut self.entries[at];
        debug_assert!(counters.open > 0, "a connection that was opened is closed once");
        counters.open = counters.open.saturating_sub(1);
        if counters.open == 0 && !*is_on_ring {
            self.entries.remove(at);
        }
    }

    /// The id of a key that is on the ring, or was.
    pub(in crate::server) fn id(&self, number: KeyNumber) -> Option<&str> {
        self.find(number).map(|at| &*self.entries[at].id)
    }

    pub(in crate::server) fn counters(&self, number: KeyNumber) -> KeyCounters {
        self.find(number).map(|at| self.entries[at].counters).unwrap_or_default()
    }

    fn find(&self, number: KeyNumber) -> Option<usize> {
        self.entries.binary_search_by_key(&number, |entry| entry.number).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key_file::KeyRingExt as _;

    fn ring(ids: &[&str], old: Option<&KeyRing>) -> KeyRing {
        let mut ring = KeyRing::empty().unwrap();
        for id in ids {
            ring.add(Key::new(id, format!("the secret of {id}!!").as_bytes()).unwrap()).unwrap();
        }
        old.into_iter().for_each(|old| ring.inherit(old));
        ring
    }

    #[test]
    fn a_key_keeps_its_counts_while_it_is_on_the_ring_or_somebody_holds_it() {
        let first = ring(&["a", "b", "c"], None);
        let number = |ring: &KeyRing, id: &str| ring.key(id).map(Key::number).unwrap();
        let [a, b, c] = ["a", "b", "c"].map(|id| number(&first, id));
        let mut table = KeyTable::of(Some(&first));
        for key in [a, a, b, c] {
            table.opened(key);
        }
        table.closed(a);
        table.closed(c);
        let counts = |table: &KeyTable, key| {
            let KeyCounters { authenticated, open } = table.counters(key);
            (authenticated, open)
        };
        assert_eq!([a, b, c].map(|key| counts(&table, key)), [(2, 1), (1, 1), (1, 0)]);
        let second = ring(&["d", "a"], Some(&first));
        table.replace(&second);
        let d = number(&second, "d");
        assert_eq!([a, d].map(|key| counts(&table, key)), [(2, 1), (0, 0)]);
        assert_eq!([b, c].map(|key| table.id(key)), [Some("b"), None], "b is still held");
        table.replace(&second);
        assert_eq!((counts(&table, b), table.id(b)), ((1, 1), Some("b")), "through any more rings");
        table.closed(b);
        assert_eq!(table.id(b), None);
        table.opened(d);
        assert_eq!(counts(&table, d), (1, 1));
        // A key that is in no ring of this listener's, or not any more.
        table.opened(b);
        table.closed(b);
        assert_eq!((counts(&table, b), table.id(b)), ((0, 0), None));
    }
}
