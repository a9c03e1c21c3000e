//! What happened when: plots over the time of the run.

use super::plot::{Axis, Color, Plot, Span};
use super::scale::Scale;
use super::unit::{self, Unit};
use crate::interval_record::IntervalRecord;
use crate::saved_report::SavedReport;

/// Above this share, the load generator was the limit.
const BUSY: f64 = 0.9;

/// With fewer replies in an interval, the 99.9th percentile is nothing but the slowest.
const ENOUGH: f64 = 2000.0;

/// Lines that are closer than this part of the plot's height are one.
const UNSEEN: f64 = 0.02;

/// A last interval that is shorter than this part of the others is not drawn.
const LEAST: f64 = 0.5;

/// The largest number of labels on the axis of latencies, which is high.
const LABELS: usize = 10;

/// The percentiles over time, and their colours.
const LINES: [(&str, Color); 4] =
    [("p99.9", Color::Purple), ("p99", Color::Orange), ("p90", Color::Green), ("p50", Color::Blue)];

/// The figures of all plots over time, or nothing if there are no intervals.
pub(super) fn figures(saved: &SavedReport) -> String {
    if saved.intervals.is_empty() {
        return String::new();
    }
    let figures = [
        throughput(saved).figure(),
        latency(saved).map_or_else(String::new, |plot| plot.figure()),
        errors(saved).map_or_else(no_errors, |plot| plot.figure()),
        connections(saved).map_or_else(String::new, |plot| plot.figure()),
        busy(saved).figure(),
        server_busy(saved).map_or_else(String::new, |plot| plot.figure()),
    ];
    figures.concat()
}

/// Replies per second, and what was sent if that was more.
pub(super) fn throughput(saved: &SavedReport) -> Plot {
    let rates = spans(saved, |interval| Some(interval.requests_per_sec));
    let sent = spans(saved, |interval| Some(per_second(interval, interval.sent)));
    // Stages have a rate each.
    let has_stages = saved.parameters.get("stages").as_array().is_some_and(|all| !all.is_empty());
    let asked = saved.summary.requested_rate.filter(|_| !has_stages);
    let staged = spans(saved, |interval| interval.requested_rate);
    let greatest = [&rates, &sent, &staged].map(|spans| greatest(spans)).into_iter();
    let greatest = greatest.fold(asked.unwrap_or_default(), f64::max);
    let axis = counts("messages per second", greatest);
    let mut plot = Plot::new("throughput", "Throughput", time(saved), axis);
    let differs = |(sent, answered): (&Span, &Span)| {
        let missing = sent.value.unwrap_or_default() - answered.value.unwrap_or_default();
        missing.abs() > greatest * UNSEEN
    };
    let (is_sent, is_staged) =
        (sent.iter().zip(&rates).any(differs), staged.iter().any(|span| span.value.is_some()));
    if is_sent || is_staged {
        plot.legend(Color::Blue, "answered");
    }
    if is_sent {
        plot.outline(Color::Orange, &sent);
        plot.legend(Color::Orange, "sent");
    }
    plot.steps(Color::Blue, &rates);
    if is_staged {
        plot.outline(Color::Gray, &staged);
        plot.legend(Color::Gray, "asked for");
    }
    if let Some(asked) = asked {
        plot.level(asked, &format!("{}/s asked for", Unit::Count.short(asked)));
    }
    plot
}

