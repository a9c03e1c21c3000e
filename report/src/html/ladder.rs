//! What the search for the highest rate has tried.

use std::fmt::Write as _;

use super::markup::Text;
use super::plot::{Axis, Color, Plot};
use super::scale::{Scale, TICKS};
use super::tables;
use super::unit::Unit;
use crate::ladder::{Ladder, ProbeRecord};

/// Rates whose ratio is below this are one.
const SAME: f64 = 1.001;

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
    plot.curve(Color::Blue, &slowest(&probes, |probe| probe.p50));
    plot.curve(Color::Orange, &slowest(&probes, |probe| probe.p99));
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

/// The longest of these latencies at each rate, since a rate may have been tried twice.
fn slowest(probes: &[&ProbeRecord], of: fn(&ProbeRecord) -> Option<f64>) -> Vec<(f64, f64)> {
    let mut points: Vec<(f64, f64)> = Vec::new();
    for (rate, latency) in probes.iter().filter_map(|probe| Some((probe.rate_asked, of(probe)?))) {
        match points.last_mut().filter(|(last, _)| rate <= *last * SAME) {
            Some((_, longest)) => *longest = longest.max(latency),
            None => points.push((rate, latency)),
        }
    }
    points
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
    let was_held = ladder.probes.iter().any(|probe| probe.hold && probe.passed);
    let below = if was_held { ". The plots below are of the load that held it." } else { "" };
    format!("<p>Highest rate: {}{below}</p>\n{table}", Text(&conclusion))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_that_was_tried_twice_is_one_point() {
        let probe = |rate_asked, p99| ProbeRecord { rate_asked, p99, ..ProbeRecord::default() };
        let probes = [
            probe(100.0, Some(0.001)),
            probe(200.0, Some(0.002)),
            probe(200.0, Some(0.004)),
            probe(200.0, Some(0.003)),
            probe(400.0, None),
        ];
        let probes: Vec<&ProbeRecord> = probes.iter().collect();
        assert_eq!(slowest(&probes, |probe| probe.p99), [(100.0, 0.001), (200.0, 0.004)]);
    }
}
