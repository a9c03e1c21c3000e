//! One report from those of several machines that have loaded a server at the same time.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use countersign_load::{Intervals, Report};
use serde_json::{Number, Value};

use crate::error::SavedReportError;
use crate::parameters::{Parameters, text};
use crate::saved_report::SavedReport;

/// Parameters of which each machine has a part.
const ADDED: &[&str] = &["connections", "threads", "idle", "count", "rate", "connectRate"];

/// Parameters that each machine may have differently; all values are kept.
const COLLECTED: &[&str] = &[
    "commandLine",
    "commit",
    "address",
    "server",
    "key",
    "source",
    "proxySource",
    "failIf",
    "serverMetrics",
];

/// Those of which the first or the greatest is kept.
const BEGUN: &str = "start";
const INTERRUPTED: &str = "interrupted";

/// Why reports can't be merged.
#[derive(Debug)]
#[non_exhaustive]
pub enum MergeError {
    /// There is no report.
    Nothing,
    /// This one can't be read.
    Unreadable(String, SavedReportError),
    /// This one is that of a search for the highest rate.
    Search(String),
    /// These two are the same, so what they report would count twice.
    Same(String, String),
    /// The loads differ in what all machines must do alike.
    Differs {
        /// The name of the parameter.
        parameter: String,
        /// A report, and its value.
        one: (String, String),
        /// Another report, and its value.
        other: (String, String),
    },
    /// This one began after this other had ended.
    Apart(String, String),
}

impl fmt::Display for MergeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &str| if value.is_empty() { "none" } else { value }.to_owned();
        match self {
            Self::Nothing => f.write_str("there is no report to merge"),
            Self::Unreadable(name, error) => write!(f, "{name}: {error}"),
            Self::Search(name) => {
                write!(f, "{name}: the report of a search (--find) can't be merged")
            }
            Self::Same(one, other) => {
                write!(f, "{one} and {other} are the same report; name each report once")
            }
            Self::Differs { parameter, one, other } => write!(
                f,
                "{} and {} differ in {parameter}: {} and {}; only loads that do the same can be \
                 merged",
                one.0,
                other.0,
                shown(&one.1),
                shown(&other.1)
            ),
            Self::Apart(later, earlier) => write!(
                f,
                "{later} began after {earlier} had ended; only loads of the same time can be merged"
            ),
        }
    }
}

impl Error for MergeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unreadable(_, error) => error.source(),
            _ => None,
        }
    }
}

/// The report on all these loads together, and their parameters. Each report has a name, for
/// errors.
///
/// Histograms and counts are added up, so percentiles are those of all replies. Intervals are added
/// by their time, so the clocks of the machines must agree. It lasts from when the first load began
/// until the last has ended.
///
/// # Errors
///
/// A report is damaged or occurs twice, or the loads were not parts of one: they didn't do the same
/// at the same time.
pub fn merge(reports: &[(String, SavedReport)]) -> Result<(Report, Parameters), MergeError> {
    let (first, others) = reports.split_first().ok_or(MergeError::Nothing)?;
    if let Some((name, _)) = reports.iter().find(|(_, each)| each.ladder.is_some()) {
        return Err(MergeError::Search(name.clone()));
    }
    for (at, (name, each)) in reports.iter().enumerate() {
        if let Some((before, _)) = reports.iter().take(at).find(|(_, other)| other == each) {
            return Err(MergeError::Same(before.clone(), name.clone()));
        }
    }
    let mut parameters = first.1.parameters.clone();
    for other in others {
        add(&mut parameters, first, other)?;
    }
    others.iter().try_for_each(|other| check_time(reports, other))?;
    let read = |(name, saved): &(String, SavedReport)| {
        saved.to_report().map_err(|error| MergeError::Unreadable(name.clone(), error))
    };
    let mut parts = reports.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    // The intervals of the first are those to which all others are added.
    parts.sort_by_key(|part| part.start);
    let start = parts.first().map_or(Duration::ZERO, |first| first.start);
    let end = parts.iter().map(|part| part.start + part.elapsed).max().unwrap_or_default();
    let asked: Option<f64> = parts.iter().map(|part| part.rate_asked).sum();
    let mut intervals = Intervals::default();
    for part in &mut parts {
        let after = part.start.saturating_sub(start);
        intervals.merge(std::mem::take(&mut part.intervals), after);
    }
    let mut report = Report::merged(parts);
    report.elapsed = end.saturating_sub(start);
    report.rate_asked = asked;
    report.intervals = intervals;
    Ok((report, parameters))
}

