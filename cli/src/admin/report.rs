//! The report on a program. It is the page `/status` as JSON, which `countersign status` parses,
//! and the page `/metrics` as text.

use std::collections::BTreeMap;
use std::time::Duration;

use countersign::stats::{Connections, KeyCounters, KeyInfo, ListenerStats, LoopTimes};
use serde::{Deserialize, Serialize};

use super::figures::Figures;
use super::process::Process;
use crate::reload::Reloads;
use crate::units::Date;

/// The value of `program`, which identifies a report of countersign.
pub(crate) const PROGRAM: &str = "countersign";

/// What a listener serves and how, as on the command line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Labels {
    pub(crate) dialect: &'static str,
    pub(crate) framing: &'static str,
    pub(crate) service: &'static str,
}

/// The report on a program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StatusReport {
    pub(crate) program: String,
    pub(crate) version: String,
    pub(crate) commit: Option<String>,
    pub(crate) pid: u32,
    pub(crate) started: Date,
    pub(crate) uptime_seconds: f64,
    pub(crate) workers: u64,
    pub(crate) ready: bool,
    pub(crate) draining: bool,
    pub(crate) reloads: Reloads,
    pub(crate) memory: MemoryReport,
    pub(crate) turns: Turns,
    pub(crate) process: Process,
    pub(crate) listeners: Vec<ListenerReport>,
}

/// The bytes buffered for unfinished messages and unsent replies, and the worst case of all memory.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct MemoryReport {
    pub(crate) buffered_bytes: u64,
    pub(crate) buffered_max_bytes: u64,
    pub(crate) limit_bytes: u64,
}

/// How long the turns of the loops took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Turns {
    pub(crate) count: u64,
    pub(crate) sum_seconds: f64,
    pub(crate) p50_seconds: f64,
    pub(crate) p99_seconds: f64,
    pub(crate) max_seconds: f64,
    pub(crate) buckets: Vec<Bucket>,
}

/// How many turns took longer than the bucket before and at most this long; the last has no bound.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Bucket {
    pub(crate) up_to_seconds: Option<f64>,
    pub(crate) count: u64,
}

/// What a listener is and what it has done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ListenerReport {
    pub(crate) name: String,
    pub(crate) addresses: Vec<String>,
    pub(crate) dialect: String,
    pub(crate) framing: String,
    pub(crate) service: String,
    pub(crate) connections: ConnectionsReport,
    #[serde(flatten)]
    pub(crate) figures: Figures,
    /// By reason; reasons that have not occurred are left out.
    pub(crate) refused: BTreeMap<String, u64>,
    pub(crate) closed: BTreeMap<String, u64>,
    /// The faults that were injected, by verb. Absent in reports of earlier versions.
    #[serde(default)]
    pub(crate) faults: BTreeMap<String, u64>,
    pub(crate) keys: Vec<KeyReport>,
}

/// The connections that are open, by state, and their limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ConnectionsReport {
    pub(crate) delayed: u64,
    pub(crate) handshake: u64,
    pub(crate) open: u64,
    pub(crate) closing: u64,
    pub(crate) max: u64,
}

/// A key without its secret, and the connections of those who hold it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct KeyReport {
    pub(crate) id: String,
    pub(crate) fingerprint: String,
    pub(crate) dialects: Vec<String>,
    pub(crate) audience: String,
    pub(crate) not_before: Option<Date>,
    pub(crate) not_after: Option<Date>,
    pub(crate) state: String,
    /// Connections that are open now, and all that the key has authenticated. Absent in reports of
    /// earlier versions.
    #[serde(default)]
    pub(crate) open: Option<u64>,
    #[serde(default)]
    pub(crate) authenticated: Option<u64>,
}

