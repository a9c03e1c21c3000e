//! What the search for the highest rate has tried.

use std::fmt::Write as _;

use super::markup::Text;
use super::plot::{Axis, Color, Plot};
use super::scale::{Scale, TICKS};
use super::tables;
use super::unit::Unit;
use crate::ladder::{Ladder, ProbeRecord};

/// The latencies of the probes by their rate; `None` if none has an answer.
pub(super) fn plot(ladder: &Ladder) -> Option<Plot> {
    let mut probes: Vec<&ProbeRecord> = ladder.probes.iter().collect();
    probes.sort_by(|a, b| a.rate_asked.total_cmp(&b.rate_asked));
    let latencies = || probes.iter().flat_map(|probe| [probe.p50, probe.p99]).flatten();
    let greatest = latencies().fold(0.0, f64::max);
    if greatest <= 0.0 {
        return None;
    }
    let rates = || probes.iter().map(|probe| probe.rate_asked);
    let (least, most) = (rates().fold(f64::INFINITY, f64::min), rates().fold(0.0, f64::max));
    let x = Axis {
        scale: Scale::log(least, most, TICKS),
        unit: Unit::Count,
        title: "messages per second that were asked for, logarithmic".to_owned(),
    };
    let y = Axis {
        scale: Scale::log(latencies().fold(f64::INFINITY, f64::min), greatest, 10),
        unit: Unit::Latency,
        title: "latency, logarithmic; a cross is a probe that failed".to_owned(),
    };
    let mut plot = Plot::new("ladder", "Search for the highest rate", x, y).height(240.0);
    let points = |of: fn(&ProbeRecord) -> Option<f64>| -> Vec<(f64, f64)> {
        probes.iter().filter_map(|probe| Some((probe.rate_asked, of(probe)?))).collect()
    };
    plot.curve(Color::Blue, &points(|probe| probe.p50));
    plot.curve(Color::Orange, &points(|probe| probe.p99));
    for probe in &probes {
        let both = [(probe.p50, Color::Blue), (probe.p99, Color::Orange)];
        for (latency, color) in both {
            latency.iter().for_each(|at| plot.probe(color, (probe.rate_asked, *at), probe.passed));
        }
    }
    plot.legend(Color::Blue, "p50");
    plot.legend(Color::Orange, "p99");
    if let Some(found) = ladder.found {
        plot.mark(found, 0, &format!("found: {}/s", Unit::Count.short(found)));
    }
    Some(plot)
}

/// The table of the probes, in their order.
pub(super) fn table(ladder: &Ladder) -> String {
    let mut rows = String::new();
    for (number, probe) in (1..).zip(&ladder.probes) {
        let latency =
            |at: Option<f64>| at.map_or_else(|| "never".into(), |it| Unit::Latency.short(it));
        let verdict = match (probe.passed, probe.verdict.is_empty()) {
            (true, true) if probe.hold => "held",
            (true, true) => "passed",
            (false, true) => "failed",
            (_, false) => &probe.verdict,
        };
        // Writing to a string succeeds.
        let _ = writeln!(
            rows,
            "<tr><td>{number}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>\
             <td>{}</td><td class=\"long\">{}</td></tr>",
            super::unit::grouped(probe.rate_asked),
            super::unit::grouped(probe.rate_reached),
            latency(probe.p50),
            latency(probe.p99),
            Unit::Share.short(probe.errors),
            Unit::Share.short(probe.load_busy),
            Text(verdict)
        );
    }
    let heads = "<th>Probe</th><th>Asked, /s</th><th>Reached, /s</th><th>p50</th><th>p99</th>\
                 <th>Errors</th><th>Load busy</th><th class=\"text\">Verdict</th>";
    let conditions = ladder.conditions.join(", ");
    let conclusion = ladder.conclusion();
    let table = tables::table(&format!("Probes of the search for {conditions}"), heads, &rows);
    format!("<p>Highest rate: {}</p>\n{table}", Text(&conclusion))
}
