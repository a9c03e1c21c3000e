//! The numbers: the figures at the top of the page, and the tables below the plots.

use std::fmt::Write as _;

use super::markup::Text;
use super::unit::{Unit, grouped};
use crate::figures::{Counts, Percentiles};
use crate::interval_record::IntervalRecord;
use crate::saved_report::SavedReport;

/// What the table of intervals shows of the latency.
const COLUMNS: [&str; 4] = ["p50", "p90", "p99", "p99.9"];

/// The figures that most readers look for.
pub(super) fn figures(saved: &SavedReport) -> String {
    let summary = &saved.summary;
    let at = |name: &str| latency(saved.latency_percentiles.get(name).copied().flatten());
    let asked =
        summary.requested_rate.map(|rate| format!("of {} asked for", Unit::Count.short(rate)));
    let wrong = summary.failed + summary.overdue + summary.lost_without_message;
    let entries = [
        ("Replies per second", rate(summary.requests_per_sec), asked.unwrap_or_default()),
        ("Median latency", at("p50"), String::new()),
        ("99th percentile", at("p99"), String::new()),
        ("99.9th percentile", at("p99.9"), String::new()),
        ("Slowest reply", latency(summary.slowest), String::new()),
        (
            "Success rate",
            success(summary.success_rate),
            format!("{} went wrong", grouped(wrong as f64)),
        ),
        ("Generator busy", percent(summary.load_busy), threads(&summary.load_busy_threads)),
    ];
    let server = summary.server_busy.map(|it| ("Server busy", percent(it), "of a core".to_owned()));
    let entry = |(name, value, more): (&str, String, String)| {
        let more = match more.is_empty() {
            true => more,
            false => format!("<dd class=\"more\">{more}</dd>"),
        };
        format!("<div><dt>{name}</dt><dd>{value}</dd>{more}</div>\n")
    };
    let entries: String = entries.into_iter().chain(server).map(entry).collect();
    format!("<dl class=\"figures\">\n{entries}</dl>\n")
}

/// In full, and not as 0 if it is small.
fn rate(rate: f64) -> String {
    if rate < 100.0 { Unit::Count.short(rate) } else { grouped(rate) }
}

/// To a thousandth of a percent, and never rounded up to all.
fn success(share: f64) -> String {
    let percent = (share * 1e5 + 1e-6).floor() / 1e3;
    format!("{percent}%")
}

fn threads(shares: &[f64]) -> String {
    match shares.len() {
        0 | 1 => "of a core".to_owned(),
        2..=8 => {
            let each: Vec<String> = shares.iter().copied().map(percent).collect();
            format!("of {} cores: {}", shares.len(), each.join(", "))
        }
        many => {
            let busiest = shares.iter().copied().fold(0.0, f64::max);
            format!("of {many} cores; at most {}", percent(busiest))
        }
    }
}

fn percent(share: f64) -> String {
    format!("{:.0}%", share * 100.0)
}

fn latency(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| "–".to_owned(), |it| Unit::Latency.short(it))
}

/// What became of the messages that were due.
pub(super) fn messages(saved: &SavedReport) -> String {
    let summary = &saved.summary;
    let rows = [
        ("Due", summary.due),
        ("Answered", summary.answered),
        ("Failed", summary.failed),
        ("Aborted: in flight at the end", summary.aborted),
        ("Never sent", summary.never_sent),
        ("Aborted or never sent, and overdue", summary.overdue),
        ("Connections open before", summary.open_before),
        ("Handshakes completed", summary.connected),
        ("Bytes sent", summary.bytes_sent),
        ("Bytes received", summary.bytes_received),
    ];
    let rows: String = rows.into_iter().map(|(name, count)| row(name, count)).collect();
    table("Messages", "", &rows)
}

/// A table with a caption and a row of heads; nothing without other rows.
pub(super) fn table(caption: &str, heads: &str, rows: &str) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let heads = match heads.is_empty() {
        true => String::new(),
        false => format!("<thead><tr>{heads}</tr></thead>\n"),
    };
    let caption = Text(caption);
    format!(
        "<div class=\"wide\"><table>\n<caption>{caption}</caption>\n{heads}<tbody>\n\
         {rows}</tbody>\n</table></div>\n"
    )
}

fn row(name: &str, count: u64) -> String {
    format!("<tr><td class=\"text\">{}</td><td>{}</td></tr>\n", Text(name), grouped(count as f64))
}

