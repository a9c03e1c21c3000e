//! The page `/metrics`, in the text format of Prometheus.

use std::fmt::Write as _;
use std::time::SystemTime;

use countersign::stats::{ListenerStats, LoopTimes};

use super::aggregate::Snapshot;
use super::process::Process;
use crate::escape::Escaped;
use crate::version::{COMMIT, VERSION};

/// The format's name: version 0.0.4, which is always UTF-8.
pub(super) const KIND: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A metric of each listener: its name, its help, and where its value is.
type PerListener = (&'static str, &'static str, fn(&ListenerStats) -> u64);

const PER_LISTENER: [PerListener; 12] = [
    ("connections_accepted_total", "Accepted connections.", |l| l.counters.accepted),
    (
        "connections_authenticated_total",
        "Connections whose peer proved that it holds a key, or needed none.",
        |l| l.counters.authenticated,
    ),
    (
        "connections_delayed_total",
        "Connections that were delayed because of failed proofs from their network.",
        |l| l.counters.delayed,
    ),
    ("messages_total", "Messages passed to the service.", |l| l.counters.messages),
    ("received_bytes_total", "Bytes read.", |l| l.counters.bytes_in),
    ("sent_bytes_total", "Bytes written.", |l| l.counters.bytes_out),
    (
        "accept_pauses_total",
        "Times that accepting paused for lack of descriptors or memory.",
        |l| l.counters.accept_pauses,
    ),
    (
        "accept_failures_total",
        "Accepts that failed for a reason that concerns only one connection.",
        |l| l.counters.accept_failures,
    ),
    ("connections_max", "The limit on connections.", |l| l.connections_max as u64),
    ("memory_buffered_bytes", "Bytes buffered for unfinished messages and unsent replies.", |l| {
        l.buffered as u64
    }),
    ("memory_buffered_max_bytes", "The limit on buffered bytes.", |l| l.buffered_max as u64),
    ("throttled_networks", "Networks whose new connections are delayed or rejected.", |l| {
        l.throttled as u64
    }),
];

/// The page as it stands now.
pub(super) fn page(snapshot: &Snapshot, process: &Process) -> Vec<u8> {
    let mut page = Page::default();
    page.program(snapshot);
    page.listeners(&snapshot.stats.listeners);
    page.keys(&snapshot.stats.listeners);
    page.loop_times(&snapshot.stats.loop_times);
    page.process(process, snapshot.started);
    page.text.into_bytes()
}

/// The lines of the page so far.
#[derive(Default)]
struct Page {
    text: String,
    /// The metric that is being written.
    name: String,
    /// Its first lines, which are written with its first sample: a metric needs one.
    header: String,
}

impl Page {
    fn program(&mut self, snapshot: &Snapshot) {
        let (stats, reloads) = (&snapshot.stats, &snapshot.reloads);
        self.metric("build_info", "The build of the program; always 1.");
        self.sample(&[("version", VERSION), ("commit", COMMIT)], 1);
        self.single("workers", "Worker threads.", snapshot.workers);
        let draining = u8::from(stats.is_draining);
        self.single("draining", "1 while the program is stopping, else 0.", draining);
        self.single(
            "memory_limit_bytes",
            "The worst-case memory that follows from the limits.",
            stats.memory_max.total,
        );
        self.metric("config_reloads_total", "Configuration reloads.");
        self.sample(&[("result", "success")], reloads.succeeded);
        self.sample(&[("result", "failure")], reloads.failed);
        self.single(
            "config_last_reload_successful",
            "1 if the last reload succeeded or there was none, else 0.",
            u8::from(reloads.last_succeeded),
        );
        self.single(
            "config_last_reload_success_timestamp_seconds",
            "When the configuration in force was loaded, in seconds since 1970.",
            unix(reloads.in_force_since.0),
        );
    }

    fn listeners(&mut self, listeners: &[ListenerStats]) {
        for (name, help, value) in PER_LISTENER {
            self.metric(name, help);
            listeners.iter().for_each(|each| self.sample(&[of(each)], value(each)));
        }
        for (name, help, is_refusal) in [
            (
                "refused_total",
                "Connections that ended because the peer did something that it must not do.",
                true,
            ),
            ("closed_total", "Connections that ended for any other reason.", false),
        ] {
            self.metric(name, help);
            for each in listeners {
                let reasons = each.counters.closed_by_reason();
                for (why, count) in reasons.filter(|(why, _)| why.is_refusal() == is_refusal) {
                    self.sample(&[of(each), ("reason", why.name())], count);
                }
            }
        }
        self.metric("connections", "Current connections.");
        for each in listeners {
            let of_state = each.connections;
            self.sample(&[of(each), ("state", "delayed")], of_state.delayed);
            self.sample(&[of(each), ("state", "handshake")], of_state.handshake);
            self.sample(&[of(each), ("state", "open")], of_state.open);
            self.sample(&[of(each), ("state", "closing")], of_state.closing);
        }
    }