impl ConnectionsReport {
    /// The states with their connections.
    pub(crate) fn by_state(&self) -> [(&'static str, u64); 4] {
        let Self { delayed, handshake, open, closing, .. } = *self;
        [("delayed", delayed), ("handshake", handshake), ("open", open), ("closing", closing)]
    }
}

impl From<&LoopTimes> for Turns {
    fn from(times: &LoopTimes) -> Self {
        let bucket = |(bound, count): (Option<Duration>, u64)| Bucket {
            up_to_seconds: bound.map(|bound| bound.as_secs_f64()),
            count,
        };
        Self {
            count: times.count(),
            sum_seconds: times.sum().as_secs_f64(),
            p50_seconds: times.quantile(0.5).as_secs_f64(),
            p99_seconds: times.quantile(0.99).as_secs_f64(),
            max_seconds: times.longest().as_secs_f64(),
            buckets: times.buckets().map(bucket).collect(),
        }
    }
}

impl ListenerReport {
    pub(super) fn of(stats: &ListenerStats, labels: &Labels, now: Duration) -> Self {
        let ListenerStats { info, counters, .. } = stats;
        let Connections { delayed, handshake, open, closing, .. } = stats.connections;
        let ended = |is_refusal| {
            let some = counters.closed_by_reason().filter(|(_, count)| *count > 0);
            let some = some.filter(|(why, _)| why.is_refusal() == is_refusal);
            some.map(|(why, count)| (why.name().to_owned(), count)).collect()
        };
        let injected = counters.faults_by_kind().filter(|(_, count)| *count > 0);
        Self {
            name: info.name.clone(),
            addresses: info.addresses.clone(),
            dialect: labels.dialect.to_owned(),
            framing: labels.framing.to_owned(),
            service: labels.service.to_owned(),
            connections: ConnectionsReport {
                delayed: delayed as u64,
                handshake: handshake as u64,
                open: open as u64,
                closing: closing as u64,
                max: stats.connections_max as u64,
            },
            figures: Figures::from(stats),
            refused: ended(true),
            closed: ended(false),
            faults: injected.map(|(kind, count)| (kind.name().to_owned(), count)).collect(),
            keys: stats.by_key().map(|(key, counts)| KeyReport::of(key, *counts, now)).collect(),
        }
    }
}

impl KeyReport {
    fn of(key: &KeyInfo, counters: KeyCounters, now: Duration) -> Self {
        Self {
            id: key.id.clone(),
            fingerprint: key.fingerprint.clone(),
            dialects: key.dialects.iter().map(|dialect| dialect.name().to_owned()).collect(),
            audience: key.audience.clone(),
            not_before: key.not_before.map(Date::after_1970),
            not_after: key.not_after.map(Date::after_1970),
            state: key.validity_at(now).name().to_owned(),
            open: Some(counters.open),
            authenticated: Some(counters.authenticated),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;
    use std::time::SystemTime;

    use countersign::faults::FaultKind;
    use countersign::stats::{Counters, ListenerInfo, Stats};
    use countersign::{CloseReason, Dialect, KeyRing, KeyRingExt as _, Refusal};

    use super::*;
    use crate::admin::aggregate::tests::aggregate;
    use crate::system;

    /// The stats of a worker with two listeners on which everything has happened.
    pub(crate) fn stats() -> Stats {
        let until = Duration::from_secs(1_800_000_000);
        let key = |id, secret: &[u8]| countersign::Key::new(id, secret).unwrap();
        let garden = key("garden", b"sixteen bytes or more").with_not_after(until);
        let mut ring = KeyRing::from_key(garden).unwrap();
        ring.add(key("shed", b"other sixteen bytes").with_dialect(Dialect::Raw)).unwrap();
        let mut counters = Counters::default();
        (counters.accepted, counters.authenticated, counters.messages) = (9, 5, 77);
        let wrong_proof = CloseReason::Refused(Refusal::WrongProof);
        for why in
            [CloseReason::Finished, CloseReason::Finished, wrong_proof, wrong_proof, wrong_proof]
        {
            counters.count(why);
        }
        counters.count_fault(FaultKind::Delay);
        let listener = |name: &str, ring: Option<&KeyRing>| {
            let addresses = vec!["127.0.0.1:9527".to_owned()];
            let mut stats = ListenerStats::new(Arc::new(ListenerInfo::new(name, addresses, ring)));
            stats.counters = counters.clone();
            let states = &mut stats.connections;
            (states.delayed, states.handshake, states.open) = (1, 1, 2);
            (stats.connections_max, stats.buffered, stats.buffered_max) = (100, 512, 1 << 20);
            stats.throttled = 1;
            if let Some(first) = stats.keys.first_mut() {
                (first.authenticated, first.open) = (5, 2);
            }
            stats
        };
        let mut stats = Stats::default();
        stats.listeners = vec![listener("main", Some(&ring)), listener("a\"\n\\é", None)];
        (stats.memory_max.total, stats.memory_max.buffered) = (4 << 20, 3 << 20);
        for (count, micros) in [(10, 1), (80, 2), (9, 3), (1, 7_000)] {
            (0..count).for_each(|_| stats.loop_times.record(Duration::from_micros(micros)));
        }
        stats
    }

    /// A report on two such workers.
    pub(crate) fn report() -> StatusReport {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
        let aggregate = aggregate(2, &[stats(), stats()]);
        let mut report = aggregate.report(Process::default(), system::since_epoch(wall));
        (report.started, report.uptime_seconds) = (Date(wall), 0.0);
        report.reloads = Reloads::none(wall);
        (report.reloads.failed, report.reloads.last) = (1, Some(Date(wall)));
        report.reloads.last_error = Some("keys:3: no such option".to_owned());
        report.reloads.last_succeeded = false;
        report
    }

    #[test]
    fn a_key_is_over_at_the_instant_of_its_expiry_as_on_the_ring() {
        let at = Duration::from_secs;
        let key = countersign::Key::new("garden", b"sixteen bytes or more").unwrap();
        let key = key.with_not_before(at(10)).with_not_after(at(20));
        let info = KeyInfo::from(&key);
        for (second, state, is_taken) in [
            (9, "not-yet-valid", false),
            (10, "valid", true),
            (19, "valid", true),
            (20, "expired", false),
        ] {
            let shown = KeyReport::of(&info, KeyCounters::default(), at(second));
            assert_eq!((shown.state.as_str(), key.is_valid_at(at(second))), (state, is_taken));
        }
    }

    #[test]
    fn a_report_is_read_back_as_it_was_written() {
        let report = report();
        let text = serde_json::to_string_pretty(&report).unwrap();
        assert_eq!(serde_json::from_str::<StatusReport>(&text).unwrap(), report);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let main = &value["listeners"][0];
        assert_eq!(main["refused"], serde_json::json!({ "wrong-proof": 6 }));
        assert_eq!(main["closed"], serde_json::json!({ "finished": 4 }));
        assert_eq!(main["keys"][0]["not_after"], "2027-01-15T08:00:00Z");
        assert_eq!(main["keys"][0]["state"], "valid");
        assert_eq!(
            (&main["keys"][0]["open"], &main["keys"][0]["authenticated"]),
            (&4.into(), &10.into())
        );
        assert_eq!(value["memory"]["buffered_max_bytes"], 6 << 20);
        assert_eq!(value["reloads"]["last_error"], "keys:3: no such option");
        assert_eq!(value["memory"]["limit_bytes"], 8 << 20);
        assert_eq!(value["turns"]["p99_seconds"], 4e-6);
        assert_eq!(value["turns"]["buckets"][21]["up_to_seconds"], serde_json::Value::Null);
    }

    #[test]
    fn no_secret_is_in_it() {
        let text = serde_json::to_string(&report()).unwrap();
        for secret in ["sixteen", "7369787465656e", "c2l4dGVlbi"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}
