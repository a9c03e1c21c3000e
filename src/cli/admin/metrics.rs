//! The page `/metrics`: the same for a monitoring system, in the text format of Prometheus.

use std::time::SystemTime;

use countersign::KeyCounters;
use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType,
};
use prometheus::{Encoder as _, TextEncoder};

use super::aggregate::Look;
use super::process::Process;
use super::snapshot::{Counts, KeyInfo, Listener, Turns};
use crate::cli::escape::Escaped;
use crate::cli::version::{COMMIT, FEATURES, VERSION};

/// The format's name: version 0.0.4, which is always UTF-8.
pub(super) const KIND: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The page as it stands now.
pub(super) fn page(look: &Look, process: &Process) -> Vec<u8> {
    let mut page = Page::default();
    page.of_the_program(look);
    for (name, help, value) in COUNTERS {
        page.counter(name, help, each(look, value));
    }
    for (name, help, value) in GAUGES {
        page.gauge(name, help, each(look, value));
    }
    page.by_reason(look);
    page.of_connections(look);
    page.of_keys(look);
    page.of_turns(&look.sum.turns);
    page.of_the_process(process, look.started);
    page.text()
}

/// A name, its help, and where the value of a listener is.
type Row = (&'static str, &'static str, fn(&Listener) -> u64);

const COUNTERS: [Row; 8] = [
    ("connections_accepted_total", "Connections that were accepted.", |l| l.counts.accepted),
    (
        "connections_authenticated_total",
        "Connections whose peer has proved that it holds a key, or needed none.",
        |l| l.counts.authenticated,
    ),
    (
        "connections_delayed_total",
        "Connections that were greeted late, for wrong proofs from their network.",
        |l| l.counts.delayed,
    ),
    ("messages_total", "Messages that the service was given.", |l| l.counts.messages),
    ("received_bytes_total", "Bytes read.", |l| l.counts.received),
    ("sent_bytes_total", "Bytes written.", |l| l.counts.sent),
    (
        "accept_pauses_total",
        "Times that accepting failed for want of descriptors or memory, and paused.",
        |l| l.counts.accept_pauses,
    ),
    ("accept_failures_total", "Accepts that failed for a reason of the connection's own.", |l| {
        l.counts.accept_failures
    }),
];

const GAUGES: [Row; 4] = [
    ("connections_max", "The most connections that there can be.", |l| l.connections_max),
    ("memory_buffered_bytes", "Bytes kept of unfinished messages and unsent replies.", |l| l.held),
    ("memory_buffered_max_bytes", "The most bytes that are kept of them.", |l| l.buffered_max),
    (
        "throttled_networks",
        "Networks whose newcomers are delayed or refused for wrong proofs.",
        |l| l.throttled,
    ),
];

fn each(look: &Look, value: fn(&Listener) -> u64) -> Vec<Metric> {
    let line =
        |listener: &Listener| Sample::of(&[("listener", &listener.info.name)], value(listener));
    look.sum.listeners.iter().map(line).map(Sample::metric).collect()
}

/// One line of a counter or a gauge.
struct Sample(Metric, f64);

impl Sample {
    fn of(labels: &[(&str, &str)], value: u64) -> Self {
        Self(labelled(labels), value as f64)
    }

    /// With the value in both places; the family's type says which counts.
    fn metric(self) -> Metric {
        let Self(mut metric, value) = self;
        let (mut counter, mut gauge) = (Counter::default(), Gauge::default());
        counter.set_value(value);
        gauge.set_value(value);
        metric.set_counter(counter);
        metric.set_gauge(gauge);
        metric
    }
}

fn labelled(labels: &[(&str, &str)]) -> Metric {
    let pair = |(name, value): &(&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        // An id of a key may show a text in another order than it has.
        pair.set_value(Escaped(value).to_string());
        pair
    };
    Metric::from_label(labels.iter().map(pair).collect())
}

/// The families of metrics, in the order in which they are shown.
#[derive(Default)]
struct Page(Vec<MetricFamily>);