    fn keys(&mut self, listeners: &[ListenerStats]) {
        let keys = || {
            let of_one = |each| ListenerStats::by_key(each).map(move |key| (of(each), key));
            listeners.iter().flat_map(of_one)
        };
        self.metric("key_expiry_timestamp_seconds", "When a key expires, in seconds since 1970.");
        for (listener, (key, _)) in keys() {
            if let Some(end) = key.not_after {
                self.sample(&[listener, ("key", &key.id)], end.as_secs_f64());
            }
        }
        self.metric("key_connections", "Open connections by the peer's key.");
        for (listener, (key, counters)) in keys() {
            self.sample(&[listener, ("key", &key.id)], counters.open);
        }
        self.metric(
            "key_connections_authenticated_total",
            "Connections whose peer proved that it holds this key.",
        );
        for (listener, (key, counters)) in keys() {
            self.sample(&[listener, ("key", &key.id)], counters.authenticated);
        }
    }

    fn loop_times(&mut self, times: &LoopTimes) {
        let name = "countersign_turn_duration_seconds";
        let help = "Duration of the loops' turns, without sleeping.";
        self.begin(name, help, "histogram");
        self.name = format!("{name}_bucket");
        let mut seen = 0;
        for (bound, count) in times.buckets() {
            seen += count;
            let bound = bound.map(|bound| bound.as_secs_f64().to_string());
            self.sample(&[("le", bound.as_deref().unwrap_or("+Inf"))], seen);
        }
        self.name = format!("{name}_sum");
        self.sample(&[], times.sum().as_secs_f64());
        self.name = format!("{name}_count");
        self.sample(&[], seen);
    }

    /// Under the names that Prometheus' own libraries give these.
    fn process(&mut self, process: &Process, started: SystemTime) {
        let whole = |number: Option<u64>| number.map(|number| number as f64);
        for (name, help, value) in [
            ("cpu_seconds_total", "Processor time of all threads.", process.cpu_seconds),
            ("start_time_seconds", "When the program started, since 1970.", Some(unix(started))),
            ("resident_memory_bytes", "Resident memory.", whole(process.resident_bytes)),
            ("virtual_memory_bytes", "Virtual memory.", whole(process.virtual_bytes)),
            ("open_fds", "Open file descriptors.", whole(process.open_descriptors)),
            ("max_fds", "Limit on open file descriptors.", whole(process.max_descriptors)),
            ("threads", "Threads.", whole(process.threads)),
        ] {
            self.begin(&format!("process_{name}"), help, kind(name));
            if let Some(value) = value {
                self.sample(&[], value);
            }
        }
    }

    fn single(&mut self, name: &str, help: &str, value: impl ToString) {
        self.metric(name, help);
        self.sample(&[], value);
    }

    /// Begins a counter or a gauge of the program.
    fn metric(&mut self, name: &str, help: &str) {
        self.begin(&format!("countersign_{name}"), help, kind(name));
    }

    fn begin(&mut self, name: &str, help: &str, kind: &str) {
        name.clone_into(&mut self.name);
        self.header = format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// One line of the metric that was begun last.
    fn sample(&mut self, labels: &[(&str, &str)], value: impl ToString) {
        self.text.push_str(&std::mem::take(&mut self.header));
        self.text.push_str(&self.name);
        for (place, (name, value)) in labels.iter().enumerate() {
            // An id of a key may show a text in another order than it has.
            let value = Escaped(value).to_string().replace('\\', "\\\\").replace('"', "\\\"");
            let before = if place == 0 { '{' } else { ',' };
            // Writing to a string succeeds.
            let _ = write!(self.text, "{before}{name}=\"{value}\"");
        }
        let after = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{after} {}", value.to_string());
    }
}

fn of(listener: &ListenerStats) -> (&'static str, &str) {
    ("listener", &listener.info.name)
}

/// The names of counters, and no others, end in `_total`.
fn kind(name: &str) -> &'static str {
    if name.ends_with("_total") { "counter" } else { "gauge" }
}

