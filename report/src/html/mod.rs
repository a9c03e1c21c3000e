//! The report as a page: one file, with plots in SVG and nothing from elsewhere.
//!
//! The page is XHTML in the syntax of HTML too, so that a parser of XML can check it. Its only
//! script shows the numbers under the pointer; without it they are in the table.

mod comparison;
mod ladder;
mod latencies;
mod marks;
mod markup;
mod page;
mod path;
mod plot;
mod scale;
mod tables;
mod timeline;
mod unit;

use countersign_load::Report;

use crate::saved_report::SavedReport;
pub use comparison::comparison_html;
use latencies::Curve;
use markup::Text;
use page::page;

/// Above this share, the load generator was the limit.
const BUSY: f64 = 0.9;

/// A report, and what was saved of it, as an HTML page: one file with plots, and nothing from
/// elsewhere.
#[must_use]
pub fn html(report: &Report, saved: &SavedReport) -> String {
    let title = format!("Load of {}", server(saved));
    let body = [
        header(&title, saved),
        warnings(saved),
        tables::figures(saved),
        search(saved),
        timeline::figures(saved),
        distributions(report),
        "<div class=\"two\">\n<div>".to_owned(),
        tables::percentiles(saved),
        tables::messages(saved),
        tables::errors(saved),
        "</div>\n<div>".to_owned(),
        tables::parameters(saved),
        "</div>\n</div>\n".to_owned(),
        tables::intervals(saved),
    ];
    page(&title, &body.concat())
}

/// The address of the server.
fn server(saved: &SavedReport) -> String {
    let text = |name| saved.parameters.get(name).as_str().map(str::to_owned);
    text("address").or_else(|| text("server")).unwrap_or_else(|| "a server".to_owned())
}

fn header(title: &str, saved: &SavedReport) -> String {
    let text = |name| saved.parameters.get(name).as_str().unwrap_or_default();
    let facts = [
        text("start").to_owned(),
        format!("measured for {}", unit::span(saved.summary.total)),
        format!("countersign {} ({})", text("version"), text("commit")),
    ];
    let facts = Text(&facts.join(" · ")).to_string();
    let command = match text("commandLine") {
        "" => String::new(),
        command => format!("<pre>{}</pre>\n", Text(command)),
    };
    format!("<h1>{}</h1>\n<p>{facts}</p>\n{command}", Text(title))
}

/// What a reader must know before the figures.
fn warnings(saved: &SavedReport) -> String {
    let summary = &saved.summary;
    let mut warnings = Vec::new();
    if summary.answered == 0 {
        warnings.push("Nothing was answered, so there is no latency to show.");
    }
    if summary.load_busy_threads.iter().any(|share| *share > BUSY) {
        warnings.push("The load generator was the limit, not the server: its threads were busy.");
    }
    if summary.rate_reached == Some(false) {
        warnings.push("The rate that was asked for was not reached.");
    }
    if saved.parameters.get("interrupted").as_bool() == Some(true) {
        warnings.push("The load was interrupted.");
    }
    let warnings: String = warnings.iter().map(|note| format!("<li>{note}</li>\n")).collect();
    if warnings.is_empty() {
        warnings
    } else {
        format!("<ul class=\"warnings\">\n{warnings}</ul>\n")
    }
}

fn distributions(report: &Report) -> String {
    let curve = Curve::new(report).map(|curve| latencies::percentiles(&[("", curve)]).figure());
    let histogram = latencies::histogram(report).map(|plot| plot.figure());
    let setup = latencies::setup(report).map(|plot| plot.figure());
    let [curve, histogram, setup] = [curve, histogram, setup].map(Option::unwrap_or_default);
    format!("<div class=\"two\">\n{curve}{histogram}</div>\n{setup}")
}

fn search(saved: &SavedReport) -> String {
    let Some(ladder) = &saved.ladder else { return String::new() };
    let plot = ladder::plot(ladder).map(|plot| plot.figure()).unwrap_or_default();
    plot + &ladder::table(ladder)
}

#[cfg(test)]
mod tests;