/// Errors by kind, if there are any.
pub(super) fn errors(saved: &SavedReport) -> String {
    let of = |counts: &Counts| -> String {
        counts.iter().map(|(name, count)| row(name, *count)).collect()
    };
    let lost = table("Connections that failed or were lost", "", &of(&saved.connection_errors));
    table("Messages that failed", "", &of(&saved.error_distribution)) + &lost
}

/// Percentiles of everything that was timed.
pub(super) fn percentiles(saved: &SavedReport) -> String {
    let all: [(&str, &Percentiles); 4] = [
        ("reply", &saved.latency_percentiles),
        ("first reply", &saved.first_reply_percentiles),
        ("connect", &saved.connect_percentiles),
        ("handshake", &saved.handshake_percentiles),
    ];
    let filled = |(_, values): &(&str, &Percentiles)| values.values().any(Option::is_some);
    let all: Vec<_> = all.into_iter().filter(filled).collect();
    if all.is_empty() {
        return String::new();
    }
    let mut names: Vec<&String> = saved.latency_percentiles.keys().collect();
    names.sort_by(|a, b| rank(a).total_cmp(&rank(b)));
    let heads: String = all.iter().map(|(name, _)| format!("<th>{name}</th>")).collect();
    let mut rows = String::new();
    for name in names {
        let value = |(what, values): &(&str, &Percentiles)| {
            let value = values.get(name).copied().flatten();
            let never = if *what == "reply" { "never" } else { "–" };
            value.map_or_else(|| never.to_owned(), |it| Unit::Latency.short(it))
        };
        let cells: String = all.iter().map(|it| format!("<td>{}</td>", value(it))).collect();
        // Writing to a string succeeds.
        let _ = writeln!(rows, "<tr><td class=\"text\">{}</td>{cells}</tr>", Text(name));
    }
    table("Percentiles", &format!("<th class=\"text\"></th>{heads}"), &rows)
}

/// The number in the name of a percentile.
fn rank(name: &str) -> f64 {
    name.trim_start_matches('p').parse().unwrap_or_default()
}

/// How the load can be repeated.
pub(super) fn parameters(saved: &SavedReport) -> String {
    let shown = saved.parameters.shown().filter(|(name, _)| *name != "commandLine");
    let rows: String = shown
        .map(|(name, value)| {
            let (name, value) = (spaced(name), Text(&value).to_string());
            let name = Text(&name).to_string();
            format!("<tr><td class=\"text\">{name}</td><td class=\"long\">{value}</td></tr>\n")
        })
        .collect();
    table("Parameters", "", &rows)
}

/// `connectTimeoutSeconds` as words.
pub(super) fn spaced(name: &str) -> String {
    let mut spaced = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            spaced.push(' ');
        }
        spaced.push(letter.to_ascii_lowercase());
    }
    spaced
}

/// Every interval, which a reader may open.
pub(super) fn intervals(saved: &SavedReport) -> String {
    let has_errors = saved.summary.failed > 0;
    let mut rows = String::new();
    for interval in &saved.intervals {
        let _ = writeln!(rows, "{}", interval_row(interval, has_errors));
    }
    if rows.is_empty() {
        return rows;
    }
    let columns: String = COLUMNS.iter().map(|name| format!("<th>{name}</th>")).collect();
    let failed = if has_errors { "<th>Failed</th>" } else { "" };
    format!(
        "<details><summary>Numbers of each interval</summary>\n<div class=\"wide\">\
         <table id=\"intervals\">\n<thead><tr><th>From</th><th>Replies/s</th>{columns}\
         <th>Slowest</th>{failed}<th>Handshakes</th><th>Busy</th></tr></thead>\n\
         <tbody>\n{rows}</tbody>\n</table></div></details>\n"
    )
}

fn interval_row(interval: &IntervalRecord, has_errors: bool) -> String {
    let at = |name: &&str| interval.latency_percentiles.get(*name).copied().flatten();
    let values: String =
        COLUMNS.iter().map(|name| format!("<td>{}</td>", latency(at(name)))).collect();
    let failed = match has_errors {
        true => format!("<td>{}</td>", interval.failed),
        false => String::new(),
    };
    let start = format!("{:.3}", interval.start);
    let start = start.trim_end_matches('0').trim_end_matches('.');
    format!(
        "<tr><td>{start} s</td><td>{}</td>{values}<td>{}</td>{failed}\
         <td>{}</td><td>{}</td></tr>",
        grouped(interval.requests_per_sec),
        latency(interval.slowest),
        interval.connected,
        percent(interval.load_busy)
    )
}
