//! The page `/metrics`, in the text format of Prometheus.

use std::fmt::{Display, Write as _};
use std::time::SystemTime;

use countersign::stats::{ListenerStats, LoopTimes};

use super::aggregate::Snapshot;
use super::process::Process;
use crate::escape::Escaped;
use crate::version::{COMMIT, VERSION};

/// The format's name: version 0.0.4, which is always UTF-8.
pub(super) const KIND: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The page as it stands now.
pub(super) fn page(snapshot: &Snapshot, process: &Process) -> Vec<u8> {
    let mut page = Page::default();
    page.program(snapshot);
    page.listeners(&snapshot.stats.listeners);
    page.ends(&snapshot.stats.listeners);
    page.keys(&snapshot.stats.listeners);
    page.loop_times(&snapshot.stats.loop_times);
    page.process(process, snapshot.started);
    page.0.into_bytes()
}

/// The lines of the page so far.
#[derive(Default)]
struct Page(String);

/// The name of a label, and its value.
type Label<'a> = (&'static str, &'a str);

impl Page {
    fn program(&mut self, snapshot: &Snapshot) {
        let (stats, reloads) = (&snapshot.stats, &snapshot.reloads);
        let build = [("version", VERSION), ("commit", COMMIT)];
        self.metric("build_info", "The build of the program; always 1.", [(build, 1)]);
        self.single("workers", "Worker threads.", snapshot.workers);
        let draining = u8::from(stats.is_draining);
        self.single("draining", "1 while the program is stopping, else 0.", draining);
        self.single(
            "memory_limit_bytes",
            "The worst-case memory that follows from the limits.",
            stats.memory_max.total,
        );
        let results = [("success", reloads.succeeded), ("failure", reloads.failed)];
        let results = results.map(|(result, count)| ([("result", result)], count));
        self.metric("config_reloads_total", "Configuration reloads.", results);
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
        let mut each = |name: &str, help: &str, value: fn(&ListenerStats) -> u64| {
            self.metric(name, help, listeners.iter().map(|each| ([of(each)], value(each))));
        };
        each("connections_accepted_total", "Accepted connections.", |l| l.counters.accepted);
        let help = "Connections whose peer proved that it holds a key, or needed none.";
        each("connections_authenticated_total", help, |l| l.counters.authenticated);
        let help = "Connections that were delayed because of failed proofs from their network.";
        each("connections_delayed_total", help, |l| l.counters.delayed);
        each("messages_total", "Messages passed to the service.", |l| l.counters.messages);
        each("received_bytes_total", "Bytes read.", |l| l.counters.bytes_in);
        each("sent_bytes_total", "Bytes written.", |l| l.counters.bytes_out);
        let help = "Times that accepting paused for lack of descriptors or memory.";
        each("accept_pauses_total", help, |l| l.counters.accept_pauses);
        let help = "Accepts that failed for a reason that concerns only one connection.";
        each("accept_failures_total", help, |l| l.counters.accept_failures);
        each("connections_max", "The limit on connections.", |l| l.connections_max as u64);
        let help = "Bytes buffered for unfinished messages and unsent replies.";
        each("memory_buffered_bytes", help, |l| l.buffered as u64);
        let help = "The limit on buffered bytes.";
        each("memory_buffered_max_bytes", help, |l| l.buffered_max as u64);
        let help = "Networks whose new connections are delayed or rejected.";
        each("throttled_networks", help, |l| l.throttled as u64);
    }

