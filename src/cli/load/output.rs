//! The report as text, JSON (with the keys that oha uses) or CSV.

use std::fmt::Write as _;
use std::time::Duration;

use clap::ValueEnum;
use countersign::load::{Latencies, Report};
use serde_json::{Map, Value, json};

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people
    Text,
    /// One object
    Json,
    /// A line of names and a line of values
    Csv,
    /// Nothing; the exit code says it
    Quiet,
}

/// The percentiles that are reported.
const PERCENTILES: [f64; 8] = [10.0, 25.0, 50.0, 75.0, 90.0, 99.0, 99.9, 99.99];

/// The bars of the histogram, and the width of the longest.
const BARS: u32 = 10;
const WIDTH: u64 = 40;

/// Above this share, the load was limited by itself.
const BUSY: f64 = 0.9;

impl Output {
    pub(crate) fn write(self, report: &Report) -> String {
        match self {
            Self::Text => text(report),
            Self::Json => format!("{}\n", json(report)),
            Self::Csv => csv(report),
            Self::Quiet => String::new(),
        }
    }
}

fn text(report: &Report) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: String| {
        // Writing to a string succeeds.
        let _ = writeln!(out, "  {name:<14}{value}");
    };
    line("Success rate:", format!("{:.2}%", report.success_rate() * 100.0));
    line("Total:", shown(report.elapsed));
    line("Slowest:", shown(report.reply.max()));
    line("Fastest:", shown(report.reply.min()));
    line("Average:", shown(report.reply.mean()));
    line("Replies/s:", format!("{:.1}", report.per_second()));
    line("Answered:", report.answered.to_string());
    line("Aborted:", report.aborted.to_string());
    line("Connections:", report.connected.to_string());
    line("Sent:", format!("{} bytes", report.bytes_out));
    line("Received:", format!("{} bytes", report.bytes_in));
    line("Load busy:", format!("{:.0}% of a core{}", report.busy * 100.0, limited(report)));
    let sections = [histogram(&report.reply), percentiles(report), failures(report)];
    format!("Summary:\n{out}{}", sections.concat())
}

fn limited(report: &Report) -> &'static str {
    if report.busy > BUSY { ": the load was limited by itself, not by the server" } else { "" }
}

fn histogram(latencies: &Latencies) -> String {
    let bars = latencies.bars(BARS);
    let longest = bars.iter().map(|(_, count)| *count).max().unwrap_or_default().max(1);
    let mut out = String::from("\nReply latency:\n");
    for (end, count) in bars {
        let bar = "■".repeat(usize::try_from(count * WIDTH / longest).unwrap_or_default());
        let _ = writeln!(out, "  {:>11} [{count:>9}] {bar}", shown(end));
    }
    out
}

fn percentiles(report: &Report) -> String {
    let kinds = kinds(report);
    let heads: String = kinds.iter().map(|(name, _)| format!("{name:>13}")).collect();
    let mut out = format!("\nPercentiles:\n  {:<8}{heads}\n", "");
    for percent in PERCENTILES {
        let at = |(_, latencies): &(&str, &Latencies)| {
            format!("{:>13}", shown(latencies.at(percent / 100.0)))
        };
        let values: String = kinds.iter().map(at).collect();
        let _ = writeln!(out, "  {:<8}{values}", format!("{percent}%"));
    }
    out
}

/// The histograms that have something in them, the replies first.
fn kinds(report: &Report) -> Vec<(&'static str, &Latencies)> {
    let all = [
        ("reply", &report.reply),
        ("first reply", &report.first_reply),
        ("connect", &report.connect),
        ("handshake", &report.handshake),
    ];
    all.into_iter().filter(|(_, latencies)| latencies.count() > 0).collect()
}

fn failures(report: &Report) -> String {
    if report.failed() == 0 {
        return String::new();
    }
    let mut out = String::from("\nErrors:\n");
    for (failure, count) in report.by_failure().filter(|(_, count)| *count > 0) {
        let _ = writeln!(out, "  [{count}] {}", failure.name());
    }
    out
}

fn json(report: &Report) -> Value {
    let seconds = |latency: Duration| latency.as_secs_f64();
    let quantiles = |latencies: &Latencies| -> Map<String, Value> {
        let at =
            |percent: f64| (format!("p{percent}"), json!(seconds(latencies.at(percent / 100.0))));
        PERCENTILES.into_iter().map(at).collect()
    };
    let failed = report.by_failure().filter(|(_, count)| *count > 0);
    let errors: Map<String, Value> =
        failed.map(|(failure, count)| (failure.name().to_owned(), json!(count))).collect();
    json!({
        "summary": {
            "successRate": report.success_rate(),
            "total": seconds(report.elapsed),
            "slowest": seconds(report.reply.max()),
            "fastest": seconds(report.reply.min()),
            "average": seconds(report.reply.mean()),
            "requestsPerSec": report.per_second(),
            "answered": report.answered,
            "aborted": report.aborted,
            "connected": report.connected,
            "bytesSent": report.bytes_out,
            "bytesReceived": report.bytes_in,
            "loadBusy": report.busy,
        },
        "latencyPercentiles": quantiles(&report.reply),
        "firstReplyPercentiles": quantiles(&report.first_reply),
        "connectPercentiles": quantiles(&report.connect),
        "handshakePercentiles": quantiles(&report.handshake),
        "errorDistribution": errors,
    })
}

fn csv(report: &Report) -> String {
    let seconds = |latency: Duration| format!("{:.6}", latency.as_secs_f64());
    let mut columns = vec![
        ("success_rate".to_owned(), report.success_rate().to_string()),
        ("total_seconds".to_owned(), seconds(report.elapsed)),
        ("replies_per_second".to_owned(), format!("{:.1}", report.per_second())),
        ("answered".to_owned(), report.answered.to_string()),
        ("failed".to_owned(), report.failed().to_string()),
        ("aborted".to_owned(), report.aborted.to_string()),
        ("connected".to_owned(), report.connected.to_string()),
        ("mean_seconds".to_owned(), seconds(report.reply.mean())),
        ("max_seconds".to_owned(), seconds(report.reply.max())),
    ];
    let percentile =
        |percent: f64| (format!("p{percent}_seconds"), seconds(report.reply.at(percent / 100.0)));
    columns.extend(PERCENTILES.map(percentile));
    columns.push(("load_busy".to_owned(), format!("{:.3}", report.busy)));
    let (names, values): (Vec<String>, Vec<String>) = columns.into_iter().unzip();
    format!("{}\n{}\n", names.join(","), values.join(","))
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
    fn an_empty_report_is_written_in_every_form() {
        let report = Report::default();
        assert!(Output::Text.write(&report).starts_with("Summary:\n  Success rate: 0.00%\n"));
        let json: Value = serde_json::from_str(&Output::Json.write(&report)).unwrap();
        assert_eq!(json["summary"]["answered"], 0);
        assert_eq!(json["latencyPercentiles"]["p99.99"], 0.0);
        let csv = Output::Csv.write(&report);
        let columns: Vec<usize> = csv.lines().map(|line| line.split(',').count()).collect();
        assert_eq!(columns, [18, 18]);
        assert_eq!(Output::Quiet.write(&report), "");
    }
}
