//! The page `/metrics`: the report in the text format of Prometheus.

use std::fmt::{Display, Write as _};

use countersign::CloseReason;

use super::figures::METRICS;
use super::report::{ListenerReport, StatusReport, Turns};
use crate::escape::Escaped;
use crate::units::Date;
use crate::version::{COMMIT, VERSION};

/// The format's name: version 0.0.4, which is always UTF-8.
pub(super) const KIND: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The report as the page.
pub(super) fn page(report: &StatusReport) -> Vec<u8> {
    let mut page = Page::default();
    page.program(report);
    page.listeners(&report.listeners);
    page.keys(&report.listeners);
    page.turns(&report.turns);
    page.process(report);
    page.0.into_bytes()
}

/// The lines of the page so far.
#[derive(Default)]
struct Page(String);

/// The name of a label, and its value.
type Label<'a> = (&'static str, &'a str);

impl Page {
    fn program(&mut self, report: &StatusReport) {
        let reloads = &report.reloads;
        let build = [("version", VERSION), ("commit", COMMIT)];
        self.metric("build_info", "The build of the program; always 1.", [(build, 1)]);
        self.single("workers", "Worker threads.", report.workers);
        let draining = u8::from(report.draining);
        self.single("draining", "1 while the program is stopping, else 0.", draining);
        let help = "The worst-case memory that follows from the limits.";
        self.single("memory_limit_bytes", help, report.memory.limit_bytes);
        let results = [("success", reloads.succeeded), ("failure", reloads.failed)];
        let results = results.map(|(result, count)| ([("result", result)], count));
        self.metric("config_reloads_total", "Configuration reloads.", results);
        let help = "1 if the last reload succeeded or there was none, else 0.";
        self.single("config_last_reload_successful", help, u8::from(reloads.last_succeeded));
        let (name, since) =
            ("config_last_reload_success_timestamp_seconds", reloads.in_force_since);
        let help = "When the configuration in force was loaded, in seconds since 1970.";
        self.single(name, help, since.unix_seconds());
    }

    fn listeners(&mut self, listeners: &[ListenerReport]) {
        for (name, help, value) in METRICS {
            let samples = listeners.iter().map(|each| ([of(each)], value(&each.figures)));
            self.metric(name, help.trim_start(), samples);
        }
        let max = listeners.iter().map(|each| ([of(each)], each.connections.max));
        self.metric("connections_max", "The limit on connections.", max);
        let states = listeners.iter().flat_map(|each| {
            each.connections.by_state().map(|(state, count)| ([of(each), ("state", state)], count))
        });
        self.metric("connections", "Current connections.", states);
        let help = "Connections that ended because the peer did something that it must not do.";
        self.metric("refused_total", help, ended(listeners, true));
        let help = "Connections that ended for any other reason.";
        self.metric("closed_total", help, ended(listeners, false));
        let faults = listeners.iter().flat_map(|each| {
            each.faults.iter().map(move |it| ([of(each), ("verb", it.0.as_str())], *it.1))
        });
        self.metric("faults_total", "Faults that were injected on purpose.", faults);
    }

    fn keys(&mut self, listeners: &[ListenerReport]) {
        let keys = listeners.iter().flat_map(|listener| {
            listener.keys.iter().map(move |key| ([of(listener), ("key", &*key.id)], key))
        });
        let ends = keys.clone().filter_map(|(labels, key)| Some((labels, key.not_after?)));
        let ends = ends.map(|(labels, end)| (labels, Date::unix_seconds(end)));
        let help = "When a key expires, in seconds since 1970.";
        self.metric("key_expiry_timestamp_seconds", help, ends);
        let open = keys.clone().filter_map(|(labels, key)| Some((labels, key.open?)));
        self.metric("key_connections", "Open connections by the peer's key.", open);
        let all = keys.filter_map(|(labels, key)| Some((labels, key.authenticated?)));
        let help = "Connections whose peer proved that it holds this key.";
        self.metric("key_connections_authenticated_total", help, all);
    }

    fn turns(&mut self, turns: &Turns) {
        let name = "countersign_turn_duration_seconds";
        self.begin(name, "Duration of the loops' turns, without sleeping.", "histogram");
        let mut seen = 0;
        for bucket in &turns.buckets {
            seen += bucket.count;
            let bound = bucket.up_to_seconds.map_or("+Inf".to_owned(), |bound| bound.to_string());
            self.sample(&format!("{name}_bucket"), &[("le", &bound)], seen);
        }
        self.sample(&format!("{name}_sum"), &[], turns.sum_seconds);
        self.sample(&format!("{name}_count"), &[], seen);
    }

    /// Under the names that Prometheus' own libraries give these.
    fn process(&mut self, report: &StatusReport) {
        let (process, started) = (&report.process, report.started.unix_seconds());
        let whole = |number: Option<u64>| number.map(|number| number as f64);
        for (name, help, value) in [
            ("cpu_seconds_total", "Processor time of all threads.", process.cpu_seconds),
            ("start_time_seconds", "When the program started, since 1970.", Some(started)),
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

fn of(listener: &ListenerReport) -> Label<'_> {
    ("listener", &listener.name)
}

/// How many connections have ended, by listener and reason. Every reason has a sample from the
/// start.
fn ended(
    listeners: &[ListenerReport],
    is_refusal: bool,
) -> impl Iterator<Item = ([Label<'_>; 2], u64)> {
    listeners.iter().flat_map(move |each| {
        let counts = if is_refusal { &each.refused } else { &each.closed };
        let reasons = CloseReason::ALL.iter().filter(move |why| why.is_refusal() == is_refusal);
        reasons.map(move |why| {
            let count = counts.get(why.name()).copied().unwrap_or_default();
            ([of(each), ("reason", why.name())], count)
        })
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::admin::aggregate::tests::aggregate;
    use crate::admin::process::Process;
    use crate::admin::report::tests::stats;
    use crate::system;

    fn text() -> String {
        let report = aggregate(1, &[stats()]).report(Process::now(), system::unix_time());
        String::from_utf8(page(&report)).unwrap()
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
