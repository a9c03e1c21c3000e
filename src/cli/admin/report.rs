//! The page `/status`: all that is known of the program, as JSON. `countersign status` reads it
//! back, so what it shows is what the page has.

use std::collections::BTreeMap;
use std::time::SystemTime;

use countersign::KeyCounters;
use serde::{Deserialize, Serialize};

use super::aggregate::Look;
use super::process::Process;
use super::snapshot::{KeyInfo, Listener as Source, Turns as Times};
use crate::cli::units;
use crate::cli::version::{COMMIT, FEATURES, VERSION};

/// What `program` says, by which a page of ours is known.
pub(crate) const PROGRAM: &str = "countersign";

/// All that is known of the program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) program: String,
    pub(crate) version: String,
    pub(crate) commit: Option<String>,
    pub(crate) features: Vec<String>,
    pub(crate) pid: u32,
    pub(crate) started: String,
    pub(crate) uptime_seconds: f64,
    pub(crate) workers: usize,
    pub(crate) ready: bool,
    pub(crate) draining: bool,
    pub(crate) reloads: Reloads,
    pub(crate) memory: Memory,
    pub(crate) turns: Turns,
    pub(crate) process: Process,
    pub(crate) listeners: Vec<Listener>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reloads {
    pub(crate) succeeded: u64,
    pub(crate) failed: u64,
    pub(crate) last: Option<String>,
    pub(crate) last_succeeded: bool,
    pub(crate) last_error: Option<String>,
    pub(crate) in_force_since: String,
}

/// What is kept of unfinished messages and unsent replies, and what all the limits come to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Memory {
    pub(crate) buffered_bytes: u64,
    pub(crate) buffered_max_bytes: u64,
    pub(crate) limit_bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Turns {
    pub(crate) count: u64,
    pub(crate) sum_seconds: f64,
    pub(crate) p50_seconds: f64,
    pub(crate) p99_seconds: f64,
    pub(crate) max_seconds: f64,
    pub(crate) buckets: Vec<Bucket>,
}

/// How many turns took longer than the bucket before, and at most so long; the last has no bound.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Bucket {
    pub(crate) up_to_seconds: Option<f64>,
    pub(crate) count: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Listener {
    pub(crate) name: String,
    pub(crate) addresses: Vec<String>,
    pub(crate) dialect: String,
    pub(crate) framing: String,
    pub(crate) service: String,
    pub(crate) connections: Connections,
    pub(crate) accepted: u64,
    pub(crate) delayed: u64,
    pub(crate) authenticated: u64,
    pub(crate) messages: u64,
    pub(crate) received_bytes: u64,
    pub(crate) sent_bytes: u64,
    pub(crate) accept_pauses: u64,
    pub(crate) accept_failures: u64,
    /// By reason; those that have not come about are left out.
    pub(crate) refused: BTreeMap<String, u64>,
    pub(crate) closed: BTreeMap<String, u64>,
    pub(crate) throttled_networks: u64,
    pub(crate) buffered_bytes: u64,
    pub(crate) buffered_max_bytes: u64,
    pub(crate) keys: Vec<Key>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Connections {
    pub(crate) delayed: u64,
    pub(crate) handshake: u64,
    pub(crate) open: u64,
    pub(crate) closing: u64,
    pub(crate) max: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) fingerprint: String,
    pub(crate) dialects: Vec<String>,
    pub(crate) audience: String,
    pub(crate) not_before: Option<String>,
    pub(crate) not_after: Option<String>,
    pub(crate) state: String,
    /// Connections that are open now, and all that were authenticated by it. A server of an earlier
    /// version doesn't tell.
    #[serde(default)]
    pub(crate) open: Option<u64>,
    #[serde(default)]
    pub(crate) authenticated: Option<u64>,
}

impl Report {
    pub(super) fn of(look: &Look, process: Process, now: SystemTime) -> Self {
        let listeners: Vec<_> =
            look.sum.listeners.iter().map(|each| Listener::of(each, now)).collect();
        Self {
            program: PROGRAM.to_owned(),
            version: VERSION.to_owned(),
            commit: (COMMIT != "unknown").then(|| COMMIT.to_owned()),
            features: FEATURES.split_whitespace().map(str::to_owned).collect(),
            pid: std::process::id(),
            started: units::date(look.started),
            uptime_seconds: look.uptime.as_secs_f64(),
            workers: look.workers,
            ready: look.is_ready(),
            draining: look.sum.is_draining,
            reloads: Reloads {
                succeeded: look.reloads.succeeded,
                failed: look.reloads.failed,
                last: look.reloads.last.map(units::date),
                last_succeeded: look.reloads.error.is_none(),
                last_error: look.reloads.error.clone(),
                in_force_since: units::date(look.in_force_since()),
            },
            memory: Memory {
                buffered_bytes: listeners.iter().map(|each| each.buffered_bytes).sum(),
                buffered_max_bytes: look.sum.buffered_max,
                limit_bytes: look.sum.memory_max,
            },
            turns: Turns::of(&look.sum.turns),
            process,
            listeners,
        }
    }
}