/// Checks that a load has had a part of its time in common with each other.
fn check_time(
    reports: &[(String, SavedReport)],
    (name, saved): &(String, SavedReport),
) -> Result<(), MergeError> {
    let ended = |of: &SavedReport| of.start_time + of.summary.total;
    let before = reports.iter().find(|(_, other)| ended(other) <= saved.start_time);
    let after = reports.iter().find(|(_, other)| ended(saved) <= other.start_time);
    match (before, after) {
        (Some((other, _)), _) => Err(MergeError::Apart(name.clone(), other.clone())),
        (_, Some((other, _))) => Err(MergeError::Apart(other.clone(), name.clone())),
        (None, None) => Ok(()),
    }
}

/// Adds the parameters of another load.
fn add(
    all: &mut Parameters,
    (first_name, first): &(String, SavedReport),
    (other_name, other): &(String, SavedReport),
) -> Result<(), MergeError> {
    let names = first.parameters.iter().chain(other.parameters.iter()).map(|(name, _)| name);
    let names: Vec<String> = names.map(str::to_owned).collect();
    let mut done: Vec<&String> = Vec::new();
    for name in &names {
        if done.contains(&name) {
            continue;
        }
        done.push(name);
        let (ours, theirs) = (all.get(name).clone(), other.parameters.get(name));
        let both = match &name[..] {
            BEGUN => Some(if text(theirs) < text(&ours) { theirs.clone() } else { ours }),
            INTERRUPTED => Some(Value::Bool(ours == Value::Bool(true) || *theirs == true)),
            name if ADDED.contains(&name) => sum(&ours, theirs),
            name if COLLECTED.contains(&name) => Some(together(ours, theirs)),
            _ => (ours == *theirs).then_some(ours),
        };
        let Some(both) = both else {
            return Err(MergeError::Differs {
                parameter: name.clone(),
                one: (first_name.clone(), text(first.parameters.get(name))),
                other: (other_name.clone(), text(theirs)),
            });
        };
        all.set(name, both);
    }
    Ok(())
}

/// Two numbers added up, or two times nothing.
fn sum(one: &Value, other: &Value) -> Option<Value> {
    match (one, other) {
        (Value::Null, Value::Null) => Some(Value::Null),
        (one, other) => {
            let whole = one.as_u64().zip(other.as_u64());
            let whole = whole.and_then(|(one, other)| Some(one.checked_add(other)?.into()));
            let broken = || Number::from_f64(one.as_f64()? + other.as_f64()?);
            whole.or_else(broken).map(Value::Number)
        }
    }
}

/// Both values, if they are not the same.
fn together(one: Value, other: &Value) -> Value {
    if one == *other {
        return one;
    }
    let list = |value: &Value| match value {
        Value::Array(values) => values.clone(),
        Value::Null => Vec::new(),
        other => vec![other.clone()],
    };
    let mut all = list(&one);
    let more = list(other).into_iter().filter(|value| !all.contains(value)).collect::<Vec<_>>();
    all.extend(more);
    Value::Array(all)
}

#[cfg(test)]
mod tests {
    use countersign_load::{FailureKind, Interval};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// The report of a load that has begun so many seconds after the others.
    fn report(after: u64, replies: &[u64], failed: u64) -> Report {
        let mut report = Report::default();
        report.start = Duration::from_secs(1_800_000_000 + after);
        report.elapsed = Duration::from_secs(10);
        report.answered = replies.len() as u64;
        report.due = report.answered + failed;
        report.reply = replies.iter().map(|nanos| (*nanos, 1)).collect();
        report.failures.add(FailureKind::Closed, failed);
        report.busy = vec![0.5];
        report.rate_asked = Some(100.0);
        let mut interval = Interval::default();
        interval.length = Duration::from_secs(1);
        interval.answered = report.answered;
        interval.reply = report.reply.recorded().collect();
        report.intervals = Intervals::new(interval.length, vec![interval; 10]);
        report
    }

    fn named(name: &str, report: &Report, changes: &[(&str, Value)]) -> (String, SavedReport) {
        let mut parameters = Parameters::from_iter([
            ("version", json!("0.1.0")),
            ("start", json!("2027-01-15T08:00:00Z")),
            ("address", json!("a:1")),
            ("connections", json!(50)),
            ("rate", json!(100)),
            ("count", Value::Null),
            ("size", json!(32)),
            ("interrupted", json!(false)),
        ]);
        changes.iter().for_each(|(name, value)| parameters.set(name, value.clone()));
        (name.to_owned(), SavedReport::new(report, parameters))
    }

