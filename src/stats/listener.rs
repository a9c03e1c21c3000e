//! The part of the stats that is about one listener.

use std::sync::Arc;
use std::time::Duration;

use countersign_proto::{Dialect, Key, KeyRing, Validity};

use crate::stats::counters::{Counters, KeyCounters};

/// What one listener has done since it began and what it does now.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ListenerStats {
    /// What stays the same until the listener's keys are replaced.
    pub info: Arc<ListenerInfo>,
    /// The counters since it began.
    pub counters: Counters,
    /// The connections that are open now.
    pub connections: Connections,
    /// The limit on connections.
    pub connections_max: usize,
    /// The bytes buffered for unfinished messages and unsent replies.
    pub buffered: usize,
    /// The limit on buffered bytes.
    pub buffered_max: usize,
    /// Networks whose new connections are delayed or rejected.
    pub throttled: usize,
    /// The connections by key, in the order of [`ListenerInfo::keys`].
    pub keys: Vec<KeyCounters>,
}

/// What is known of a listener and stays the same until its keys are replaced.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ListenerInfo {
    /// Its name in logs and metrics.
    pub name: String,
    /// Where it listens.
    pub addresses: Vec<String>,
    /// Its keys, in the order of the ring.
    pub keys: Vec<KeyInfo>,
}

/// A key without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyInfo {
    /// See [`Key::id`].
    pub id: String,
    /// See [`Key::fingerprint`].
    pub fingerprint: String,
    /// See [`Key::dialects`].
    pub dialects: Vec<Dialect>,
    /// See [`Key::audience`].
    pub audience: String,
    /// See [`Key::not_before`].
    pub not_before: Option<Duration>,
    /// See [`Key::not_after`].
    pub not_after: Option<Duration>,
}

/// The connections that are open, by state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Connections {
    /// Not challenged yet, because too many proofs from their network were wrong.
    pub delayed: usize,
    /// In the handshake.
    pub handshake: usize,
    /// Authenticated, or in a dialect without authentication.
    pub open: usize,
    /// Closing: unsent output is still sent, or the end of the peer's stream is awaited.
    pub closing: usize,
}

impl ListenerStats {
    /// A listener that has done nothing yet.
    #[must_use]
    pub fn new(info: Arc<ListenerInfo>) -> Self {
        let keys = vec![KeyCounters::default(); info.keys.len()];
        Self { info, keys, ..Self::default() }
    }

    /// Adds those of the same listener in another server.
    pub fn merge(&mut self, other: &Self) {
        self.counters.merge(&other.counters);
        self.connections.delayed += other.connections.delayed;
        self.connections.handshake += other.connections.handshake;
        self.connections.open += other.connections.open;
        self.connections.closing += other.connections.closing;
        self.connections_max = self.connections_max.saturating_add(other.connections_max);
        self.buffered += other.buffered;
        self.buffered_max = self.buffered_max.saturating_add(other.buffered_max);
        self.throttled += other.throttled;
        // While keys are being replaced, one server may have another ring than the next one.
        for (place, (key, counters)) in other.info.keys.iter().zip(&other.keys).enumerate() {
            let is_it = |own: &KeyInfo| own.id == key.id;
            let place = match self.info.keys.get(place).is_some_and(is_it) {
                true => Some(place),
                false => self.info.keys.iter().position(is_it),
            };
            if let Some(sum) = place.and_then(|place| self.keys.get_mut(place)) {
                sum.merge(counters);
            }
        }
    }

    /// The keys with their connections.
    pub fn by_key(&self) -> impl Iterator<Item = (&KeyInfo, &KeyCounters)> {
        self.info.keys.iter().zip(&self.keys)
    }
}

impl ListenerInfo {
    /// A listener of this name at these addresses, with these keys.
    #[must_use]
    pub fn new(name: impl Into<String>, addresses: Vec<String>, keys: Option<&KeyRing>) -> Self {
        let keys = keys.into_iter().flat_map(KeyRing::keys).map(KeyInfo::from).collect();
        Self { name: name.into(), addresses, keys }
    }
}

impl KeyInfo {
    /// The validity of the key at this time: see [`Key::validity_at`].
    #[must_use]
    pub fn validity_at(&self, now: Duration) -> Validity {
        Validity::of(self.not_before, self.not_after, now)
    }
}

impl From<&Key> for KeyInfo {
    fn from(key: &Key) -> Self {
        Self {
            id: key.id().to_owned(),
            fingerprint: key.fingerprint(),
            dialects: key.dialects().collect(),
            audience: key.audience().to_owned(),
            not_before: key.not_before(),
            not_after: key.not_after(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::limits::Memory;
    use crate::key_file::KeyRingExt as _;
    use crate::stats::Stats;

    fn stats(ids: &[&str]) -> Stats {
        let mut ring = KeyRing::empty().unwrap();
        for id in ids {
            ring.add(Key::new(id, format!("the secret of {id}!!").as_bytes()).unwrap()).unwrap();
        }
        let info =
            Arc::new(ListenerInfo::new("main", vec!["127.0.0.1:9527".to_owned()], Some(&ring)));
        let mut listener = ListenerStats::new(info);
        listener.counters.messages = 77;
        listener.connections.open = 2;
        listener.buffered = 512;
        listener.keys[0] = KeyCounters { authenticated: 5, open: 2 };
        Stats {
            listeners: vec![listener],
            memory_max: Memory { total: 4 << 20, ..Memory::default() },
            ..Stats::default()
        }
    }

    #[test]
    fn a_sum_has_what_each_of_its_parts_has() {
        let mut sum = Stats::default();
        for _ in 0..3 {
            sum.merge(&stats(&["garden", "shed"]));
        }
        let listener = &sum.listeners[0];
        assert_eq!((listener.info.name.as_str(), listener.counters.messages), ("main", 3 * 77));
        assert_eq!((listener.connections.open, sum.buffered()), (6, 3 * 512));
        assert_eq!((sum.memory_max.total, sum.counters().messages), (12 << 20, 3 * 77));
        let by_key = |sum: &Stats| {
            let each = |(key, counters): (&KeyInfo, &KeyCounters)| {
                (key.id.clone(), counters.authenticated, counters.open)
            };
            sum.listeners[0].by_key().map(each).collect::<Vec<_>>()
        };
        let named = |id: &str, authenticated, open| (id.to_owned(), authenticated, open);
        assert_eq!(by_key(&sum), [named("garden", 15, 6), named("shed", 0, 0)]);
        // A server that has another ring by now.
        sum.merge(&stats(&["shed", "garden"]));
        sum.merge(&stats(&["porch"]));
        assert_eq!(by_key(&sum), [named("garden", 15, 6), named("shed", 5, 2)]);
    }
}
