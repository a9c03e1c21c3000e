//! Two runs on one page.

use countersign_load::Report;

use super::latencies::{self, Curve};
use super::markup::Text;
use super::page::page;
use super::unit::Unit;
use super::{tables, timeline};
use crate::saved_report::SavedReport;

/// What differs between any two runs, and says nothing about them.
const INCIDENTAL: [&str; 2] = ["start", "commandLine"];

/// The figures that are compared: a name, its unit, and where it is.
type Figure = (&'static str, Unit, fn(&SavedReport) -> Option<f64>);

const FIGURES: [Figure; 10] = [
    ("Replies per second", Unit::Count, |saved| Some(saved.summary.requests_per_sec)),
    ("Success rate", Unit::Share, |saved| Some(saved.summary.success_rate)),
    ("Mean latency", Unit::Latency, |saved| saved.summary.average),
    ("p50", Unit::Latency, |saved| percentile(saved, "p50")),
    ("p90", Unit::Latency, |saved| percentile(saved, "p90")),
    ("p99", Unit::Latency, |saved| percentile(saved, "p99")),
    ("p99.9", Unit::Latency, |saved| percentile(saved, "p99.9")),
    ("p99.99", Unit::Latency, |saved| percentile(saved, "p99.99")),
    ("Slowest reply", Unit::Latency, |saved| saved.summary.slowest),
    ("Generator busy", Unit::Share, |saved| Some(saved.summary.load_busy)),
];

fn percentile(saved: &SavedReport, name: &str) -> Option<f64> {
    saved.latency_percentiles.get(name).copied().flatten()
}

/// Two runs with their names as an HTML page: figures side by side, and plots of both.
#[must_use]
pub fn comparison_html(runs: [(&str, &Report, &SavedReport); 2]) -> String {
    let curves = runs.into_iter();
    let curves = curves.filter_map(|(name, report, _)| Some((name, Curve::new(report)?)));
    let curves: Vec<_> = curves.collect();
    let runs = runs.map(|(name, _, saved)| (name, saved));
    let percentiles = match curves.is_empty() {
        true => String::new(),
        false => latencies::percentiles(&curves).figure(),
    };
    let title = runs.map(|(name, _)| name).join(" and ");
    let heading = format!("<h1>{}</h1>\n", Text(&title));
    let body = [heading, figures(runs), timeline::both(runs), percentiles, parameters(runs)];
    page(&title, &body.concat())
}

fn figures(runs: [(&str, &SavedReport); 2]) -> String {
    let row = |(name, unit, of): Figure| {
        let values = runs.map(|(_, saved)| of(saved));
        let [first, second] =
            values.map(|value| value.map_or_else(|| "never".to_owned(), |value| unit.short(value)));
        let change = match values {
            [Some(first), Some(second)] if first > 0.0 => {
                let percent = (second / first - 1.0) * 100.0;
                if percent.abs() < 0.05 { "0%".to_owned() } else { format!("{percent:+.1}%") }
            }
            _ => "–".to_owned(),
        };
        format!(
            "<tr><td class=\"text\">{name}</td><td>{first}</td><td>{second}</td>\
             <td>{change}</td></tr>\n"
        )
    };
    let heads = runs.map(|(name, _)| format!("<th>{}</th>", Text(name))).concat();
    let heads = format!("<th></th>{heads}<th>Change</th>");
    tables::table("Figures", &heads, &FIGURES.into_iter().map(row).collect::<String>())
}

/// The parameters that are not the same.
fn parameters(runs: [(&str, &SavedReport); 2]) -> String {
    let [first, second] = runs.map(|(_, saved)| &saved.parameters);
    let mut names: Vec<&str> = first.iter().map(|(name, _)| name).collect();
    names.extend(second.iter().map(|(name, _)| name).filter(|name| first.get(name).is_null()));
    names.dedup();
    let mut rows = String::new();
    for name in names.into_iter().filter(|name| !INCIDENTAL.contains(name)) {
        if first.get(name) == second.get(name) {
            continue;
        }
        let values = [first, second].map(|all| {
            let value = all.shown().find(|(each, _)| *each == name);
            let value = value.map_or_else(String::new, |(_, value)| value);
            format!("<td class=\"long\">{}</td>", Text(&value))
        });
        let name = tables::spaced(name);
        rows.push_str(&format!(
            "<tr><td class=\"text\">{}</td>{}</tr>\n",
            Text(&name),
            values.concat()
        ));
    }
    let heads = runs.map(|(name, _)| format!("<th class=\"text\">{}</th>", Text(name))).concat();
    tables::table("Parameters that differ", &format!("<th></th>{heads}"), &rows)
}
