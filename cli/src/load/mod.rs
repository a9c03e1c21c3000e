//! `countersign load`: many clients that measure a server.

mod args;
mod clients;
mod parameters;
mod progress;
mod stages;
mod threads;
mod threshold;
mod verdict;

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use countersign_load::{Arrival, Load, LoadError, Plan, Report};
use countersign_report::{Parameters, SavedReport};

use super::escape;
use super::exit::{Failure, Kind};
use super::output::stdout;
use super::signals::Claimed;
use super::system;
pub(crate) use args::LoadArgs;
use args::{ArrivalKind, Output};
pub(crate) use clients::versions;
use progress::Progress;

impl LoadArgs {
    pub(crate) fn run(self, signals: Claimed) -> Result<(), Failure> {
        self.stages.check([
            ("-q", self.rate.is_some(), "each stage has its own rate"),
            ("-z", self.duration.is_some(), "the load ends with the last stage"),
            ("-n", self.count.is_some(), "the load ends with the last stage"),
        ])?;
        let config = self.protocol.client_config(self.key.as_deref(), 0)?;
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
        let mut parameters = parameters::parameters(&self, &plan);
        let threads = usize::try_from(self.threads).unwrap_or(usize::MAX);
        let loads = Load::split(&self.address, config, plan, threads).map_err(unusable)?;
        // A run may take hours: that its report can't be written has to show before.
        let file = self.output_file.as_deref().map(create).transpose()?;
        let (report, interrupted) = self.watched(loads, signals)?;
        parameters::learn(&mut parameters, &report, interrupted);
        let verdict = verdict::verdict(&self.address, &report, &self.fail_if);
        let written = self.write(file, &self.output.of(&report, parameters));
        match (verdict, written) {
            (Err(verdict), Err(written)) => Err(verdict.and(&written.to_string())),
            (verdict, written) => verdict.and(written),
        }
    }

    fn plan(&self) -> Plan {
        let many = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let plan = Plan {
            connections: many(self.connections),
            idle: many(self.idle),
            reconnect: self.reconnect || self.protocol.once,
            depth: many(self.pipeline),
            size: self.size,
            count: self.count,
            duration: self.duration,
            warmup: self.warmup,
            arrival: self.arrival(),
            stages: self.stages.plan(),
            connect_rate: self.connect_rate.map(|rate| rate as f64),
            connect_timeout: self.connect_timeout,
            reply_timeout: self.reply_timeout,
            disconnect: self.close,
            sources: self.source.clone(),
            ..Plan::default()
        };
        self.clients.apply(plan)
    }

    fn arrival(&self) -> Arrival {
        // Stages have rates of their own.
        let of_stages = (!self.stages.stages.is_empty()).then_some(1.0);
        match (self.rate.map(|rate| rate as f64).or(of_stages), self.arrival) {
            (None, _) => Arrival::Closed,
            (Some(rate), ArrivalKind::Constant) => Arrival::Constant(rate),
            (Some(rate), ArrivalKind::Poisson) => Arrival::Poisson(rate),
            (Some(rate), ArrivalKind::Burst) => Arrival::Burst(rate, self.burst),
        }
    }

    /// Runs all loops, with a bar on a terminal. SIGINT and SIGTERM end them early, and the report
    /// is written.
    fn watched(&self, loads: Vec<Load>, signals: Claimed) -> io::Result<(Report, bool)> {
        let interrupted = signals.into_stop_flag()?;
        let length = self.plan().lasts().unwrap_or(Duration::MAX);
        let progress = Progress::new(loads.len(), self.count.unwrap_or(u64::MAX), length);
        let reports = threads::run_all(loads, |thread, report| {
            progress.show(thread, report);
            match interrupted.load(Ordering::Relaxed) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        progress.end();
        // From now on a signal finds nothing left to be ended early, and ends the program.
        Ok((Report::merged(reports?), interrupted.swap(true, Ordering::Relaxed)))
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

impl Output {
    /// The report in this form. What would mislead a terminal or a reader is escaped.
    fn of(self, report: &Report, parameters: Parameters) -> String {
        match self {
            Self::Text => escape::lines(&countersign_report::text(report, &parameters)),
            Self::Json => {
                let document = SavedReport::new(report, parameters);
                format!("{}\n", escape::inside_json(&document.to_json()))
            }
            Self::Csv => escape::lines(&countersign_report::csv(report, &parameters)),
            Self::Quiet => String::new(),
        }
    }
}

/// Opens the file of the report. What is in it stays until there is a report.
fn create(path: &Path) -> Result<File, Failure> {
    let opened = OpenOptions::new().write(true).create(true).truncate(false).open(path);
    opened.map_err(|error| Failure::unwritten(path.display(), &error))
}
