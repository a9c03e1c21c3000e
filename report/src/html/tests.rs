//! Pages of made-up documents: each is well-formed, small and has what it must.

use std::collections::HashSet;
use std::time::Duration;

use countersign_load::{FailureKind, Stage};
use roxmltree::{Document as Parsed, Node, ParsingOptions};

use super::*;
use crate::compare::{Comparison, Strictness};
use crate::figures::Counts;
use crate::interval_record::IntervalRecord;
use crate::ladder::{Ladder, ProbeRecord};
use crate::parameters::Parameters;
use crate::server_load::ServerLoad;

const XHTML: &str = "http://www.w3.org/1999/xhtml";
const SVG: &str = "http://www.w3.org/2000/svg";

/// The most intervals that a report has.
const INTERVALS_MAX: u32 = 300;

/// A generator of numbers between 0 and 1 that are the same each time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A latency in nanoseconds with this median and a long tail.
    fn latency(&mut self, median: f64) -> u64 {
        let body = (self.next() + self.next() + self.next()) / 1.5;
        let tail = 1.0 / (1.0 - 0.9999 * self.next()).powf(0.55);
        whole(median * body.max(0.3) * tail * 1e9)
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is in bounds")]
fn whole(value: f64) -> u64 {
    value as u64
}

/// A run of so many intervals of this length, at this rate and median latency. Halfway the server
/// answers nothing for an interval, and then it is slow for a while.
fn run(intervals: u32, length: f64, rate: f64, median: f64) -> SavedReport {
    let mut random = Random(7);
    let mut report = Report::default();
    let mut records = Vec::new();
    for index in 0..intervals {
        let is_bad = intervals > 5 && (index == intervals / 2 || index / 3 == intervals / 6);
        let median = if is_bad { median * 6.0 } else { median };
        let mut record = if intervals > 5 && index == intervals / 2 {
            IntervalRecord::default()
        } else {
            interval(&mut random, &mut report, rate * length, median)
        };
        (record.start, record.duration) = (f64::from(index) * length, length);
        record.requests_per_sec = record.answered as f64 / length;
        if is_bad {
            (record.failed, record.connections_lost) = (record.answered / 50, record.answered / 99);
            let half = record.failed / 2;
            record.error_distribution =
                Counts::from([("closed".to_owned(), half), ("reply timeout".to_owned(), half)]);
        }
        record.connected = if index == 0 { 50 } else { record.connections_lost };
        report.answered += record.answered;
        report.connected += record.connected;
        report.failures.add(FailureKind::Closed, record.failed.div_ceil(2));
        report.failures.add(FailureKind::ReplyTimeout, record.failed / 2);
        report.connection_failures.add(FailureKind::Closed, record.connections_lost);
        records.push(record);
    }
    report.elapsed = Duration::from_secs_f64(f64::from(intervals) * length);
    report.due = report.answered + report.failed();
    report.busy = vec![0.52, 0.48];
    report.rate_asked = Some(rate);
    for _ in 0..report.connected.min(5000) {
        report.connect.extend([(random.latency(median / 2.0), 1)]);
        report.handshake.extend([(random.latency(median * 2.0), 1)]);
        report.first_reply.extend([(random.latency(median * 4.0), 1)]);
    }
    let mut saved = SavedReport::new(&report, parameters());
    saved.intervals = records;
    saved.interval_seconds = length;
    saved
}

/// An interval with about so many replies.
fn interval(random: &mut Random, report: &mut Report, replies: f64, median: f64) -> IntervalRecord {
    let answered = whole(replies * (0.9 + 0.1 * random.next()));
    let mut latencies: Vec<u64> = (0..2000).map(|_| random.latency(median)).collect();
    latencies.sort_unstable();
    let at = |share: f64| {
        let index = usize::try_from(whole(share * 1999.0)).unwrap();
        Some(latencies[index] as f64 / 1e9)
    };
    report.reply.extend(latencies.iter().map(|nanos| (*nanos, answered.div_ceil(2000))));
    let percentiles = [50.0, 90.0, 99.0, 99.9, 99.99];
    IntervalRecord {
        sent: answered,
        answered,
        latency_percentiles: percentiles
            .map(|percent| (format!("p{percent}"), at(percent / 100.0)))
            .into_iter()
            .collect(),
        slowest: at(1.0),
        average: at(0.5),
        load_busy: 0.4 + 0.2 * random.next(),
        ..IntervalRecord::default()
    }
}

fn parameters() -> Parameters {
    Parameters::from_iter([
        ("version", "0.1.0".into()),
        ("commit", "0123456789ab".into()),
        ("start", "2026-11-30T14:20:00Z".into()),
        ("commandLine", "countersign load 127.0.0.1:9527 -c 50 -q 100k -z 60s".into()),
        ("address", "127.0.0.1:9527".into()),
        ("server", "127.0.0.1:9527".into()),
        ("dialect", "countersign/1".into()),
        ("records", "sealed".into()),
        ("connections", 50.into()),
        ("connectTimeoutSeconds", 5.0.into()),
        ("pipeline", 16.into()),
        ("size", 32.into()),
    ])
}

fn ladder() -> Ladder {
    let rates = [1e3, 2e3, 4e3, 8e3, 16e3, 32e3, 22.6e3, 19e3, 20.7e3, 19.8e3];
    let probe = |rate_asked: f64| {
        let load = rate_asked / 20e3;
        let passed = load < 1.0;
        ProbeRecord {
            rate_asked,
            rate_reached: rate_asked.min(20e3),
            p50: Some(80e-6 / (1.0 - load.min(0.99))),
            p99: passed.then(|| 200e-6 / (1.0 - load.min(0.95))).or(Some(0.3 * load)),
            errors: if passed { 0.0 } else { 0.02 },
            load_busy: 0.05 + load * 0.1,
            passed,
            hold: rate_asked == 19.8e3,
            verdict: if passed { String::new() } else { "p99 is 301 ms".to_owned() },
        }
    };
    let probes = rates.into_iter().map(probe).collect();
    Ladder { conditions: vec!["p99<5ms".to_owned()], found: Some(19.8e3), probes }
}

/// The page of a report that was saved.
fn html(saved: &SavedReport) -> String {
    super::html(&saved.to_report().unwrap(), saved)
}

/// The page, which is written to a file too for those who want to look at it.
fn page_of(name: &str, saved: &SavedReport) -> String {
    let page = html(saved);
    if let Ok(folder) = std::env::var("COUNTERSIGN_PAGES") {
        std::fs::write(format!("{folder}/{name}.html"), &page).unwrap();
    }
    page
}

fn parsed(page: &str) -> Parsed<'_> {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    Parsed::parse_with_options(page, options).unwrap()
}

