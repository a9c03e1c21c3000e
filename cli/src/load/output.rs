//! The report as text, JSON (with the keys that oha uses) or CSV.

use std::fmt::Write as _;
use std::time::Duration;

use countersign_load::{FailureKind, Latencies, Report};
use serde_json::{Map, Value, json};

use super::args::Output;
use super::parameters::Parameters;
use crate::escape;

/// The percentiles that are reported.
const PERCENTILES: [f64; 9] = [10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99];

/// The bars of the histogram, and the width of the longest.
const BARS: u32 = 10;
const WIDTH: u64 = 40;

/// Above this share, the load generator was the limit.
const BUSY: f64 = 0.9;

impl Output {
    pub(super) fn write(self, report: &Report, parameters: &Parameters) -> String {
        match self {
            Self::Text => text(report, parameters),
            Self::Json => format!("{}\n", escape::json(&json(report, parameters))),
            Self::Csv => csv(report, parameters),
            Self::Quiet => String::new(),
        }
    }
}

fn text(report: &Report, parameters: &Parameters) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: String| {
        // Writing to a string succeeds.
        let _ = writeln!(out, "  {name:<14}{value}");
    };
    line("Success rate:", format!("{:.2}%", report.success_rate() * 100.0));
    line("Total:", shown(report.elapsed));
    let of_replies = |latency| replied(report, latency).map_or_else(|| "-".to_owned(), shown);
    line("Slowest:", of_replies(report.reply.max()));
    line("Fastest:", of_replies(report.reply.min()));
    line("Average:", of_replies(report.reply.mean()));
    line("Replies/s:", format!("{:.1}{}", report.per_second(), asked(report)));
    line("Due:", report.due.to_string());
    line("Answered:", report.answered.to_string());
    line("Failed:", report.failed().to_string());
    line("Aborted:", report.aborted.to_string());
    line("Never sent:", report.unsent.to_string());
    if report.overdue() > 0 {
        line("Overdue:", format!("{} of these count as never answered", report.overdue()));
    }
    line("Connections:", report.connected.to_string());
    line("Sent:", format!("{} bytes", report.bytes_out));
    line("Received:", format!("{} bytes", report.bytes_in));
    line("Load busy:", format!("{}{}", busy(report), limited(report)));
    let sections = [
        histogram(&report.reply),
        percentiles(report),
        failures("Errors", report.by_failure()),
        failures("Connections lost", report.connections_by_failure()),
        asked_for(parameters),
    ];
    format!("Summary:\n{out}{}", sections.concat())
}

/// A figure of the replies, if there are any.
fn replied(report: &Report, figure: Duration) -> Option<Duration> {
    (report.reply.count() > 0).then_some(figure)
}

/// The parameters of the load.
fn asked_for(parameters: &Parameters) -> String {
    let lines = parameters.shown().map(|(name, value)| format!("  {name:<22}{value}\n"));
    format!("\nParameters:\n{}", lines.collect::<String>())
}

/// The rate that was requested, and whether it was reached.
fn asked(report: &Report) -> String {
    let Some(rate) = report.rate_asked else { return String::new() };
    match report.rate_reached() {
        Some(false) if report.behind > Duration::ZERO => {
            let behind = shown(report.behind);
            format!(" of {rate:.1} asked for: not reached, {behind} behind at the end")
        }
        Some(false) => format!(" of {rate:.1} asked for: not reached"),
        _ => format!(" of {rate:.1} asked for"),
    }
}

/// How busy the threads were, and each of several.
fn busy(report: &Report) -> String {
    let percent = |share: f64| format!("{:.0}%", share * 100.0);
    let each = &report.busy;
    match each.len() {
        0 | 1 => format!("{} of a core", percent(mean(each))),
        cores => {
            let all: Vec<String> = each.iter().copied().map(percent).collect();
            format!("{} of {cores} cores ({})", percent(mean(each)), all.join(", "))
        }
    }
}

fn mean(shares: &[f64]) -> f64 {
    shares.iter().fold(0.0, |sum, share| sum + share) / shares.len().max(1) as f64
}

fn limited(report: &Report) -> &'static str {
    match report.busy.iter().any(|share| *share > BUSY) {
        true => ": the load generator was the limit, not the server",
        false => "",
    }
}

