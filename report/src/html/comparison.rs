//! Two runs on one page.

use super::latencies::{self, Curve};
use super::markup::Text;
use super::page::page;
use super::unit::Unit;
use super::{tables, timeline};
use crate::compare::{Comparison, ComparisonRow, FigureKind};
use crate::error::SavedReportError;
use crate::saved_report::SavedReport;

/// A comparison of two runs with their names as an HTML page: the figures with their verdicts, and
/// plots of both.
///
/// # Errors
///
/// A histogram of a report is damaged, or a kind of failure is unknown.
pub fn comparison_html(
    comparison: &Comparison,
    runs: [(&str, &SavedReport); 2],
) -> Result<String, SavedReportError> {
    let mut curves = Vec::new();
    for (name, saved) in runs {
        curves.extend(Curve::new(&saved.to_report()?).map(|curve| (name, curve)));
    }
    let percentiles = match curves.is_empty() {
        true => String::new(),
        false => latencies::percentiles(&curves).figure(),
    };
    let [before, after] = runs.map(|(name, _)| name);
    let title = format!("{before} and {after}");
    let verdict = comparison.conclusion();
    let header = format!(
        "<h1>{}</h1>\n<p>A is {}, B is {}. Verdict: {}.</p>\n",
        Text(&title),
        Text(before),
        Text(after),
        Text(&verdict)
    );
    let plots = timeline::both(runs);
    let tables = [figures(comparison), parameters(comparison)];
    let warnings = warnings(comparison);
    Ok(page(&title, &[header, warnings, tables.concat(), plots, percentiles].concat()))
}

fn warnings(comparison: &Comparison) -> String {
    let warning = |text: &String| format!("<li>{}.</li>\n", Text(text));
    let warnings: String = comparison.warnings.iter().map(warning).collect();
    match warnings.is_empty() {
        true => warnings,
        false => format!("<ul class=\"warnings\">\n{warnings}</ul>\n"),
    }
}

fn figures(comparison: &Comparison) -> String {
    let rows: String = comparison.rows.iter().map(row).collect();
    let heads = "<th></th><th>A</th><th>B</th><th>Change</th><th>p</th>\
                 <th class=\"text\">Verdict</th>";
    tables::table("Medians of the intervals", heads, &rows)
}

fn row(row: &ComparisonRow) -> String {
    let unit = match row.kind {
        FigureKind::Rate => Unit::Count,
        FigureKind::Time => Unit::Latency,
        FigureKind::Share => Unit::Share,
    };
    let [one, other] = [0, 1].map(|run| {
        let Some(value) = row.values[run] else { return "–".to_owned() };
        let spread = row.spreads.map(|spreads| format!(" ± {:.0}%", spreads[run] * 100.0));
        format!("{}{}", unit.short(value), spread.unwrap_or_default())
    });
    let change = row.change.map(|change| format!("{:+.1}%", change * 100.0)).unwrap_or_default();
    let p = row.p.map(|p| format!("{p:.4}")).unwrap_or_default();
    let (name, verdict) = (Text(&row.name), Text(row.verdict.shown()));
    format!(
        "<tr><td class=\"text\">{name}</td><td>{one}</td><td>{other}</td><td>{change}</td>\
         <td>{p}</td><td class=\"long\">{verdict}</td></tr>\n"
    )
}

fn parameters(comparison: &Comparison) -> String {
    let row = |(name, [one, other]): &(String, [String; 2])| {
        let name = tables::spaced(name);
        let [name, one, other] = [&name, one, other].map(|text| Text(text));
        format!(
            "<tr><td class=\"text\">{name}</td><td class=\"long\">{one}</td>\
             <td class=\"long\">{other}</td></tr>\n"
        )
    };
    let rows: String = comparison.parameters.iter().map(row).collect();
    let heads = "<th></th><th class=\"text\">A</th><th class=\"text\">B</th>";
    tables::table("Parameters that differ", heads, &rows)
}