/// Percentiles of the latency; `None` if there was no reply.
pub(super) fn latency(saved: &SavedReport) -> Option<Plot> {
    let at = |name: &'static str| {
        spans(saved, move |interval| interval.latency_percentiles.get(name).copied()?)
    };
    let slowest = spans(saved, |interval| interval.slowest);
    let least = at("p50").iter().filter_map(|span| span.value).fold(f64::INFINITY, f64::min);
    let greatest = greatest(&slowest);
    if !least.is_finite() || greatest <= 0.0 {
        return None;
    }
    let axis = Axis {
        scale: Scale::log(least, greatest, LABELS),
        unit: Unit::Latency,
        title: "latency of the replies in each interval, logarithmic".to_owned(),
    };
    let mut plot = Plot::new("latency", "Latency", time(saved), axis).height(240.0);
    plot.line(Color::Gray, "max", &slowest);
    let with_replies = intervals(saved).iter().filter(|interval| interval.answered > 0).count();
    let mean = saved.summary.answered as f64 / with_replies.max(1) as f64;
    let worth_it = |(name, _): &(&str, Color)| *name != "p99.9" || mean >= ENOUGH;
    for (name, color) in LINES.into_iter().filter(worth_it) {
        plot.line(color, name, &at(name));
    }
    Some(plot)
}

/// Failed messages per second by their kind, on each other; `None` if none failed.
pub(super) fn errors(saved: &SavedReport) -> Option<Plot> {
    let kinds = kinds(saved);
    if kinds.is_empty() {
        return None;
    }
    let failed = spans(saved, |interval| Some(per_second(interval, interval.failed)));
    let axis = counts("failed messages per second", greatest(&failed));
    let mut plot = Plot::new("errors", "Errors", time(saved), axis).height(140.0);
    let mut below = vec![0.0; intervals(saved).len()];
    for (index, kind) in kinds.iter().enumerate() {
        let color = Color::KINDS[index.min(Color::KINDS.len() - 1)];
        let bar = |(interval, below): (&IntervalRecord, &mut f64)| {
            let count = interval.error_distribution.get(*kind).copied().unwrap_or_default();
            let (from, low) = (interval.start, *below);
            *below += per_second(interval, count);
            (from, from + interval.duration, low, *below)
        };
        let bars: Vec<_> = intervals(saved).iter().zip(&mut below).map(bar).collect();
        plot.bars(color, &bars);
        plot.legend(color, kind);
    }
    Some(plot)
}

fn no_errors() -> String {
    "<figure id=\"errors\">\n<figcaption><h2>Errors</h2></figcaption>\n<p>No message \
     failed.</p>\n</figure>\n"
        .to_owned()
}

/// Handshakes and lost connections per second; `None` if all clients have connected at the start
/// and none was lost.
fn connections(saved: &SavedReport) -> Option<Plot> {
    let made = spans(saved, |interval| Some(per_second(interval, interval.connected)));
    let lost = spans(saved, |interval| Some(per_second(interval, interval.connections_lost)));
    if greatest(made.get(1..)?) + greatest(&lost) <= 0.0 {
        return None;
    }
    let axis = counts("connections per second", greatest(&made).max(greatest(&lost)));
    let mut plot = Plot::new("connections", "Connections", time(saved), axis).height(140.0);
    plot.steps(Color::Green, &made);
    plot.legend(Color::Green, "handshakes completed");
    if greatest(&lost) > 0.0 {
        plot.outline(Color::Red, &lost);
        plot.legend(Color::Red, "failed or lost");
    }
    Some(plot)
}

/// The throughput and the latency of two runs with their names, each in one plot.
pub(super) fn both(runs: [(&str, &SavedReport); 2]) -> String {
    let at = |name: &'static str| {
        move |interval: &IntervalRecord| interval.latency_percentiles.get(name).copied().flatten()
    };
    let rates = compared("throughput", "Throughput", runs, Unit::Count, |interval| {
        Some(interval.requests_per_sec)
    });
    let median = compared("median", "Median latency", runs, Unit::Latency, at("p50"));
    let slow = compared("p99", "99th percentile of the latency", runs, Unit::Latency, at("p99"));
    [rates, median, slow].into_iter().flatten().map(|plot| plot.figure()).collect()
}