fn histogram(latencies: &Latencies) -> String {
    let bars = latencies.bars(BARS);
    let longest = bars.iter().map(|(_, count)| *count).max().unwrap_or_default().max(1);
    if bars.is_empty() {
        return String::new();
    }
    let mut out = String::from("\nReply latency:\n");
    for (end, count) in bars {
        let bar = "■".repeat(usize::try_from(count * WIDTH / longest).unwrap_or_default());
        let _ = writeln!(out, "  {:>11} [{count:>9}] {bar}", shown(end));
    }
    out
}

fn percentiles(report: &Report) -> String {
    let others = kinds(report);
    let names = ["reply"].into_iter().chain(others.iter().map(|(name, _)| *name));
    let heads: String = names.map(|name| format!("{name:>13}")).collect();
    let mut out = format!("\nPercentiles:\n  {:<8}{heads}\n", "");
    for percent in PERCENTILES {
        let share = percent / 100.0;
        let reply = report.reply_within(share).map_or_else(|| "never".to_owned(), shown);
        let others = others.iter().map(|(_, latencies)| shown(latencies.at(share)));
        let values = [reply].into_iter().chain(others);
        let values: String = values.map(|value| format!("{value:>13}")).collect();
        let _ = writeln!(out, "  {:<8}{values}", format!("{percent}%"));
    }
    out
}

/// The histograms beside that of the replies that have something in them.
fn kinds(report: &Report) -> Vec<(&'static str, &Latencies)> {
    let all = [
        ("first reply", &report.first_reply),
        ("connect", &report.connect),
        ("handshake", &report.handshake),
    ];
    all.into_iter().filter(|(_, latencies)| latencies.count() > 0).collect()
}

fn failures(title: &str, failures: impl Iterator<Item = (FailureKind, u64)>) -> String {
    let lines = failures.filter(|(_, count)| *count > 0);
    let lines: String =
        lines.map(|(failure, count)| format!("  [{count}] {}\n", failure.name())).collect();
    if lines.is_empty() { lines } else { format!("\n{title}:\n{lines}") }
}

/// Every count that isn't zero, by its reason.
fn distribution(failures: impl Iterator<Item = (FailureKind, u64)>) -> Map<String, Value> {
    let some = failures.filter(|(_, count)| *count > 0);
    some.map(|(failure, count)| (failure.name().to_owned(), json!(count))).collect()
}

fn json(report: &Report, parameters: &Parameters) -> Value {
    let seconds = |latency: Duration| latency.as_secs_f64();
    let percentiles = |at: &dyn Fn(f64) -> Option<Duration>| -> Map<String, Value> {
        let one = |percent: f64| (format!("p{percent}"), json!(at(percent / 100.0).map(seconds)));
        PERCENTILES.into_iter().map(one).collect()
    };
    let recorded = |latencies: &Latencies| {
        percentiles(&|share| (latencies.count() > 0).then(|| latencies.at(share)))
    };
    let of_replies = |latency| replied(report, latency).map(seconds);
    let bars = report.reply.bars(BARS).into_iter();
    let bars: Map<String, Value> =
        bars.map(|(end, count)| (seconds(end).to_string(), json!(count))).collect();
    json!({
        "summary": {
            "successRate": report.success_rate(),
            "total": seconds(report.elapsed),
            "slowest": of_replies(report.reply.max()),
            "fastest": of_replies(report.reply.min()),
            "average": of_replies(report.reply.mean()),
            "requestsPerSec": report.per_second(),
            "requestedRate": report.rate_asked,
            "rateReached": report.rate_reached(),
            "secondsBehind": report.rate_asked.map(|_| seconds(report.behind)),
            "due": report.due,
            "answered": report.answered,
            "failed": report.failed(),
            "aborted": report.aborted,
            "neverSent": report.unsent,
            "overdue": report.overdue(),
            "connected": report.connected,
            "bytesSent": report.bytes_out,
            "bytesReceived": report.bytes_in,
            "loadBusy": mean(&report.busy),
            "loadBusyThreads": report.busy,
        },
        "responseTimeHistogram": bars,
        "latencyPercentiles": percentiles(&|share| report.reply_within(share)),
        "firstReplyPercentiles": recorded(&report.first_reply),
        "connectPercentiles": recorded(&report.connect),
        "handshakePercentiles": recorded(&report.handshake),
        "errorDistribution": distribution(report.by_failure()),
        "connectionErrors": distribution(report.connections_by_failure()),
        "parameters": parameters.json(),
    })
}

