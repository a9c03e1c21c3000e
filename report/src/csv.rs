//! The report as a line of names and a line of values.

use std::time::Duration;

use countersign_load::Report;

use crate::parameters::Parameters;
use crate::text::{PERCENTILES, mean, replied};

/// The report on a load with these parameters in CSV: a line of names, and a line of values.
#[must_use]
pub fn csv(report: &Report, parameters: &Parameters) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_report_has_a_value_for_each_name() {
        let csv = csv(&Report::default(), &Parameters::default());
        let columns: Vec<usize> = csv.lines().map(|line| line.split(',').count()).collect();
        assert_eq!(columns, [25, 25]);
        assert_eq!(quoted("a,\"b\"".to_owned()), "\"a,\"\"b\"\"\"");
    }
}
