//! Reports in CSV.

use std::time::Duration;

use countersign_load::Report;

use crate::interval_record::{self, IntervalRecord, interval_records};
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

/// The intervals of a report in CSV: a line of names, and a line for each interval. Times are in
/// seconds, and empty where there was no reply.
#[must_use]
pub fn intervals_csv(report: &Report) -> String {
    let figure = |figure: Option<f64>| figure.map(|it| format!("{it:.6}")).unwrap_or_default();
    let columns = |each: &IntervalRecord| {
        let of_run = [
            ("start_seconds", format!("{:.3}", each.start)),
            ("duration_seconds", format!("{:.3}", each.duration)),
            ("sent", each.sent.to_string()),
            ("answered", each.answered.to_string()),
            ("failed", each.failed.to_string()),
            ("replies_per_second", format!("{:.1}", each.requests_per_sec)),
            ("mean_seconds", figure(each.average)),
            ("max_seconds", figure(each.slowest)),
        ];
        let connections = [
            ("connected", each.connected.to_string()),
            ("connections_lost", each.connections_lost.to_string()),
            ("bytes_sent", each.bytes_sent.to_string()),
            ("bytes_received", each.bytes_received.to_string()),
            ("load_busy", format!("{:.3}", each.load_busy)),
        ];
        let percentiles = interval_record::PERCENTILES.map(|percent| {
            let latency = each.latency_percentiles.get(&format!("p{percent}"));
            (format!("p{percent}_seconds"), figure(latency.copied().flatten()))
        });
        let named = |(name, value): (&str, String)| (name.to_owned(), value);
        let first = of_run.map(named).into_iter().chain(percentiles);
        first.chain(connections.map(named)).collect::<Vec<_>>()
    };
    let names = columns(&IntervalRecord::default()).into_iter().map(|(name, _)| name);
    let mut out = format!("{}\n", names.collect::<Vec<_>>().join(","));
    for each in interval_records(report) {
        let values = columns(&each).into_iter().map(|(_, value)| value);
        out.push_str(&values.collect::<Vec<_>>().join(","));
        out.push('\n');
    }
    out
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
    use countersign_load::{Interval, Intervals};

    use super::*;

    #[test]
    fn each_interval_has_a_line() {
        let mut report = Report::default();
        let mut interval = Interval::default();
        interval.length = Duration::from_millis(500);
        (interval.answered, interval.reply) = (3, [(1_000_000, 3)].into_iter().collect());
        let intervals = vec![interval, Interval::default()];
        report.intervals = Intervals::new(Duration::from_millis(500), intervals);
        let csv = intervals_csv(&report);
        let lines: Vec<&str> = csv.lines().collect();
        assert!(lines[0].starts_with("start_seconds,duration_seconds,sent,answered,failed,"));
        assert!(lines[1].starts_with("0.000,0.500,0,3,0,6.0,0.001000,0.001000,0.001000,"), "{csv}");
        assert!(lines[2].starts_with("0.500,0.000,0,0,0,0.0,,,,,,,,0,"), "{csv}");
        let columns = lines.iter().map(|line| line.split(',').count());
        assert_eq!(columns.collect::<Vec<_>>(), [18; 3]);
    }

    #[test]
    fn an_empty_report_has_a_value_for_each_name() {
        let csv = csv(&Report::default(), &Parameters::default());
        let columns: Vec<usize> = csv.lines().map(|line| line.split(',').count()).collect();
        assert_eq!(columns, [25, 25]);
        assert_eq!(quoted("a,\"b\"".to_owned()), "\"a,\"\"b\"\"\"");
    }
}