    fn ends(&mut self, listeners: &[ListenerStats]) {
        let mut ended = |name: &str, help: &str, is_refusal| {
            let samples = listeners.iter().flat_map(|each| {
                let reasons = each.counters.closed_by_reason();
                let reasons = reasons.filter(|(why, _)| why.is_refusal() == is_refusal);
                reasons.map(|(why, count)| ([of(each), ("reason", why.name())], count))
            });
            self.metric(name, help, samples);
        };
        let help = "Connections that ended because the peer did something that it must not do.";
        ended("refused_total", help, true);
        ended("closed_total", "Connections that ended for any other reason.", false);
        let states = listeners.iter().flat_map(|each| {
            let it = each.connections;
            let states = [
                ("delayed", it.delayed),
                ("handshake", it.handshake),
                ("open", it.open),
                ("closing", it.closing),
            ];
            states.map(|(state, count)| ([of(each), ("state", state)], count))
        });
        self.metric("connections", "Current connections.", states);
    }

    fn keys(&mut self, listeners: &[ListenerStats]) {
        let of_one = |listener| {
            let keys = ListenerStats::by_key(listener);
            keys.map(move |(key, counters)| ([of(listener), ("key", &*key.id)], key, counters))
        };
        let keys: Vec<_> = listeners.iter().flat_map(of_one).collect();
        let ends = keys
            .iter()
            .filter_map(|(labels, key, _)| key.not_after.map(|end| (*labels, end.as_secs_f64())));
        let help = "When a key expires, in seconds since 1970.";
        self.metric("key_expiry_timestamp_seconds", help, ends);
        let open = keys.iter().map(|(labels, _, counters)| (*labels, counters.open));
        self.metric("key_connections", "Open connections by the peer's key.", open);
        let all = keys.iter().map(|(labels, _, counters)| (*labels, counters.authenticated));
        let help = "Connections whose peer proved that it holds this key.";
        self.metric("key_connections_authenticated_total", help, all);
    }

    fn loop_times(&mut self, times: &LoopTimes) {
        let name = "countersign_turn_duration_seconds";
        self.begin(name, "Duration of the loops' turns, without sleeping.", "histogram");
        let mut seen = 0;
        for (bound, count) in times.buckets() {
            seen += count;
            let bound = bound.map(|bound| bound.as_secs_f64().to_string());
            let bound = bound.as_deref().unwrap_or("+Inf");
            self.sample(&format!("{name}_bucket"), &[("le", bound)], seen);
        }
        self.sample(&format!("{name}_sum"), &[], times.sum().as_secs_f64());
        self.sample(&format!("{name}_count"), &[], seen);
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
            self.family(&format!("process_{name}"), help, value.map(|value| ([], value)));
        }
    }

    fn single(&mut self, name: &str, help: &str, value: impl Display) {
        self.metric(name, help, [([], value)]);
    }

    /// Adds a counter or a gauge of the program.
    fn metric<'a, const N: usize, V: Display>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = ([Label<'a>; N], V)>,
    ) {
        self.family(&format!("countersign_{name}"), help, samples);
    }

    /// Adds a counter or a gauge with its samples. Without a sample, it is left out.
    fn family<'a, const N: usize, V: Display>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = ([Label<'a>; N], V)>,
    ) {
        // The names of counters, and no others, end in `_total`.
        let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
        for (place, (labels, value)) in samples.into_iter().enumerate() {
            if place == 0 {
                self.begin(name, help, kind);
            }
            self.sample(name, &labels, value);
        }
    }

    fn begin(&mut self, name: &str, help: &str, kind: &str) {
        // Writing to a string succeeds.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// Adds one line of the metric that was begun last.
    fn sample(&mut self, name: &str, labels: &[Label<'_>], value: impl Display) {
        let label = |(name, value): &Label<'_>| {
            // An id of a key may show a text in another order than it has.
            let value = Escaped(value).to_string().replace('\\', "\\\\").replace('"', "\\\"");
            format!("{name}=\"{value}\"")
        };
        let labels: Vec<String> = labels.iter().map(label).collect();
        let _ = match labels.is_empty() {
            true => writeln!(self.0, "{name} {value}"),
            false => writeln!(self.0, "{name}{{{}}} {value}", labels.join(",")),
        };
    }
}

fn of(listener: &ListenerStats) -> Label<'_> {
    ("listener", &listener.info.name)
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
