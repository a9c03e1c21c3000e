//! Where the results of a load go, beside the report.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use countersign_load::Report;
use countersign_report::SavedReport;

use crate::exit::Failure;
use crate::output::{stderr, stdout};
use crate::{escape, units};

/// The longest interval: a day.
const INTERVAL_MAX: Duration = Duration::from_secs(86_400);

/// More results of a load.
#[derive(Debug, Args)]
#[command(next_help_heading = "Results")]
pub(crate) struct ResultArgs {
    /// Length of the report's intervals; twice as long, and again, if they were more than 300
    #[arg(long, value_name = "TIME", default_value = "1s",
          value_parser = units::time(Duration::from_millis(100)..=INTERVAL_MAX))]
    interval: Duration,
    #[command(flatten)]
    files: FileArgs,
}

/// Files for results.
#[derive(Debug, Args)]
#[command(next_help_heading = "Results")]
pub(super) struct FileArgs {
    /// Write a page with plots to this file, for a browser
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    /// Write the figures of each interval to this file, as CSV
    #[arg(long, value_name = "FILE")]
    intervals: Option<PathBuf>,
    /// Write the percentiles of all replies to this file, in milliseconds, as HdrHistogram prints
    /// them for its plotters
    #[arg(long, value_name = "FILE")]
    hgrm: Option<PathBuf>,
    /// Write the latencies of each interval to this file, in nanoseconds, as an interval log of
    /// HdrHistogram
    #[arg(long, value_name = "FILE")]
    hlog: Option<PathBuf>,
}

/// How a result is written.
type Write = fn(&Report, &SavedReport) -> String;

impl ResultArgs {
    /// How long intervals are, if anything shows them beside this report.
    pub(super) fn interval(&self, output: Output) -> Option<Duration> {
        let FileArgs { report, intervals, hlog, .. } = &self.files;
        let is_shown = [report, intervals, hlog].iter().any(|file| file.is_some());
        (is_shown || output == Output::Json).then_some(self.interval)
    }

    /// Opens all files, before the load.
    pub(super) fn create(&self) -> Result<ResultFiles, Failure> {
        self.files.create()
    }
}

impl FileArgs {
    /// Opens all files. A run may take hours: that a result can't be written has to show before.
    pub(super) fn create(&self) -> Result<ResultFiles, Failure> {
        let results: [(_, Write); 4] = [
            (&self.report, countersign_report::html),
            (&self.intervals, |report, _| countersign_report::intervals_csv(report)),
            (&self.hgrm, |report, _| countersign_report::hgrm(report)),
            (&self.hlog, |report, _| countersign_report::hlog(report)),
        ];
        let files = results.into_iter().filter_map(|(path, write)| Some((path.as_deref()?, write)));
        let files = files.map(|(path, write)| Ok((ResultFile::create(path)?, write)));
        files.collect::<Result<_, Failure>>().map(ResultFiles)
    }
}

/// The files for results.
pub(super) struct ResultFiles(Vec<(ResultFile, Write)>);

impl ResultFiles {
    /// Whether no result was asked for.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Writes all that can be written.
    pub(super) fn write(self, report: &Report, saved: &SavedReport) -> Result<(), Failure> {
        let written = self.0.into_iter().map(|(file, write)| file.write(&write(report, saved)));
        Failure::together(written.filter_map(Result::err).collect()).map_or(Ok(()), Err)
    }
}

/// A file for a result.
pub(super) struct ResultFile {
    path: PathBuf,
    file: File,
}

impl ResultFile {
    /// Opens the file. What is in it stays until there is a result.
    pub(super) fn create(path: &Path) -> Result<Self, Failure> {
        let opened = OpenOptions::new().write(true).create(true).truncate(false).open(path);
        let file = opened.map_err(|error| Failure::unwritten(path.display(), &error))?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Replaces what is in the file.
    pub(super) fn write(mut self, result: &str) -> Result<(), Failure> {
        let truncated = match self.file.metadata()?.is_file() {
            true => self.file.set_len(0),
            false => Ok(()),
        };
        truncated
            .and_then(|()| self.file.write_all(result.as_bytes()))
            .map_err(|error| Failure::unwritten(self.path.display(), &error))
    }
}

/// Writes the report, to stdout without a file. If the file doesn't take it, it isn't lost.
pub(super) fn write_report(file: Option<ResultFile>, report: &str) -> Result<(), Failure> {
    let Some(file) = file else {
        stdout().write(report);
        return Ok(());
    };
    file.write(report).map_err(|failure| {
        stdout().write(report);
        failure.and("the report is on stdout instead")
    })
}

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Output {
    /// Readable text
    Text,
    /// A JSON object
    Json,
    /// A line of names and a line of values
    Csv,
    /// Nothing; only the exit code
    Quiet,
}

impl Output {
    /// The report in this form. What would mislead a terminal or a reader is escaped.
    pub(super) fn of(self, report: &Report, saved: &SavedReport) -> String {
        let parameters = &saved.parameters;
        match self {
            Self::Text => {
                // On a terminal, the probes of a search have been shown.
                let is_new = !(stdout().is_terminal() && stderr().is_terminal());
                let ladder = saved.ladder.as_ref().map(|ladder| ladder.text(is_new));
                let text = countersign_report::text(report, parameters);
                escape::lines(&(ladder.unwrap_or_default() + &text))
            }
            Self::Json => format!("{}\n", escape::inside_json(&saved.to_json())),
            Self::Csv => escape::lines(&countersign_report::csv(report, parameters)),
            Self::Quiet => String::new(),
        }
    }
}