/// A figure of two runs over time; `None` if one has none.
fn compared(
    id: &'static str,
    title: &str,
    runs: [(&str, &SavedReport); 2],
    unit: Unit,
    value: impl Fn(&IntervalRecord) -> Option<f64> + Copy,
) -> Option<Plot> {
    let spans = runs.map(|(_, saved)| spans(saved, value));
    let values = || spans.iter().flatten().filter_map(|span| span.value);
    let greatest = values().fold(0.0, f64::max);
    if greatest <= 0.0 {
        return None;
    }
    let longest = runs.map(|(_, saved)| end(saved)).into_iter().fold(0.0, f64::max);
    let axis = match unit {
        Unit::Latency => Axis {
            scale: Scale::log(values().fold(f64::INFINITY, f64::min), greatest, LABELS),
            unit,
            title: "latency in each interval, logarithmic".to_owned(),
        },
        _ => counts("replies per second", greatest),
    };
    let mut plot = Plot::new(id, title, elapsed(longest), axis);
    for ((spans, (name, _)), color) in spans.iter().zip(runs).zip([Color::Blue, Color::Orange]) {
        plot.line(color, "", spans);
        plot.legend(color, name);
    }
    Some(plot)
}

/// How busy the load generator was.
pub(super) fn busy(saved: &SavedReport) -> Plot {
    let axis = Axis {
        scale: Scale::whole(),
        unit: Unit::Share,
        title: "busy share of the load generator's threads".to_owned(),
    };
    let mut plot = Plot::new("busy", "Load generator", time(saved), axis).height(110.0);
    plot.steps(Color::Purple, &spans(saved, |interval| Some(interval.load_busy)));
    plot.level(BUSY, "above 90%, it limits the rate");
    plot
}

/// How many cores the server has used; `None` if that isn't known.
fn server_busy(saved: &SavedReport) -> Option<Plot> {
    let busy = spans(saved, |interval| interval.server_busy);
    let greatest = greatest(&busy);
    if greatest <= 0.0 {
        return None;
    }
    let axis = counts("cores that the server has used", greatest);
    let mut plot = Plot::new("server", "Server", time(saved), axis).height(110.0);
    plot.steps(Color::Green, &busy);
    Some(plot)
}

/// The kinds of failures, the most frequent first. Of many, the last few have one colour.
fn kinds(saved: &SavedReport) -> Vec<&str> {
    let mut kinds: Vec<_> = saved.error_distribution.iter().collect();
    kinds.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    kinds.into_iter().map(|(kind, _)| kind.as_str()).collect()
}

/// The intervals without a last one so short that its rate says nothing.
fn intervals(saved: &SavedReport) -> &[IntervalRecord] {
    match saved.intervals.split_last() {
        Some((last, others)) if last.duration < saved.interval_seconds * LEAST => others,
        _ => &saved.intervals,
    }
}

fn time(saved: &SavedReport) -> Axis {
    elapsed(end(saved))
}

/// When the last interval ended.
fn end(saved: &SavedReport) -> f64 {
    let end = |interval: &IntervalRecord| interval.start + interval.duration;
    saved.intervals.iter().map(end).fold(saved.summary.total, f64::max)
}

fn elapsed(end: f64) -> Axis {
    let title = unit::elapsed_title(end).to_owned();
    Axis { scale: Scale::elapsed(end), unit: Unit::Elapsed, title }
}

fn counts(title: &str, greatest: f64) -> Axis {
    Axis { scale: Scale::from_zero(greatest), unit: Unit::Count, title: title.to_owned() }
}

fn spans(saved: &SavedReport, value: impl Fn(&IntervalRecord) -> Option<f64>) -> Vec<Span> {
    let span = |interval: &IntervalRecord| Span {
        from: interval.start,
        to: interval.start + interval.duration,
        value: value(interval),
    };
    intervals(saved).iter().map(span).collect()
}

fn greatest(spans: &[Span]) -> f64 {
    spans.iter().filter_map(|span| span.value).fold(0.0, f64::max)
}

fn per_second(interval: &IntervalRecord, count: u64) -> f64 {
    if interval.duration > 0.0 { count as f64 / interval.duration } else { 0.0 }
}
