//! What one worker does at one moment, as plain data.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use countersign::{
    CloseReason, Connections, Counters, KeyCounters, KeyRing, LoopTimes, Server, Service,
};

/// What one worker does at one moment, or the sum of several.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snapshot {
    /// In the order of the configuration, which is the same for all workers.
    pub(crate) listeners: Vec<Listener>,
    pub(crate) turns: Turns,
    /// The bytes that the limits come to, and the part of them that unfinished messages and unsent
    /// replies can take.
    pub(crate) memory_max: u64,
    pub(crate) buffered_max: u64,
    pub(crate) is_draining: bool,
}

/// One listener.
#[derive(Debug, Clone)]
pub(crate) struct Listener {
    /// What stays the same until the next reload.
    pub(crate) info: Arc<ListenerInfo>,
    pub(crate) counts: Counts,
    pub(crate) connections: Connections,
    /// The most connections that there can be.
    pub(crate) connections_max: u64,
    /// The bytes that are kept of unfinished messages and unsent replies, and the most of them.
    pub(crate) held: u64,
    pub(crate) buffered_max: u64,
    /// Networks whose newcomers are delayed or refused.
    pub(crate) throttled: u64,
    /// Who came by which key, in the order of the info's.
    pub(crate) keys: Vec<KeyCounters>,
}

/// What stays the same until the next reload.
#[derive(Debug, Clone)]
pub(crate) struct ListenerInfo {
    pub(crate) name: String,
    pub(crate) addresses: Vec<String>,
    pub(crate) labels: Labels,
    pub(crate) keys: Vec<KeyInfo>,
}

/// What is served and how, in the words of the command line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Labels {
    pub(crate) dialect: &'static str,
    pub(crate) framing: &'static str,
    pub(crate) service: &'static str,
}

impl ListenerInfo {
    pub(crate) fn of(gate: &countersign::Listener, labels: Labels) -> Self {
        Self {
            name: gate.name().to_owned(),
            addresses: gate.addresses().iter().map(ToString::to_string).collect(),
            labels,
            keys: KeyInfo::all(gate.protocol().keys()),
        }
    }
}

/// A key, without its secret.
#[derive(Debug, Clone)]
pub(crate) struct KeyInfo {
    pub(crate) id: String,
    pub(crate) fingerprint: String,
    pub(crate) dialects: Vec<&'static str>,
    pub(crate) audience: String,
    pub(crate) not_before: Option<SystemTime>,
    pub(crate) not_after: Option<SystemTime>,
}

/// What has happened since the start.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts {
    pub(crate) accepted: u64,
    pub(crate) delayed: u64,
    pub(crate) authenticated: u64,
    pub(crate) messages: u64,
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(crate) accept_pauses: u64,
    pub(crate) accept_failures: u64,
    /// Every reason for which a connection can end, in the library's order.
    pub(crate) ended: Vec<(CloseReason, u64)>,
}

/// How long turns took.
#[derive(Debug, Clone, Default)]
pub(crate) struct Turns {
    /// Up to which time, and how many took so long and longer than the bucket before. The last has
    /// no bound.
    pub(crate) buckets: Vec<(Option<Duration>, u64)>,
    pub(crate) sum: Duration,
    pub(crate) longest: Duration,
}

impl Snapshot {
    /// What a server does now. It looks at every one of its connections.
    pub(crate) fn of<S: Service>(server: &Server<S>, infos: &[Arc<ListenerInfo>]) -> Self {
        let gates = server.listeners().iter().zip(server.connections()).zip(infos);
        let listener =
            |(place, ((gate, connections), info)): (usize, ((&countersign::Listener, _), _))| {
                Listener {
                    info: Arc::clone(info),
                    counts: gate.counters().into(),
                    connections,
                    connections_max: gate.limits().connections as u64,
                    held: gate.bytes_buffered() as u64,
                    buffered_max: gate.limits().buffered_max as u64,
                    throttled: server.throttled(place) as u64,
                    keys: gate.key_counters().map(|(_, counters)| counters).collect(),
                }
            };
        let memory = server.memory_max();
        Self {
            listeners: gates.enumerate().map(listener).collect(),
            turns: server.loop_times().map(Turns::from).unwrap_or_default(),
            memory_max: memory.total as u64,
            buffered_max: memory.buffered as u64,
            is_draining: server.is_draining(),
        }
    }

