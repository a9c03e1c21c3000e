//! The progress bar of a load.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use countersign_load::Report;
use indicatif::{ProgressBar, ProgressStyle};

use crate::output::stderr;

/// The steps of the progress bar.
const STEPS: u64 = 1000;

/// The progress bar of a load on several threads; hidden where there is no terminal.
pub(super) struct Progress {
    bar: ProgressBar,
    /// What ends the load, whichever comes first.
    count: u64,
    length: Duration,
    /// How far each thread has come.
    threads: Mutex<Vec<Reached>>,
}

/// How far a thread has come.
#[derive(Debug, Clone, Copy, Default)]
struct Reached {
    answered: u64,
    failed: u64,
    elapsed: Duration,
}

impl Progress {
    pub(super) fn new(threads: usize, count: u64, length: Duration) -> Self {
        let threads = Mutex::new(vec![Reached::default(); threads]);
        Self { bar: bar(), count, length, threads }
    }

    /// Shows what a thread has to report, with what the others had.
    pub(super) fn show(&self, thread: usize, report: &Report) {
        let Report { answered, elapsed, .. } = *report;
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reached) = threads.get_mut(thread) {
            *reached = Reached { answered, failed: report.failed(), elapsed };
        }
        let answered: u64 = threads.iter().map(|each| each.answered).sum();
        let failed: u64 = threads.iter().map(|each| each.failed).sum();
        let elapsed = threads.iter().map(|each| each.elapsed).max().unwrap_or_default();
        let of_count = share((answered + failed).into(), self.count.into());
        let of_time = share(elapsed.as_millis(), self.length.as_millis());
        self.bar.set_position(of_count.max(of_time));
        let rate = answered as f64 / elapsed.as_secs_f64().max(f64::MIN_POSITIVE);
        self.bar.set_message(format!("{rate:.0}/s, {failed} failed"));
    }

    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

/// How many steps of the progress bar a part is.
fn share(part: u128, whole: u128) -> u64 {
    let steps = part * u128::from(STEPS) / whole.max(1);
    u64::try_from(steps).unwrap_or(STEPS).min(STEPS)
}

fn bar() -> ProgressBar {
    if !stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{wide_bar} {percent}% {msg}");
    ProgressBar::new(STEPS).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
