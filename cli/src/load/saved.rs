//! `countersign load merge` and `countersign load compare`: what saved reports say together.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use countersign_report::{Comparison, SavedReport, SavedReportError, Strictness};

use super::input;
use super::results::{FileArgs, Output, ResultFile, write_report};
use crate::escape;
use crate::exit::{Failure, Kind, chain};
use crate::output::stdout;

/// What can be done with saved reports.
#[derive(Debug, Subcommand)]
pub(crate) enum SavedVerb {
    Merge(MergeArgs),
    Compare(CompareArgs),
}

impl SavedVerb {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self {
            Self::Merge(merge) => merge.run(),
            Self::Compare(compare) => compare.run(),
        }
    }
}

/// Merge the reports of several machines that loaded a server at the same time
///
/// Histograms and counts are added up, so percentiles are those of all replies. Intervals are added
/// by their time: the clocks of the machines must agree. The loads must have had the same options,
/// but for the number of clients and messages, the rate, and addresses.
#[derive(Debug, Args)]
#[command(before_long_help = MERGE_EXAMPLES)]
pub(crate) struct MergeArgs {
    /// Reports that `load --output json` has written
    #[arg(required = true, value_name = "FILE")]
    reports: Vec<PathBuf>,
    /// Format of the report
    #[arg(long, value_name = "FORMAT", default_value = "text", value_enum)]
    output: Output,
    /// File to write the report to [default: stdout]
    #[arg(short = 'o', long, value_name = "FILE")]
    output_file: Option<PathBuf>,
    #[command(flatten)]
    files: FileArgs,
}

const MERGE_EXAMPLES: &str = "\
Examples:
  countersign load merge one.json other.json
  countersign load merge *.json --output json -o all.json";

/// Compare two saved reports
///
/// For each figure, a test says whether the second run differs from the first by more than noise.
/// It compares the intervals of both runs, so each needs some: let a load run for ten seconds or
/// more, or use a short --interval.
#[derive(Debug, Args)]
#[command(before_long_help = COMPARE_EXAMPLES, after_help = COMPARE_EXITS)]
pub(crate) struct CompareArgs {
    /// Report of the run that the other is compared to, from `load --output json`
    #[arg(value_name = "A.json")]
    before: PathBuf,
    /// Report of the other run
    #[arg(value_name = "B.json")]
    after: PathBuf,
    /// Probability with which a difference may be reported where there is none
    #[arg(long, value_name = "SHARE", default_value = "0.05", value_parser = probability)]
    alpha: f64,
    /// Smallest change that counts
    #[arg(long, value_name = "SHARE", default_value = "2%", value_parser = percent)]
    threshold: f64,
    /// Write a page with plots of both runs to this file, for a browser
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
}

const COMPARE_EXAMPLES: &str = "\
Examples:
  countersign load 127.0.0.1:9527 --output json -o before.json
  countersign load 127.0.0.1:9527 --output json -o after.json
  countersign load compare before.json after.json";

const COMPARE_EXITS: &str = "\
Exit code 0 if no figure is worse in B, 1 if one is, 65 if there is too little in the reports to
tell, or they can't be read.";

impl MergeArgs {
    fn run(self) -> Result<(), Failure> {
        let read = |path: &PathBuf| Ok((path.display().to_string(), read(path)?));
        let reports = self.reports.iter().map(read).collect::<Result<Vec<_>, Failure>>()?;
        let (report, parameters) = countersign_report::merge(&reports)
            .map_err(|error| Failure::new(Kind::BadFile, chain(&error)))?;
        let file = self.output_file.as_deref().map(ResultFile::create).transpose()?;
        let files = self.files.create()?;
        let saved = SavedReport::new(&report, parameters);
        let written = write_report(file, &self.output.of(&report, &saved));
        written.and(files.write(&report, &saved))
    }
}

impl CompareArgs {
    fn run(self) -> Result<(), Failure> {
        let paths = [&self.before, &self.after];
        let [before, after] = [read(&self.before)?, read(&self.after)?];
        let strictness = Strictness { alpha: self.alpha, threshold: self.threshold };
        let comparison = Comparison::new([&before, &after], strictness)
            .map_err(|error| Failure::new(Kind::BadFile, error.to_string()))?;
        let names = paths.map(|path| path.display().to_string());
        if let Some(path) = &self.report {
            let page = countersign_report::comparison_html(
                &comparison,
                [(&names[0], &before), (&names[1], &after)],
            );
            let page = page.map_err(|error| Failure::new(Kind::BadFile, error.to_string()))?;
            ResultFile::create(path)?.write(&page)?;
        }
        stdout().write(escape::lines(&comparison.text([&names[0], &names[1]])));
        match () {
            () if comparison.is_worse() => {
                let text = format!("{} is worse than {}", names[1], names[0]);
                Err(Failure::new(Kind::General, text).quiet())
            }
            () if comparison.is_judged() => Ok(()),
            () => Err(Failure::new(Kind::BadFile, "too few intervals to tell").quiet()),
        }
    }
}

/// Reads a saved report.
fn read(path: &Path) -> Result<SavedReport, Failure> {
    let shown = path.display();
    let unreadable = |(kind, why)| Failure::new(kind, format!("cannot read {shown}: {why}"));
    let bytes = input::bytes(path).map_err(unreadable)?;
    let text = String::from_utf8(bytes)
        .map_err(|_| unreadable((Kind::BadFile, "it is not UTF-8".to_owned())))?;
    let saved = SavedReport::from_json(&text);
    // Whose histogram is damaged is known here.
    saved.and_then(|saved| saved.to_report().map(|_| saved)).map_err(|error| {
        let place = match &error {
            SavedReportError::Json(error) => format!(" (line {})", error.line()),
            _ => String::new(),
        };
        Failure::new(Kind::BadFile, format!("{shown}: {error}{place}"))
    })
}

/// Reads a probability.
fn probability(text: &str) -> Result<f64, String> {
    let value = text.parse().ok().filter(|value| (0.0..=1.0).contains(value));
    value.ok_or_else(|| "write a probability from 0 to 1, like 0.05".to_owned())
}

/// Reads a percentage, as a share.
fn percent(text: &str) -> Result<f64, String> {
    let value = text.strip_suffix('%').unwrap_or(text).parse().ok();
    let value = value.filter(|value| (0.0..=1e6).contains(value)).map(|value: f64| value / 100.0);
    value.ok_or_else(|| "write a percentage, like 2%".to_owned())
}
