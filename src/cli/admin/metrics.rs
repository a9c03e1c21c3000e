//! The page `/metrics`, in the text format of Prometheus.

use std::time::SystemTime;

use countersign::{Connections, KeyCounters, ListenerStats, LoopTimes};
use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType,
};
use prometheus::{Encoder as _, TextEncoder};

use super::aggregate::Snapshot;
use super::process::Process;
use crate::cli::escape::Escaped;
use crate::cli::version::{COMMIT, FEATURES, VERSION};

/// The format's name: version 0.0.4, which is always UTF-8.
pub(super) const KIND: &str = "text/plain; version=0.0.4; charset=utf-8";

/// One line of the page: its labels beside the listener's, and its value.
type Sample<'a> = (Vec<(&'static str, &'a str)>, f64);

/// A metric of each listener: its name, its help, and where its value is.
type PerListener = (&'static str, &'static str, fn(&ListenerStats) -> u64);

const PER_LISTENER: [PerListener; 12] = [
    ("connections_accepted_total", "Connections that were accepted.", |l| l.counters.accepted),
    (
        "connections_authenticated_total",
        "Connections whose peer has proved that it holds a key, or needed none.",
        |l| l.counters.authenticated,
    ),
    (
        "connections_delayed_total",
        "Connections that were greeted late, for wrong proofs from their network.",
        |l| l.counters.delayed,
    ),
    ("messages_total", "Messages that the service was given.", |l| l.counters.messages),
    ("received_bytes_total", "Bytes read.", |l| l.counters.bytes_in),
    ("sent_bytes_total", "Bytes written.", |l| l.counters.bytes_out),
    (
        "accept_pauses_total",
        "Times that accepting failed for want of descriptors or memory, and paused.",
        |l| l.counters.accept_pauses,
    ),
    ("accept_failures_total", "Accepts that failed for a reason of the connection's own.", |l| {
        l.counters.accept_failures
    }),
    ("connections_max", "The most connections that there can be.", |l| l.connections_max as u64),
    ("memory_buffered_bytes", "Bytes kept of unfinished messages and unsent replies.", |l| {
        l.buffered as u64
    }),
    ("memory_buffered_max_bytes", "The most bytes that are kept of them.", |l| {
        l.buffered_max as u64
    }),
    (
        "throttled_networks",
        "Networks whose newcomers are delayed or refused for wrong proofs.",
        |l| l.throttled as u64,
    ),
];

/// The page as it stands now.
pub(super) fn page(snapshot: &Snapshot, process: &Process) -> Vec<u8> {
    let mut page = Page::default();
    page.program(snapshot);
    page.listeners(&snapshot.stats.listeners);
    page.loop_times(&snapshot.stats.loop_times);
    page.process(process, snapshot.started);
    page.text()
}

/// The families of metrics, in the order in which they are shown.
#[derive(Default)]
struct Page(Vec<MetricFamily>);

impl Page {
    fn program(&mut self, snapshot: &Snapshot) {
        let (stats, reloads) = (&snapshot.stats, &snapshot.reloads);
        let features = FEATURES.replace(' ', ",");
        let build = vec![("version", VERSION), ("commit", COMMIT), ("features", &*features)];
        self.add("build_info", "The program that this is; always 1.", [(build, 1.0)]);
        self.single("workers", "Threads that serve.", snapshot.workers as f64);
        let draining = f64::from(u8::from(stats.is_draining));
        self.single("draining", "Whether the program is stopping: 1 or 0.", draining);
        self.single(
            "memory_limit_bytes",
            "The most memory that the limits come to, whatever peers do.",
            stats.memory_max.total as f64,
        );
        let results = [("success", reloads.succeeded), ("failure", reloads.failed)];
        self.add(
            "config_reloads_total",
            "Times that the configuration was loaded anew, by how it went.",
            results.map(|(result, count)| (vec![("result", result)], count as f64)),
        );
        self.single(
            "config_last_reload_successful",
            "Whether what was configured last is in force: 1 or 0.",
            f64::from(u8::from(reloads.error.is_none())),
        );
        self.single(
            "config_last_reload_success_timestamp_seconds",
            "When the configuration that is in force was loaded, in seconds since 1970.",
            unix(snapshot.in_force_since()),
        );
    }