    proptest! {
        // Each makes dozens of histograms.
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn percentiles_are_those_of_all_replies(
            one in prop::collection::vec(1_000..100_000_000_u64, 1..200),
            other in prop::collection::vec(1_000..100_000_000_u64, 1..200),
            failed in 0..5_u64,
        ) {
            let (a, b) = (report(0, &one, failed), report(0, &other, 0));
            let reports = [named("a", &a, &[]), named("b", &b, &[])];
            let (merged, parameters) = merge(&reports).unwrap();
            let all = report(0, &[one, other].concat(), failed);
            for percent in [0.0, 10.0, 50.0, 90.0, 99.0, 99.9, 100.0] {
                let share = percent / 100.0;
                prop_assert_eq!(merged.reply_within(share), all.reply_within(share));
            }
            prop_assert_eq!(merged.due, all.due);
            prop_assert!((merged.success_rate() - all.success_rate()).abs() < 1e-12);
            let intervals = |of: &Report| -> Vec<_> {
                of.intervals.iter().map(|(_, each)| (each.answered, each.reply.clone())).collect()
            };
            prop_assert_eq!(intervals(&merged), intervals(&all));
            prop_assert_eq!((merged.rate_asked, merged.busy), (Some(200.0), vec![0.5; 2]));
            prop_assert_eq!(parameters.get("connections"), 100);
        }
    }

    #[test]
    fn loads_of_the_same_time_are_added_by_it() {
        let [first, second] = [0, 2].map(|after| report(after, &[1_000_000; 7], 0));
        let later = [
            ("start", json!("2027-01-15T08:00:02Z")),
            ("address", json!("b:1")),
            ("interrupted", json!(true)),
        ];
        let (one, other) = (named("a", &first, &[]), named("b", &second, &later));
        for reports in [[one.clone(), other.clone()], [other, one]] {
            let (merged, parameters) = merge(&reports).unwrap();
            assert_eq!(merged.elapsed, Duration::from_secs(12));
            let answered: Vec<u64> =
                merged.intervals.iter().map(|(_, each)| each.answered).collect();
            assert_eq!(answered, [7, 7, 14, 14, 14, 14, 14, 14, 14, 14, 7, 7]);
            assert_eq!(parameters.get("start"), "2027-01-15T08:00:00Z");
            let mut addresses = parameters.get("address").as_array().unwrap().clone();
            addresses.sort_by_key(ToString::to_string);
            assert_eq!(addresses, ["a:1", "b:1"]);
            assert_eq!(parameters.get("interrupted"), true);
            assert_eq!(parameters.get("count"), &Value::Null);
            assert_eq!((parameters.get("rate"), parameters.get("size")), (&json!(200), &json!(32)));
        }
    }

    #[test]
    fn what_does_not_belong_together_is_refused_with_the_reason() {
        let first = named("a.json", &report(0, &[1], 0), &[]);
        let other = |after, name, value: Value| {
            let other = named("b.json", &report(after, &[1], 0), &[(name, value)]);
            merge(&[first.clone(), other]).unwrap_err().to_string()
        };
        let error = other(0, "size", json!(64));
        assert!(error.starts_with("a.json and b.json differ in size: 32 and 64;"), "{error}");
        let error = other(0, "version", json!("0.2.0"));
        assert!(error.contains("differ in version: 0.1.0 and 0.2.0;"), "{error}");
        assert!(other(0, "count", json!(5)).contains("differ in count: none and 5;"));
        assert!(other(0, "think", json!("5ms")).contains("differ in think: none and 5ms;"));
        assert!(other(10, "size", json!(32)).starts_with("b.json began after a.json had ended;"));
        assert!(matches!(merge(&[]), Err(MergeError::Nothing)));
        let mut search = first.clone();
        search.1.ladder = Some(crate::Ladder::default());
        let error = merge(&[search]).unwrap_err().to_string();
        assert!(error.starts_with("a.json: the report of a search"), "{error}");
        let mut damaged = first;
        damaged.1.histograms.reply = "?".to_owned();
        let error = merge(&[damaged]).unwrap_err().to_string();
        assert_eq!(error, "a.json: the histogram reply is damaged");
    }
}
