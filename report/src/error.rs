//! Why a saved document can't be used.

use std::error::Error;
use std::fmt;

/// The version of the form that this program writes, and the only one that it reads.
pub(crate) const VERSION: u64 = 1;

/// The greatest count: all programs that read JSON have numbers up to it, and those of a thousand
/// reports can be added up.
pub(crate) const COUNT_MAX: u64 = 1 << 53;

/// The longest time, and the latest, in seconds: three thousand years.
pub(crate) const SECONDS_MAX: f64 = 1e11;

/// Why a saved report can't be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum SavedReportError {
    /// It is not JSON, or not the JSON of a report.
    Json(serde_json::Error),
    /// It has this version, which a newer program has written.
    Version(u64),
    /// This figure is not one that a load can have.
    Figure(&'static str),
    /// This histogram is damaged.
    Histogram(&'static str),
    /// It counts a kind of error that this program does not know.
    FailureKind(String),
}

impl fmt::Display for SavedReportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(_) => f.write_str("not a report that `load --output json` has written"),
            Self::Version(version) => write!(
                f,
                "the report has version {version}, and this program reads version {VERSION}; use \
                 the program that has written it",
            ),
            Self::Figure(name) => write!(f, "no load can have this {name}"),
            Self::Histogram(name) => write!(f, "the histogram {name} is damaged"),
            Self::FailureKind(name) => write!(f, "unknown kind of error: {name:?}"),
        }
    }
}

impl Error for SavedReportError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Json(error) => Some(error),
            _ => None,
        }
    }
}