impl Turns {
    fn of(times: &Times) -> Self {
        let seconds = |part| times.quantile(part).as_secs_f64();
        let bucket = |(bound, count): &(Option<std::time::Duration>, u64)| Bucket {
            up_to_seconds: bound.map(|bound| bound.as_secs_f64()),
            count: *count,
        };
        Self {
            count: times.count(),
            sum_seconds: times.sum.as_secs_f64(),
            p50_seconds: seconds(0.5),
            p99_seconds: seconds(0.99),
            max_seconds: times.longest.as_secs_f64(),
            buckets: times.buckets.iter().map(bucket).collect(),
        }
    }
}

impl Listener {
    fn of(source: &Source, now: SystemTime) -> Self {
        let Source { info, counts, connections, .. } = source;
        let keys = info.keys.iter().zip(&source.keys);
        fn come_about<'a>(ends: impl Iterator<Item = (&'a str, u64)>) -> BTreeMap<String, u64> {
            let some = ends.filter(|(_, count)| *count > 0);
            some.map(|(reason, count)| (reason.to_owned(), count)).collect()
        }
        Self {
            name: info.name.clone(),
            addresses: info.addresses.clone(),
            dialect: info.labels.dialect.to_owned(),
            framing: info.labels.framing.to_owned(),
            service: info.labels.service.to_owned(),
            connections: Connections {
                delayed: connections.delayed as u64,
                handshake: connections.handshake as u64,
                open: connections.open as u64,
                closing: connections.closing as u64,
                max: source.connections_max,
            },
            accepted: counts.accepted,
            delayed: counts.delayed,
            authenticated: counts.authenticated,
            messages: counts.messages,
            received_bytes: counts.received,
            sent_bytes: counts.sent,
            accept_pauses: counts.accept_pauses,
            accept_failures: counts.accept_failures,
            refused: come_about(counts.refused()),
            closed: come_about(counts.closed()),
            throttled_networks: source.throttled,
            buffered_bytes: source.held,
            buffered_max_bytes: source.buffered_max,
            keys: keys.map(|(key, counters)| Key::of(key, *counters, now)).collect(),
        }
    }
}

impl Key {
    fn of(key: &KeyInfo, counters: KeyCounters, now: SystemTime) -> Self {
        let state = match (key.not_before, key.not_after) {
            (Some(first), _) if now < first => "early",
            (_, Some(last)) if now > last => "over",
            _ => "live",
        };
        Self {
            id: key.id.clone(),
            fingerprint: key.fingerprint.clone(),
            dialects: key.dialects.iter().map(|name| (*name).to_owned()).collect(),
            audience: key.audience.clone(),
            not_before: key.not_before.map(units::date),
            not_after: key.not_after.map(units::date),
            state: state.to_owned(),
            open: Some(counters.open),
            authenticated: Some(counters.authenticated),
        }
    }
}

#[cfg(test)]
pub(in crate::cli) mod tests {
    use super::*;
    use crate::cli::admin::aggregate::{Aggregate, Reloads};
    use crate::cli::admin::snapshot::tests::fixture;
    use crate::cli::system;

    /// A report on two listeners on which everything has happened.
    pub(in crate::cli) fn report() -> Report {
        let now = system::monotonic();
        let wall = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_790_000_000);
        let aggregate = Aggregate::new(2, Vec::new(), wall, now);
        aggregate.publish(0, fixture(), false);
        aggregate.publish(1, fixture(), false);
        let error = Some("keys:3: no such option".to_owned());
        aggregate.set_reloads(Reloads { failed: 1, last: Some(wall), error, ..Reloads::default() });
        Report::of(&aggregate.seen(now), Process::default(), wall)
    }

    #[test]
    fn a_report_is_read_back_as_it_was_written() {
        let report = report();
        let text = serde_json::to_string_pretty(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let gate = &value["listeners"][0];
        assert_eq!(gate["refused"], serde_json::json!({ "wrong-proof": 6 }));
        assert_eq!(gate["closed"], serde_json::json!({ "finished": 4 }));
        assert_eq!(gate["keys"][0]["not_after"], "2027-01-15T08:00:00Z");
        assert_eq!(gate["keys"][0]["state"], "live");
        assert_eq!(
            (&gate["keys"][0]["open"], &gate["keys"][0]["authenticated"]),
            (&4.into(), &10.into())
        );
        assert_eq!(value["memory"]["buffered_max_bytes"], 6 << 20);
        assert_eq!(value["reloads"]["last_error"], "keys:3: no such option");
        assert_eq!(value["memory"]["limit_bytes"], 8 << 20);
        assert_eq!(value["turns"]["p99_seconds"], 4e-6);
        assert_eq!(value["turns"]["buckets"][3]["up_to_seconds"], serde_json::Value::Null);
    }

    #[test]
    fn no_secret_is_in_it() {
        let text = serde_json::to_string(&report()).unwrap();
        for secret in ["sixteen", "7369787465656e", "c2l4dGVlbi"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}