    fn listeners(&mut self, all: &[ListenerStats]) {
        for (name, help, value) in PER_LISTENER {
            self.each(all, name, help, |it| vec![(vec![], value(it) as f64)]);
        }
        let ended = |it: &ListenerStats, is_refusal| {
            let reasons = it.counters.closed_by_reason();
            let reasons = reasons.filter(|(why, _)| why.is_refusal() == is_refusal);
            reasons.map(|(why, count)| (vec![("reason", why.name())], count as f64)).collect()
        };
        self.each(
            all,
            "refused_total",
            "Connections that ended because the peer did what it must not do, by reason.",
            |it| ended(it, true),
        );
        self.each(
            all,
            "closed_total",
            "Connections that ended for any other reason, by reason.",
            |it| ended(it, false),
        );
        self.each(
            all,
            "connections",
            "Connections that there are now, by how far they have come.",
            |it| {
                let Connections { delayed, handshake, open, closing, .. } = it.connections;
                let states = [delayed, handshake, open, closing].map(|count| count as f64);
                let names = ["delayed", "handshake", "open", "closing"];
                names.map(|name| vec![("state", name)]).into_iter().zip(states).collect()
            },
        );
        self.each(
            all,
            "key_expiry_timestamp_seconds",
            "When a key runs out, in seconds since 1970; keys without an end are left out.",
            |it| {
                let ends = it.info.keys.iter().filter_map(|key| Some((&*key.id, key.not_after?)));
                ends.map(|(id, end)| (vec![("key", id)], unix(end))).collect()
            },
        );
        let by_key = |it, value: fn(&KeyCounters) -> u64| {
            let keys = ListenerStats::by_key(it);
            keys.map(|(key, counters)| (vec![("key", &*key.id)], value(counters) as f64)).collect()
        };
        self.each(
            all,
            "key_connections",
            "Connections that are open now, by the key that their peers hold.",
            |it| by_key(it, |counters| counters.open),
        );
        self.each(
            all,
            "key_connections_authenticated_total",
            "Connections whose peer has proved that it holds this key.",
            |it| by_key(it, |counters| counters.authenticated),
        );
    }

    fn loop_times(&mut self, times: &LoopTimes) {
        let mut seen = 0;
        // The encoder writes the last bucket, which has no bound, from the count.
        let buckets = times.buckets().filter_map(|(bound, count)| {
            seen += count;
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(bound?.as_secs_f64());
            bucket.set_cumulative_count(seen);
            Some(bucket)
        });
        let mut histogram = Histogram::default();
        histogram.set_bucket(buckets.collect());
        histogram.set_sample_count(times.count());
        histogram.set_sample_sum(times.sum().as_secs_f64());
        let mut metric = Metric::default();
        metric.set_histogram(histogram);
        let help = "How long the turns of the loop took, without what they slept.";
        let name = "countersign_turn_duration_seconds".to_owned();
        self.family(name, help, MetricType::HISTOGRAM, vec![metric]);
    }

    /// By the names that the libraries of all languages give these.
    fn process(&mut self, process: &Process, started: SystemTime) {
        let whole = |number: Option<u64>| number.map(|number| number as f64);
        let start = Some(unix(started));
        let rows = [
            ("cpu_seconds_total", "Processor time used, in seconds.", process.cpu_seconds),
            ("start_time_seconds", "When the process began, in seconds since 1970.", start),
            ("resident_memory_bytes", "Memory in use.", whole(process.resident_bytes)),
            ("virtual_memory_bytes", "Addresses in use.", whole(process.virtual_bytes)),
            ("open_fds", "Descriptors that are open.", whole(process.open_descriptors)),
            ("max_fds", "Descriptors that may be open.", whole(process.max_descriptors)),
            ("threads", "Threads.", whole(process.threads)),
        ];
        for (name, help, value) in rows {
            self.samples(format!("process_{name}"), help, value.map(|value| (vec![], value)));
        }
    }

