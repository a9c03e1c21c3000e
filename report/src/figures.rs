//! Figures of a report as they are saved.

use std::collections::BTreeMap;
use std::time::Duration;

use countersign_load::{FailureKind, Failures};

use crate::error::SavedReportError;

/// Latencies in seconds by the name of their percentile, such as `p99.9`; null if so many messages
/// were never answered.
pub type Percentiles = BTreeMap<String, Option<f64>>;

/// Counts by name. What is zero is left out.
pub type Counts = BTreeMap<String, u64>;

pub(crate) fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

/// Nothing for a time that can't be one.
pub(crate) fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

pub(crate) fn percentiles(of: &[f64], at: impl Fn(f64) -> Option<Duration>) -> Percentiles {
    let one = |percent: f64| (format!("p{percent}"), at(percent / 100.0).map(seconds));
    of.iter().copied().map(one).collect()
}

pub(crate) fn counts(failures: &Failures) -> Counts {
    let some = failures.iter().filter(|(_, count)| *count > 0);
    some.map(|(failure, count)| (failure.name().to_owned(), count)).collect()
}

pub(crate) fn failures(counts: &Counts) -> Result<Failures, SavedReportError> {
    let mut failures = Failures::default();
    for (name, count) in counts {
        let kind = FailureKind::from_name(name);
        failures.add(kind.ok_or_else(|| SavedReportError::FailureKind(name.clone()))?, *count);
    }
    Ok(failures)
}