impl Page {
    fn of_the_program(&mut self, look: &Look) {
        let features = FEATURES.replace(' ', ",");
        let build = [("version", VERSION), ("commit", COMMIT), ("features", &features)];
        self.gauge(
            "build_info",
            "The program that this is; always 1.",
            vec![Sample::of(&build, 1).metric()],
        );
        self.single("workers", "Threads that serve.", look.workers as f64);
        let draining = f64::from(u8::from(look.sum.is_draining));
        self.single("draining", "Whether the program is stopping: 1 or 0.", draining);
        self.single(
            "memory_limit_bytes",
            "The most memory that the limits come to, whatever peers do.",
            look.sum.memory_max as f64,
        );
        let reloads = &look.reloads;
        let results = [("success", reloads.succeeded), ("failure", reloads.failed)];
        let results = results.map(|(result, count)| Sample::of(&[("result", result)], count));
        self.counter(
            "config_reloads_total",
            "Times that the configuration was loaded anew, by how it went.",
            results.map(Sample::metric).into(),
        );
        self.single(
            "config_last_reload_successful",
            "Whether what was configured last is in force: 1 or 0.",
            f64::from(u8::from(reloads.error.is_none())),
        );
        self.single(
            "config_last_reload_success_timestamp_seconds",
            "When the configuration that is in force was loaded, in seconds since 1970.",
            unix(look.in_force_since()),
        );
    }

    fn by_reason(&mut self, look: &Look) {
        let all = |ends: fn(&Counts) -> Vec<(&'static str, u64)>| {
            let listeners = look.sum.listeners.iter();
            let of_one = |listener: &Listener| {
                let name = &listener.info.name;
                let line = |(reason, count)| {
                    Sample::of(&[("listener", name), ("reason", reason)], count).metric()
                };
                ends(&listener.counts).into_iter().map(line).collect::<Vec<_>>()
            };
            listeners.flat_map(of_one).collect::<Vec<_>>()
        };
        self.counter(
            "refused_total",
            "Connections that ended because the peer did what it must not do, by reason.",
            all(|counts| counts.refused().collect()),
        );
        self.counter(
            "closed_total",
            "Connections that ended for any other reason, by reason.",
            all(|counts| counts.closed().collect()),
        );
    }

    fn of_connections(&mut self, look: &Look) {
        let states = |listener: &Listener| {
            let of = listener.connections;
            let states = [
                ("delayed", of.delayed),
                ("handshake", of.handshake),
                ("open", of.open),
                ("closing", of.closing),
            ];
            let name = &listener.info.name;
            states.map(|(state, count)| {
                Sample::of(&[("listener", name), ("state", state)], count as u64).metric()
            })
        };
        self.gauge(
            "connections",
            "Connections that there are now, by how far they have come.",
            look.sum.listeners.iter().flat_map(states).collect(),
        );
    }

    fn of_keys(&mut self, look: &Look) {
        let mut expiries = Vec::new();
        for listener in &look.sum.listeners {
            for key in &listener.info.keys {
                let Some(end) = key.not_after else { continue };
                let labels = [("listener", listener.info.name.as_str()), ("key", &key.id)];
                expiries.push(Sample(labelled(&labels), unix(end)).metric());
            }
        }
        self.gauge(
            "key_expiry_timestamp_seconds",
            "When a key runs out, in seconds since 1970; keys without an end are left out.",
            expiries,
        );
        self.by_key(
            look,
            "key_connections",
            "Connections that are open now, by the key that their peers hold.",
            |counters| counters.open,
        );
        self.by_key(
            look,
            "key_connections_authenticated_total",
            "Connections whose peer has proved that it holds this key.",
            |counters| counters.authenticated,
        );
    }