fn searched() -> SavedReport {
    let mut searched = run(60, 1.0, 100e3, 80e-6);
    searched.ladder = Some(ladder());
    searched
}

fn nothing() -> SavedReport {
    SavedReport::new(&Report::default(), Parameters::default())
}

#[test]
fn every_page_is_well_formed_and_names_nothing_from_elsewhere() {
    for (name, saved) in [
        ("minute", run(60, 1.0, 100e3, 80e-6)),
        ("slow", run(30, 120.0, 1.0, 5.0)),
        ("one", run(1, 0.03, 50e3, 50e-6)),
        ("search", searched()),
        ("nothing", nothing()),
    ] {
        let page = page_of(name, &saved);
        let parsed = parsed(&page);
        let mut ids = HashSet::new();
        for node in parsed.descendants() {
            assert!(node.attribute("src").is_none(), "{name}");
            assert!(node.attribute("href").is_none_or(|href| href == "data:,"), "{name}");
            assert!(node.attribute("id").is_none_or(|id| ids.insert(id.to_owned())), "{name}");
        }
        for foreign in ["url(", "@import", "http://", "https://"] {
            let own = page.replace("http://www.w3.org/", "");
            assert!(!own.contains(foreign), "{name}: {foreign}");
        }
        assert!(!page.contains("NaN") && !page.contains("inf%"), "{name}");
    }
}

#[test]
fn an_hour_takes_at_most_200_kilobytes() {
    let page = page_of("hour", &run(INTERVALS_MAX, 3600.0 / f64::from(INTERVALS_MAX), 10e6, 3e-6));
    parsed(&page);
    assert!(page.len() <= 200_000, "{} bytes", page.len());
}

#[test]
fn every_plot_has_a_title_and_labels_with_units() {
    let page = html(&searched());
    let parsed = parsed(&page);
    let figures = parsed.descendants().filter(|node| node.has_tag_name((XHTML, "figure")));
    let mut seen = Vec::new();
    for figure in figures {
        let id = figure.attribute("id").unwrap();
        let svg = figure.children().find(|node| node.has_tag_name((SVG, "svg"))).unwrap();
        assert!(svg.attribute("aria-label").unwrap().contains(" over "), "{id}");
        let is_text = |node: &Node<'_, '_>| node.has_tag_name((SVG, "text"));
        let texts: Vec<&str> =
            svg.descendants().filter(is_text).filter_map(|node| node.text()).collect();
        assert!(texts.len() > 6, "{id}: {texts:?}");
        let has_unit = |text: &&str| text.ends_with(['s', 'k', '%', '0']);
        assert!(texts.iter().filter(|text| has_unit(text)).count() > 4, "{id}: {texts:?}");
        seen.push(id.to_owned());
    }
    let all = [
        "ladder",
        "throughput",
        "latency",
        "errors",
        "connections",
        "busy",
        "percentiles",
        "histogram",
        "setup",
    ];
    assert_eq!(seen, all);
}

