//! `countersign load`: many clients that measure a server.

mod args;
mod output;
mod parameters;
mod threshold;
mod verdict;

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use countersign_load::{Arrival, Load, LoadError, Plan, Report};
use indicatif::{ProgressBar, ProgressStyle};

use super::exit::{Failure, Kind};
use super::output::{stderr, stdout};
use super::signals::Claimed;
use super::system;
use args::ArrivalKind;
pub(crate) use args::LoadArgs;
use parameters::Parameters;

/// The steps of the progress bar.
const STEPS: u64 = 1000;

impl LoadArgs {
    pub(crate) fn run(self, signals: Claimed) -> Result<(), Failure> {
        let mut protocol = self.protocol.client_protocol()?;
        if let Some(id) = &self.key {
            protocol = protocol.with_key(id);
        }
        protocol.signing_key(system::unix_time())?;
        let plan = self.plan();
        system::raise_descriptors((plan.connections + plan.idle) as u64)?;
        let unusable = |error: LoadError| {
            let kind = match &error {
                LoadError::Plan(_) | LoadError::NoUsableKey(_) => Kind::Usage,
                LoadError::Io(error) if error.kind() == io::ErrorKind::InvalidInput => Kind::Usage,
                _ => Kind::Unavailable,
            };
            let text = error.to_string();
            let text = text.split(" (os error ").next().unwrap_or_default();
            Failure::new(kind, format!("{}: {text}", self.address))
        };
        let mut parameters = Parameters::of(&self, &plan);
        let load = Load::new(&self.address, protocol, plan).map_err(unusable)?;
        // A run may take hours: that its report can't be written has to show before.
        let file = self.output_file.as_deref().map(create).transpose()?;
        let (report, interrupted) = self.watched(load, signals)?;
        parameters.learn(&report, interrupted);
        let verdict = verdict::verdict(&self.address, &report, &self.fail_if);
        let written = self.write(file, &self.output.write(&report, &parameters));
        match (verdict, written) {
            (Err(verdict), Err(written)) => Err(verdict.and(&written.to_string())),
            (verdict, written) => verdict.and(written),
        }
    }

    fn plan(&self) -> Plan {
        let many = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        Plan {
            connections: many(self.connections),
            idle: many(self.idle),
            reconnect: self.reconnect || self.protocol.once,
            depth: many(self.pipeline),
            size: self.size,
            count: self.count,
            duration: self.duration,
            warmup: self.warmup,
            arrival: match (self.rate.map(|rate| rate as f64), self.arrival) {
                (None, _) => Arrival::Closed,
                (Some(rate), ArrivalKind::Constant) => Arrival::Constant(rate),
                (Some(rate), ArrivalKind::Poisson) => Arrival::Poisson(rate),
                (Some(rate), ArrivalKind::Burst) => Arrival::Burst(rate, self.burst),
            },
            connect_rate: self.connect_rate.map(|rate| rate as f64),
            connect_timeout: self.connect_timeout,
            reply_timeout: self.reply_timeout,
            disconnect: self.close,
            sources: self.source.clone(),
        }
    }

    /// Runs it, with a bar on a terminal. SIGINT and SIGTERM end it early, and the report is
    /// written.
    fn watched(&self, load: Load, signals: Claimed) -> io::Result<(Report, bool)> {
        let interrupted = signals.into_stop_flag()?;
        let (bar, length) = (bar(), self.plan().lasts().unwrap_or(Duration::MAX));
        let report = load.run(|report| {
            let settled = report.answered + report.failed();
            let of_count = share(settled.into(), self.count.unwrap_or(u64::MAX).into());
            let of_time = share(report.elapsed.as_millis(), length.as_millis());
            // Whichever comes first ends the load.
            bar.set_position(of_count.max(of_time));
            bar.set_message(format!("{:.0}/s, {} failed", report.per_second(), report.failed()));
            match interrupted.load(Ordering::Relaxed) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        bar.finish_and_clear();
        // From now on a signal finds nothing left to be ended early, and ends the program.
        Ok((report?, interrupted.swap(true, Ordering::Relaxed)))
    }

    /// Writes the report. If the file doesn't take it, it isn't lost.
    fn write(&self, file: Option<File>, report: &str) -> Result<(), Failure> {
        let (Some(mut file), Some(path)) = (file, &self.output_file) else {
            stdout().write(report);
            return Ok(());
        };
        let truncated = match file.metadata()?.is_file() {
            true => file.set_len(0),
            false => Ok(()),
        };
        truncated.and_then(|()| file.write_all(report.as_bytes())).map_err(|error| {
            stdout().write(report);
            let failure = Failure::unwritten(path.display(), &error);
            failure.and("the report is on stdout instead")
        })
    }
}

/// Opens the file of the report. What is in it stays until there is a report.
fn create(path: &Path) -> Result<File, Failure> {
    let opened = OpenOptions::new().write(true).create(true).truncate(false).open(path);
    opened.map_err(|error| Failure::unwritten(path.display(), &error))
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