fn csv(report: &Report, parameters: &Parameters) -> String {
    let seconds = |latency: Duration| format!("{:.6}", latency.as_secs_f64());
    let of_replies = |latency| replied(report, latency).map(seconds).unwrap_or_default();
    let mut columns = vec![
        ("success_rate".to_owned(), report.success_rate().to_string()),
        ("total_seconds".to_owned(), seconds(report.elapsed)),
        ("replies_per_second".to_owned(), format!("{:.1}", report.per_second())),
        ("answered".to_owned(), report.answered.to_string()),
        ("failed".to_owned(), report.failed().to_string()),
        ("aborted".to_owned(), report.aborted.to_string()),
        ("connected".to_owned(), report.connected.to_string()),
        ("mean_seconds".to_owned(), of_replies(report.reply.mean())),
        ("max_seconds".to_owned(), of_replies(report.reply.max())),
    ];
    columns.extend(PERCENTILES.map(|percent| {
        let within = report.reply_within(percent / 100.0);
        (format!("p{percent}_seconds"), within.map(seconds).unwrap_or_default())
    }));
    let some = |figure: Option<String>| figure.unwrap_or_default();
    columns.extend([
        ("load_busy".to_owned(), format!("{:.3}", mean(&report.busy))),
        ("due".to_owned(), report.due.to_string()),
        ("never_sent".to_owned(), report.unsent.to_string()),
        ("overdue".to_owned(), report.overdue().to_string()),
        ("connections_lost".to_owned(), report.connections_failed().to_string()),
        ("requested_rate".to_owned(), some(report.rate_asked.map(|rate| rate.to_string()))),
        ("rate_reached".to_owned(), some(report.rate_reached().map(|is| is.to_string()))),
    ]);
    columns.extend(parameters.columns().map(|(name, value)| (name, quoted(value))));
    let (names, values): (Vec<String>, Vec<String>) = columns.into_iter().unzip();
    format!("{}\n{}\n", names.join(","), values.join(","))
}

/// A value as RFC 4180 has it.
fn quoted(value: String) -> String {
    match value.contains([',', '"']) {
        true => format!("\"{}\"", value.replace('"', "\"\"")),
        false => value,
    }
}

/// A time as a person would write it.
fn shown(time: Duration) -> String {
    let nanos = time.as_secs_f64() * 1e9;
    match nanos {
        ..1e6 => format!("{:.1} µs", nanos / 1e3),
        ..1e9 => format!("{:.3} ms", nanos / 1e6),
        _ => format!("{:.3} s", nanos / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_thread_is_the_limit() {
        for (shares, shown) in [
            (vec![], "0% of a core"),
            (vec![0.5], "50% of a core"),
            (vec![0.95], "95% of a core: the load generator was the limit, not the server"),
            (vec![0.5, 0.7], "60% of 2 cores (50%, 70%)"),
            (
                vec![0.5, 0.95, 0.35],
                "60% of 3 cores (50%, 95%, 35%): the load generator was the limit, not the server",
            ),
        ] {
            let mut report = Report::default();
            report.busy = shares;
            assert_eq!(format!("{}{}", busy(&report), limited(&report)), shown);
        }
    }

    #[test]
    fn an_empty_report_is_written_in_every_form() {
        let (report, none) = (Report::default(), Parameters::default());
        assert!(
            Output::Text.write(&report, &none).starts_with("Summary:\n  Success rate: 0.00%\n")
        );
        let json: Value = serde_json::from_str(&Output::Json.write(&report, &none)).unwrap();
        assert_eq!(json["summary"]["answered"], 0);
        assert_eq!(json["latencyPercentiles"]["p99.99"], Value::Null);
        assert_eq!(json["summary"]["slowest"], Value::Null);
        let csv = Output::Csv.write(&report, &none);
        let columns: Vec<usize> = csv.lines().map(|line| line.split(',').count()).collect();
        assert_eq!(columns, [25, 25]);
        assert_eq!(Output::Quiet.write(&report, &none), "");
    }
}