#[test]
fn what_stages_asked_for_and_the_server_used_is_shown_where_it_is_known() {
    let mut saved = run(60, 1.0, 1_000.0, 1e-3);
    let without = html(&saved);
    assert!(!without.contains("id=\"server\"") && !without.contains(">asked for<"), "{without}");
    let (minute, half) = (Duration::from_secs(60), Duration::from_secs(30));
    let ramp = Stage { lasts: half, from: 1_000.0, to: 5_000.0 };
    saved.set_stages(&[Stage::constant(half, 1_000.0), ramp]);
    let mut server = ServerLoad::default();
    let start = saved.start_time;
    (0..=60).for_each(|at| server.record(start + f64::from(at), f64::from(at) * 1.5));
    saved.set_server_load(&server);
    saved.summary.server_busy = server.cores(start, start + minute.as_secs_f64());
    let with = page_of("stages.html", &saved);
    for expected in ["id=\"server\"", ">asked for<", "Server busy", "150%"] {
        assert!(with.contains(expected), "{expected:?} is missing");
    }
    assert_eq!(saved.intervals[45].requested_rate.map(f64::round), Some(3_067.0));
    assert_eq!(saved.intervals[45].server_busy, Some(1.5));
}

#[test]
fn texts_of_others_are_texts() {
    let mut hostile = run(3, 1.0, 10.0, 0.01);
    hostile.parameters.set("address", "</h1><script>&\"'\0\u{202e}".into());
    let mut ladder = ladder();
    ladder.conditions = vec!["<p99>".to_owned()];
    ladder.probes.iter_mut().for_each(|probe| "</td><b>".clone_into(&mut probe.verdict));
    hostile.ladder = Some(ladder);
    let page = page_of("hostile", &hostile);
    let parsed = parsed(&page);
    let heading = parsed.descendants().find(|node| node.has_tag_name((XHTML, "h1"))).unwrap();
    assert_eq!(heading.text(), Some(r#"Load of </h1><script>&"'\u{0}\u{202e}"#));
}

#[test]
fn a_run_without_answers_says_so() {
    let page = html(&nothing());
    assert!(page.contains("Nothing was answered") && !page.contains("<figure"), "{page}");
}

#[test]
fn a_short_interval_at_the_end_is_not_drawn() {
    let mut saved = run(10, 1.0, 1000.0, 0.001);
    saved.interval_seconds = 1.0;
    let whole = html(&saved);
    let mut last = saved.intervals[9].clone();
    (last.start, last.duration, last.requests_per_sec) = (10.0, 0.004, 7e6);
    saved.intervals.push(last);
    let paths = |page: &str| page.matches("<path class=\"line").count();
    let page = html(&saved);
    assert_eq!(paths(&page), paths(&whole));
    assert!(!page.contains("M</text>") && page.contains("<td>7,000,000</td>"), "{page}");
}

#[test]
fn the_limits_of_a_run_are_noted() {
    let mut saved = run(3, 1.0, 1000.0, 0.001);
    let notes = ["generator was the limit", "was not reached", "was interrupted"];
    assert!(!notes.iter().any(|note| html(&saved).contains(note)));
    saved.summary.load_busy_threads = vec![0.5, 0.95];
    saved.summary.rate_reached = Some(false);
    saved.parameters.set("interrupted", true.into());
    let page = html(&saved);
    assert!(notes.iter().all(|note| page.contains(note)), "{page}");
}

fn compared(runs: [(&str, &SavedReport); 2]) -> String {
    let comparison = Comparison::new(runs.map(|(_, saved)| saved), Strictness::default()).unwrap();
    comparison_html(&comparison, runs).unwrap()
}

#[test]
fn two_runs_are_on_one_page() {
    let (first, mut second) = (run(60, 1.0, 100e3, 80e-6), run(50, 1.0, 90e3, 100e-6));
    second.parameters.set("pipeline", 32.into());
    second.parameters.set("extra", "<i>".into());
    let page = compared([("a & b.json", &first), ("c.json", &second)]);
    if let Ok(folder) = std::env::var("COUNTERSIGN_PAGES") {
        std::fs::write(format!("{folder}/comparison.html"), &page).unwrap();
    }
    let parsed = parsed(&page);
    let figures = parsed.descendants().filter(|node| node.has_tag_name((XHTML, "figure")));
    let ids: Vec<_> = figures.filter_map(|node| node.attribute("id")).collect();
    assert_eq!(ids, ["throughput", "median", "p99", "percentiles"]);
    for row in ["pipeline</td><td class=\"long\">16</td><td class=\"long\">32", "&lt;i&gt;"] {
        assert!(page.contains(row), "{page}");
    }
    assert!(!page.contains("<td class=\"text\">size"), "it is the same");
    // A damaged file has no length of its intervals.
    second.interval_seconds = 0.0;
    assert!(compared([("a", &first), ("b", &second)]).contains("<figure"));
    let nothing = nothing();
    assert!(compared([("a", &nothing), ("b", &nothing)]).contains("too few intervals to tell"));
}