    /// Adds the samples of each listener under its name.
    fn each<'a>(
        &mut self,
        listeners: &'a [ListenerStats],
        name: &str,
        help: &str,
        samples: impl Fn(&'a ListenerStats) -> Vec<Sample<'a>>,
    ) {
        let of_one = |listener: &'a ListenerStats| {
            let label = ("listener", listener.info.name.as_str());
            samples(listener).into_iter().map(move |(mut labels, value)| {
                labels.insert(0, label);
                (labels, value)
            })
        };
        self.add(name, help, listeners.iter().flat_map(of_one));
    }

    fn single(&mut self, name: &str, help: &str, value: f64) {
        self.add(name, help, [(vec![], value)]);
    }

    fn add<'a>(&mut self, name: &str, help: &str, samples: impl IntoIterator<Item = Sample<'a>>) {
        self.samples(format!("countersign_{name}"), help, samples);
    }

    /// Adds a counter or a gauge, which its name tells apart.
    fn samples<'a>(
        &mut self,
        name: String,
        help: &str,
        samples: impl IntoIterator<Item = Sample<'a>>,
    ) {
        let is_counter = name.ends_with("_total");
        let metric = |(labels, value): Sample<'_>| {
            let mut metric = Metric::from_label(labels.into_iter().map(pair).collect());
            if is_counter {
                let mut counter = Counter::default();
                counter.set_value(value);
                metric.set_counter(counter);
            } else {
                let mut gauge = Gauge::default();
                gauge.set_value(value);
                metric.set_gauge(gauge);
            }
            metric
        };
        let kind = if is_counter { MetricType::COUNTER } else { MetricType::GAUGE };
        self.family(name, help, kind, samples.into_iter().map(metric).collect());
    }

    fn family(&mut self, name: String, help: &str, kind: MetricType, metrics: Vec<Metric>) {
        // The format knows no family without a metric.
        if metrics.is_empty() {
            return;
        }
        let mut family = MetricFamily::default();
        family.set_name(name);
        family.set_help(help.to_owned());
        family.set_field_type(kind);
        family.set_metric(metrics);
        self.0.push(family);
    }

    fn text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        let encoded = TextEncoder::new().encode(&self.0, &mut text);
        debug_assert!(encoded.is_ok(), "every family has a name and a metric: {encoded:?}");
        text
    }
}

fn pair((name, value): (&str, &str)) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    // An id of a key may show a text in another order than it has.
    pair.set_value(Escaped(value).to_string());
    pair
}

fn unix(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::cli::admin::aggregate::tests::aggregate;
    use crate::cli::admin::report::tests::stats;
    use crate::cli::system;

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
        let manual = include_str!("../../manual/operations.md");
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
            "countersign_connections_accepted_total{listener=\"gate\"} 9",
            "countersign_refused_total{listener=\"gate\",reason=\"wrong-proof\"} 3",
            "countersign_refused_total{listener=\"gate\",reason=\"too-many-connections\"} 0",
            "countersign_closed_total{listener=\"a\\\"\\\\n\\\\é\",reason=\"finished\"} 2",
            "countersign_key_connections{listener=\"gate\",key=\"garden\"} 2",
            "countersign_key_connections_authenticated_total{listener=\"gate\",key=\"shed\"} 0",
            "countersign_connections{listener=\"gate\",state=\"open\"} 2",
            "countersign_key_expiry_timestamp_seconds{listener=\"gate\",key=\"garden\"} 1800000000",
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