    /// Adds what another worker does.
    pub(crate) fn add(&mut self, other: &Self) {
        for (place, listener) in other.listeners.iter().enumerate() {
            match self.listeners.get_mut(place) {
                Some(sum) => sum.add(listener),
                None => self.listeners.push(listener.clone()),
            }
        }
        self.turns.add(&other.turns);
        self.memory_max = self.memory_max.saturating_add(other.memory_max);
        self.buffered_max = self.buffered_max.saturating_add(other.buffered_max);
        self.is_draining |= other.is_draining;
    }
}

impl Listener {
    fn add(&mut self, other: &Self) {
        self.counts.add(&other.counts);
        self.connections.delayed += other.connections.delayed;
        self.connections.handshake += other.connections.handshake;
        self.connections.open += other.connections.open;
        self.connections.closing += other.connections.closing;
        self.connections_max += other.connections_max;
        self.held += other.held;
        self.buffered_max = self.buffered_max.saturating_add(other.buffered_max);
        self.throttled += other.throttled;
        // While a reload is under way, one worker may have another ring than the next one.
        for (place, (key, counters)) in other.info.keys.iter().zip(&other.keys).enumerate() {
            let is_it = |own: &KeyInfo| own.id == key.id;
            let place = match self.info.keys.get(place).is_some_and(is_it) {
                true => Some(place),
                false => self.info.keys.iter().position(is_it),
            };
            if let Some(sum) = place.and_then(|place| self.keys.get_mut(place)) {
                sum.authenticated += counters.authenticated;
                sum.open += counters.open;
            }
        }
    }
}

impl Counts {
    /// Refusals, with their number: the peer did what it must not do.
    pub(crate) fn refused(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.ended_as(|why| why.is_refusal())
    }

    /// All other ends.
    pub(crate) fn closed(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.ended_as(|why| !why.is_refusal())
    }

    fn ended_as(
        &self,
        kind: fn(&CloseReason) -> bool,
    ) -> impl Iterator<Item = (&'static str, u64)> {
        let named = |(why, count): &(CloseReason, u64)| (why.name(), *count);
        self.ended.iter().filter(move |(why, _)| kind(why)).map(named)
    }

    fn add(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.delayed += other.delayed;
        self.authenticated += other.authenticated;
        self.messages += other.messages;
        self.received += other.received;
        self.sent += other.sent;
        self.accept_pauses += other.accept_pauses;
        self.accept_failures += other.accept_failures;
        for ((_, sum), (_, count)) in self.ended.iter_mut().zip(&other.ended) {
            *sum += count;
        }
    }
}

impl From<&Counters> for Counts {
    fn from(counters: &Counters) -> Self {
        Self {
            accepted: counters.accepted,
            delayed: counters.delayed,
            authenticated: counters.authenticated,
            messages: counters.messages,
            received: counters.bytes_in,
            sent: counters.bytes_out,
            accept_pauses: counters.accept_pauses,
            accept_failures: counters.accept_failures,
            ended: counters.closed_by_reason().collect(),
        }
    }
}

impl Turns {
    pub(crate) fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| count).sum()
    }

    /// The time that this part of the turns, between 0 and 1, did not pass: the bound of a bucket,
    /// so up to twice as long as it really was.
    pub(crate) fn quantile(&self, part: f64) -> Duration {
        let wanted = part * self.count() as f64;
        let mut seen = 0;
        let reached = self.buckets.iter().find(|(_, count)| {
            seen += count;
            seen as f64 >= wanted
        });
        let bound = reached.and_then(|(bound, _)| *bound);
        bound.map_or(self.longest, |bound| bound.min(self.longest))
    }

    fn add(&mut self, other: &Self) {
        if self.buckets.is_empty() {
            self.buckets.clone_from(&other.buckets);
        } else {
            for ((_, sum), (_, count)) in self.buckets.iter_mut().zip(&other.buckets) {
                *sum += count;
            }
        }
        self.sum += other.sum;
        self.longest = self.longest.max(other.longest);
    }
}

impl From<&LoopTimes> for Turns {
    fn from(times: &LoopTimes) -> Self {
        let (sum, longest) = (times.sum(), times.longest());
        Self { buckets: times.buckets().collect(), sum, longest }
    }
}