    fn by_key(&mut self, look: &Look, name: &str, help: &str, value: fn(&KeyCounters) -> u64) {
        let of_listener = |listener: &Listener| {
            let name = &listener.info.name;
            let line = |(key, counters): (&KeyInfo, &KeyCounters)| {
                let labels = [("listener", name.as_str()), ("key", &key.id)];
                Sample::of(&labels, value(counters)).metric()
            };
            listener.info.keys.iter().zip(&listener.keys).map(line).collect::<Vec<_>>()
        };
        let lines = look.sum.listeners.iter().flat_map(of_listener).collect();
        match name.ends_with("_total") {
            true => self.counter(name, help, lines),
            false => self.gauge(name, help, lines),
        }
    }

    fn of_turns(&mut self, turns: &Turns) {
        let mut seen = 0;
        let bucket = |(bound, count): &(Option<std::time::Duration>, u64)| {
            seen += count;
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(bound.map_or(f64::INFINITY, |bound| bound.as_secs_f64()));
            bucket.set_cumulative_count(seen);
            bucket
        };
        let buckets: Vec<_> = turns.buckets.iter().map(bucket).collect();
        let mut histogram = Histogram::default();
        // The last one is written by the encoder, from the count.
        histogram.set_bucket(
            buckets.into_iter().filter(|each| each.upper_bound().is_finite()).collect(),
        );
        histogram.set_sample_count(turns.count());
        histogram.set_sample_sum(turns.sum.as_secs_f64());
        let mut metric = Metric::default();
        metric.set_histogram(histogram);
        self.family(
            "countersign_turn_duration_seconds".to_owned(),
            "How long the turns of the loop took, without what they slept.",
            MetricType::HISTOGRAM,
            vec![metric],
        );
    }

    /// By the names that the libraries of all languages give these.
    fn of_the_process(&mut self, process: &Process, started: SystemTime) {
        let whole = |number: Option<u64>| number.map(|number| number as f64);
        let (cpu, start) = (process.cpu_seconds, Some(unix(started)));
        let rows = [
            ("cpu_seconds_total", "Processor time used, in seconds.", cpu),
            ("start_time_seconds", "When the process began, in seconds since 1970.", start),
            ("resident_memory_bytes", "Memory in use.", whole(process.resident_bytes)),
            ("virtual_memory_bytes", "Addresses in use.", whole(process.virtual_bytes)),
            ("open_fds", "Descriptors that are open.", whole(process.open_descriptors)),
            ("max_fds", "Descriptors that may be open.", whole(process.max_descriptors)),
            ("threads", "Threads.", whole(process.threads)),
        ];
        for (name, help, value) in rows {
            let kind =
                if name.ends_with("_total") { MetricType::COUNTER } else { MetricType::GAUGE };
            let values = value.map(|value| Sample(Metric::default(), value).metric());
            self.family(format!("process_{name}"), help, kind, values.into_iter().collect());
        }
    }

    fn single(&mut self, name: &str, help: &str, value: f64) {
        self.gauge(name, help, vec![Sample(Metric::default(), value).metric()]);
    }

    fn counter(&mut self, name: &str, help: &str, metrics: Vec<Metric>) {
        self.family(format!("countersign_{name}"), help, MetricType::COUNTER, metrics);
    }

    fn gauge(&mut self, name: &str, help: &str, metrics: Vec<Metric>) {
        self.family(format!("countersign_{name}"), help, MetricType::GAUGE, metrics);
    }

    fn family(&mut self, name: String, help: &str, kind: MetricType, metrics: Vec<Metric>) {
        // A family without any metric is none that the format knows.
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

fn unix(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::cli::admin::aggregate::Aggregate;
    use crate::cli::admin::snapshot::tests::fixture;
    use crate::cli::system;

    fn text() -> String {
        let now = system::monotonic();
        let aggregate = Aggregate::new(1, Vec::new(), SystemTime::UNIX_EPOCH, now);
        aggregate.publish(0, fixture(), false);
        String::from_utf8(page(&aggregate.seen(now), &Process::now())).unwrap()
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
            "countersign_turn_duration_seconds_sum 0.0003",
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