fn unix(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::admin::aggregate::tests::aggregate;
    use crate::admin::report::tests::stats;
    use crate::system;

    fn text() -> String {
        let snapshot = aggregate(1, &[stats()]).snapshot(system::monotonic());
        String::from_utf8(page(&snapshot, &Process::now())).unwrap()
    }

    /// A metric as its name, its type and its labels.
    type Kind = (String, String, String);

    /// Those of the page. A histogram's are those of its parts.
    fn of_the_page(text: &str) -> BTreeSet<Kind> {
        let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let kind = |line: &str| {
            let (name, kind) = line.split_once(' ').unwrap();
            let lines = text.lines().filter_map(|line| line.strip_prefix(name));
            let mut labels = lines.filter_map(|rest| rest.strip_prefix('{')).map(|rest| {
                let pairs = rest.rsplit_once("} ").unwrap().0.split("\",");
                pairs.map(|pair| pair.split('=').next().unwrap()).collect::<Vec<_>>().join(", ")
            });
            (name.to_owned(), kind.to_owned(), labels.next_back().unwrap_or_default())
        };
        types.map(kind).collect()
    }

    /// Those of the manual's table.
    fn of_the_manual() -> BTreeSet<Kind> {
        let manual = include_str!("../../../src/manual/operations.md");
        let section = manual.split("\n# Metrics\n").nth(1).unwrap().split("\n# ").next().unwrap();
        let is_metric = |line: &&str| {
            ["counter", "gauge", "histogram"]
                .iter()
                .any(|kind| line.contains(&format!("| {kind} |")))
        };
        let rows = section.lines().filter(is_metric);
        let kind = |row: &str| {
            let mut cells = row.split('|').skip(1).map(|cell| cell.trim().replace('`', ""));
            let mut next = || cells.next().unwrap();
            (next(), next(), next())
        };
        rows.map(kind).collect()
    }

    #[test]
    fn the_manual_has_every_metric_and_no_other() {
        let (page, manual) = (of_the_page(&text()), of_the_manual());
        assert!(page.len() > 25, "{page:?}");
        if cfg!(target_os = "linux") {
            assert_eq!(page, manual);
        } else {
            assert!(page.is_subset(&manual));
        }
    }

    #[test]
    fn values_stand_behind_their_labels() {
        let text = text();
        let lines = [
            "countersign_connections_accepted_total{listener=\"main\"} 9",
            "countersign_refused_total{listener=\"main\",reason=\"wrong-proof\"} 3",
            "countersign_refused_total{listener=\"main\",reason=\"too-many-connections\"} 0",
            "countersign_closed_total{listener=\"a\\\"\\\\n\\\\é\",reason=\"finished\"} 2",
            "countersign_key_connections{listener=\"main\",key=\"garden\"} 2",
            "countersign_key_connections_authenticated_total{listener=\"main\",key=\"shed\"} 0",
            "countersign_connections{listener=\"main\",state=\"open\"} 2",
            "countersign_key_expiry_timestamp_seconds{listener=\"main\",key=\"garden\"} 1800000000",
            "countersign_turn_duration_seconds_bucket{le=\"0.000001\"} 10",
            "countersign_turn_duration_seconds_bucket{le=\"0.000002\"} 90",
            "countersign_turn_duration_seconds_bucket{le=\"+Inf\"} 100",
            "countersign_turn_duration_seconds_sum 0.007197",
            "countersign_turn_duration_seconds_count 100",
            "countersign_draining 0",
            "countersign_config_last_reload_successful 1",
        ];
        for line in lines {
            assert!(text.lines().any(|each| each == line), "{line} is missing: {text}");
        }
        let expires = |line: &str| line.contains("expiry") && line.contains("key=\"shed\"");
        assert!(!text.lines().any(expires), "it has no end");
    }

    #[test]
    fn names_are_as_they_are_everywhere() {
        for (name, kind, _) in of_the_page(&text()) {
            assert!(name.starts_with("countersign_") || name.starts_with("process_"), "{name}");
            assert_eq!(name.ends_with("_total"), kind == "counter", "{name}");
            assert!(!["_ms", "_millis", "_kb", "_kib"].iter().any(|end| name.ends_with(end)));
        }
    }
}
