//! What is shown of a load while it runs: a view on a terminal, or a line every few seconds.

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use countersign_load::{Recent, Report};
use countersign_report::LiveView;

use crate::output::stderr;
use crate::{system, units};

/// How often the view is drawn.
const REDRAW: Duration = Duration::from_millis(250);

/// What is shown while the load runs.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Progress")]
pub(crate) struct ProgressArgs {
    /// What to show on stderr while the load runs
    #[arg(long, value_name = "WHAT", default_value = "auto", value_enum)]
    progress: ProgressKind,
    /// With --progress plain: time between two lines
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = units::some_time)]
    progress_interval: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ProgressKind {
    /// A view of the last seconds, on a terminal alone
    Auto,
    /// One line every few seconds, also without a terminal
    Plain,
    /// Nothing
    Never,
}

/// What is shown of a load on several threads while it runs.
pub(super) struct Progress {
    how: How,
    /// What ends the load, whichever comes first.
    count: Option<u64>,
    length: Option<Duration>,
    state: Mutex<State>,
}

/// How a load is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    View,
    Lines(Duration),
    Nothing,
}

struct State {
    threads: Vec<Reached>,
    /// When something was last shown.
    shown: Instant,
    /// The columns of each line of the view, as it is on the terminal.
    drawn: Vec<usize>,
}

/// How far a thread has come.
#[derive(Debug, Clone, Default)]
struct Reached {
    answered: u64,
    failed: u64,
    connected: u64,
    connections_lost: u64,
    elapsed: Duration,
    recent: Recent,
}

impl ProgressArgs {
    /// Whether lines were asked for.
    pub(super) fn is_plain(&self) -> bool {
        self.progress == ProgressKind::Plain
    }

    fn how(&self) -> How {
        let is_dumb = || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        match self.progress {
            ProgressKind::Auto if stderr().is_terminal() && !is_dumb() => How::View,
            ProgressKind::Plain => How::Lines(self.progress_interval),
            ProgressKind::Auto | ProgressKind::Never => How::Nothing,
        }
    }
}

impl Progress {
    /// Shows a load that this count or this time ends.
    pub(super) fn new(
        args: &ProgressArgs,
        threads: usize,
        count: Option<u64>,
        length: Option<Duration>,
    ) -> Self {
        let threads = vec![Reached::default(); threads];
        let state = State { threads, shown: system::monotonic(), drawn: Vec::new() };
        Self { how: args.how(), count, length, state: Mutex::new(state) }
    }

    /// Shows what a thread has to report, with what the others had.
    pub(super) fn show(&self, thread: usize, report: &Report) {
        let interval = match self.how {
            How::View => REDRAW,
            How::Lines(interval) => interval,
            How::Nothing => return,
        };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { threads, shown, drawn } = &mut *state;
        if let Some(reached) = threads.get_mut(thread) {
            reached.record(report);
        }
        let now = system::monotonic();
        // A terminal that is stopped must not stop the load.
        if now.saturating_duration_since(*shown) < interval || !stderr().is_ready() {
            return;
        }
        *shown = now;
        let view = self.view(threads);
        match self.how {
            How::View => {
                let (columns, rows) = stderr().size();
                let lines = view.lines(columns, rows, stderr().is_coloured());
                stderr().write(redraw(drawn, &lines, columns));
                *drawn = lines.into_iter().map(|(_, taken)| taken).collect();
            }
            _ => stderr().line(view.line()),
        }
    }

    /// Removes the view.
    pub(super) fn end(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let drawn = std::mem::take(&mut state.drawn);
        if !drawn.is_empty() {
            stderr().write(redraw(&drawn, &[], stderr().size().0));
        }
    }

    fn view(&self, threads: &[Reached]) -> LiveView {
        let sum = |of: fn(&Reached) -> u64| threads.iter().map(of).sum::<u64>();
        let elapsed = threads.iter().map(|each| each.elapsed).max().unwrap_or_default();
        let (answered, failed) = (sum(|each| each.answered), sum(|each| each.failed));
        let of_count = self.count.map_or(0.0, |count| (answered + failed) as f64 / count as f64);
        let of_time =
            self.length.map_or(0.0, |length| elapsed.as_secs_f64() / length.as_secs_f64());
        let remaining = |done: f64| elapsed.mul_f64(((1.0 - done) / done).clamp(0.0, 1e6));
        let by_count = (of_count > 0.0 && !elapsed.is_zero()).then(|| remaining(of_count));
        let by_time = self.length.map(|length| length.saturating_sub(elapsed));
        let recent: Vec<Recent> = threads.iter().map(|each| each.recent.clone()).collect();
        LiveView {
            done: of_count.max(of_time).min(1.0),
            elapsed,
            left: by_count.into_iter().chain(by_time).min(),
            answered,
            failed,
            connected: sum(|each| each.connected),
            connections_lost: sum(|each| each.connections_lost),
            seconds: Recent::together(&recent),
        }
    }
}

impl Reached {
    fn record(&mut self, report: &Report) {
        self.recent.record(report);
        self.answered = report.answered;
        self.failed = report.failed();
        self.connected = report.connected;
        self.connections_lost = report.connections_failed();
        self.elapsed = report.elapsed;
    }
}

/// What draws these lines over those that were drawn before, and removes the rest. The cursor stays
/// below them, where whatever ends the program leaves it.
fn redraw(drawn: &[usize], lines: &[(String, usize)], columns: usize) -> String {
    // A terminal that has become narrower has wrapped the lines that it shows.
    let rows: usize = drawn.iter().map(|taken| taken.div_ceil(columns.max(1)).max(1)).sum();
    let mut out = String::new();
    if rows > 0 {
        // Writing to a string succeeds.
        let _ = write!(out, "\r\x1b[{rows}A");
    }
    for (line, _) in lines {
        let _ = writeln!(out, "{line}\x1b[K");
    }
    out + "\x1b[J"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_drawn_over_those_before() {
        let lines = |texts: &[&str]| -> Vec<(String, usize)> {
            texts.iter().map(|text| ((*text).to_owned(), text.len())).collect()
        };
        assert_eq!(redraw(&[], &lines(&["a", "b"]), 80), "a\x1b[K\nb\x1b[K\n\x1b[J");
        assert_eq!(redraw(&[1, 1], &lines(&["c"]), 80), "\r\x1b[2Ac\x1b[K\n\x1b[J");
        assert_eq!(redraw(&[70, 0], &[], 80), "\r\x1b[2A\x1b[J");
        assert_eq!(redraw(&[70, 0], &[], 30), "\r\x1b[4A\x1b[J", "the first line has wrapped");
    }
}