impl KeyInfo {
    /// What may be seen of the keys of a ring, in its order.
    pub(crate) fn all(ring: &KeyRing) -> Vec<Self> {
        let info = |key: &countersign::Key| Self {
            id: key.id().to_owned(),
            fingerprint: key.fingerprint(),
            dialects: key.dialects().map(|dialect| dialect.name()).collect(),
            audience: key.audience().to_owned(),
            not_before: key.not_before(),
            not_after: key.not_after(),
        };
        ring.keys().map(info).collect()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use countersign::{Dialect, Key, Refusal};

    /// A worker with two listeners, on which everything has happened.
    pub(in crate::cli::admin) fn fixture() -> Snapshot {
        let until = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let garden = Key::new("garden", b"sixteen bytes or more").unwrap();
        let mut ring = KeyRing::from(garden.with_not_after(until));
        ring.add(Key::new("shed", b"other sixteen bytes").unwrap().with_dialect(Dialect::Raw))
            .unwrap();
        let mut counts = Counts::from(&Counters::default());
        counts.accepted = 9;
        counts.authenticated = 5;
        counts.messages = 77;
        for (why, count) in &mut counts.ended {
            match why {
                CloseReason::Finished => *count = 2,
                CloseReason::Refused(Refusal::WrongProof) => *count = 3,
                _ => {}
            }
        }
        let mut connections = Connections::default();
        (connections.delayed, connections.handshake, connections.open) = (1, 1, 2);
        let mut by_garden = KeyCounters::default();
        (by_garden.authenticated, by_garden.open) = (5, 2);
        let counters = [by_garden, KeyCounters::default()];
        let named = |name: &str, keys: Vec<KeyInfo>| Listener {
            keys: counters[..keys.len()].to_vec(),
            info: Arc::new(ListenerInfo {
                name: name.to_owned(),
                addresses: vec!["127.0.0.1:9527".to_owned()],
                labels: Labels { dialect: "countersign/1", framing: "lines", service: "echo" },
                keys,
            }),
            counts: counts.clone(),
            connections,
            connections_max: 100,
            held: 512,
            buffered_max: 1 << 20,
            throttled: 1,
        };
        let micros = |micros| Some(Duration::from_micros(micros));
        Snapshot {
            listeners: vec![named("gate", KeyInfo::all(&ring)), named("a\"\n\\é", Vec::new())],
            turns: Turns {
                buckets: vec![(micros(1), 10), (micros(2), 80), (micros(4), 9), (None, 1)],
                sum: Duration::from_micros(300),
                longest: Duration::from_millis(7),
            },
            memory_max: 4 << 20,
            buffered_max: 3 << 20,
            is_draining: false,
        }
    }

    #[test]
    fn a_sum_has_what_each_of_its_parts_has() {
        let mut sum = Snapshot::default();
        for _ in 0..3 {
            sum.add(&fixture());
        }
        let gate = sum.listeners[0].clone();
        assert_eq!((gate.info.name.as_str(), gate.counts.messages), ("gate", 3 * 77));
        assert_eq!((gate.connections.open, sum.memory_max), (6, 12 << 20));
        let by_key: Vec<_> = gate.keys.iter().map(|key| (key.authenticated, key.open)).collect();
        assert_eq!(by_key, [(15, 6), (0, 0)]);
        let wrong = gate.counts.refused().find(|(reason, _)| *reason == "wrong-proof");
        assert_eq!(wrong, Some(("wrong-proof", 9)));
        assert_eq!((sum.turns.count(), sum.turns.sum.as_micros()), (300, 900));
        // A worker that has another ring by now.
        let mut other = fixture();
        let mut info = ListenerInfo::clone(&other.listeners[0].info);
        info.keys.reverse();
        info.keys.remove(0);
        other.listeners[0].info = Arc::new(info);
        sum.add(&other);
        let by_key = sum.listeners[0].keys.iter().map(|key| (key.authenticated, key.open));
        assert_eq!(by_key.collect::<Vec<_>>(), [(20, 8), (0, 0)]);
    }

    #[test]
    fn every_end_is_either_a_refusal_or_not() {
        let counts = Counts::from(&Counters::default());
        let refused: Vec<_> = counts.refused().map(|(reason, _)| reason).collect();
        let closed: Vec<_> = counts.closed().map(|(reason, _)| reason).collect();
        assert_eq!(refused.len() + closed.len(), CloseReason::ALL.len());
        assert!(refused.contains(&"wrong-proof") && closed.contains(&"finished"));
    }

    #[test]
    fn a_part_of_the_turns_is_bounded_by_its_bucket_and_by_the_longest() {
        let mut turns = fixture().turns;
        let micros = |part| turns.quantile(part).as_micros();
        assert_eq!([micros(0.5), micros(0.9), micros(0.99), micros(1.0)], [2, 2, 4, 7000]);
        turns.longest = Duration::from_nanos(1500);
        assert_eq!(turns.quantile(0.99), turns.longest);
        assert_eq!(Turns::default().quantile(0.5), Duration::ZERO);
    }
}
