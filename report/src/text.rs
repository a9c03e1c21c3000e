//! The report as text for people.

use std::fmt::Write as _;
use std::time::Duration;

use countersign_load::{Failures, Latencies, Report};

use crate::parameters::Parameters;

/// The percentiles that are reported.
pub(crate) const PERCENTILES: [f64; 9] = [10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99];

/// The bars of the histogram, and the width of the longest.
pub(crate) const BARS: u32 = 10;
const WIDTH: u64 = 40;

/// Of more threads than this, only the busiest is shown.
const SHOWN_MAX: usize = 64;

/// Above this share, the load generator was the limit.
pub(crate) const BUSY: f64 = 0.9;

/// The report on a load with these parameters, as text for people.
#[must_use]
pub fn text(report: &Report, parameters: &Parameters) -> String {
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
    line("Connections:", connections(report));
    line("Sent:", format!("{} bytes", report.bytes_out));
    line("Received:", format!("{} bytes", report.bytes_in));
    line("Load busy:", format!("{}{}", busy(report), limited(report)));
    if let Some(cores) = report.server_busy {
        line("Server busy:", format!("{:.0}% of a core", cores * 100.0));
    }
    let sections = [
        histogram(&report.reply),
        percentiles(report),
        failures("Errors", &report.failures),
        failures("Connections lost", &report.connection_failures),
        asked_for(parameters),
    ];
    format!("Summary:\n{out}{}", sections.concat())
}

/// A figure of the replies, if there are any.
pub(crate) fn replied(report: &Report, figure: Duration) -> Option<Duration> {
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

/// The connections that were made, and those that had been made before.
fn connections(report: &Report) -> String {
    match report.open_before {
        0 => report.connected.to_string(),
        before => {
            format!("{}, of which {before} were open before", report.connected + before)
        }
    }
}

/// How busy the threads were, and each of several.
fn busy(report: &Report) -> String {
    let percent = |share: f64| format!("{:.0}%", share * 100.0);
    let each = &report.busy;
    match each.len() {
        0 | 1 => format!("{} of a core", percent(mean(each))),
        cores if cores > SHOWN_MAX => {
            let busiest = each.iter().copied().fold(0.0, f64::max);
            format!("{} of {cores} cores (at most {})", percent(mean(each)), percent(busiest))
        }
        cores => {
            let all: Vec<String> = each.iter().copied().map(percent).collect();
            format!("{} of {cores} cores ({})", percent(mean(each)), all.join(", "))
        }
    }
}

pub(crate) fn mean(shares: &[f64]) -> f64 {
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

fn failures(title: &str, failures: &Failures) -> String {
    let lines = failures.iter().filter(|(_, count)| *count > 0);
    let lines: String =
        lines.map(|(failure, count)| format!("  [{count}] {}\n", failure.name())).collect();
    if lines.is_empty() { lines } else { format!("\n{title}:\n{lines}") }
}

/// A time as a person would write it.
pub(crate) fn shown(time: Duration) -> String {
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
}
