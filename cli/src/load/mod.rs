//! `countersign load`: many clients that measure a server.

mod args;
mod clients;
mod find;
mod input;
mod messages;
mod parameters;
mod probes;
mod progress;
mod results;
mod saved;
mod server_metrics;
mod stages;
mod threads;
mod threshold;
mod verdict;

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use countersign::ClientConfig;
use countersign_load::{Arrival, Load, LoadError, Plan, Report};
use countersign_report::SavedReport;

use super::exit::{Failure, Kind};
use super::signals::Claimed;
use super::system;
use args::ArrivalKind;
pub(crate) use args::LoadArgs;
use progress::Progress;
use results::{Output, ResultFile};

impl LoadArgs {
    pub(crate) fn run(self, signals: Claimed) -> Result<(), Failure> {
        if let Some(verb) = self.verb {
            return verb.run();
        }
        self.stages.check([
            ("-q", self.rate.is_some(), "each stage has its own rate"),
            ("-z", self.duration.is_some(), "the load ends with the last stage"),
            ("-n", self.count.is_some(), "the load ends with the last stage"),
        ])?;
        let config = self.protocol.client_config(self.key.as_deref(), 0)?;
        let plan = self.messages.apply(self.plan(), config.framing(), config.message_max())?;
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
        let config: Arc<ClientConfig> = config.into();
        let split =
            |plan| Load::split(&self.address, Arc::clone(&config), plan, threads).map_err(unusable);
        let loads = split(plan.clone())?;
        let file = self.output_file.as_deref().map(ResultFile::create).transpose()?;
        let results = self.results.create()?;
        let stop = signals.into_stop_flag()?;
        let run = || match self.search() {
            None => Ok((self.watched(loads, self.plan().lasts(), &stop, |_| false)?, None)),
            Some(search) => {
                drop(loads);
                let (report, ladder) = self.find(search, &plan, split, &stop)?;
                Ok((report, Some(ladder)))
            }
        };
        let ((mut report, ladder), server) = self.server.watch(run)?;
        let [start, elapsed] = [report.start, report.elapsed].map(|time| time.as_secs_f64());
        report.server_busy = server.cores(start, start + elapsed);
        // From now on a signal finds nothing left to be ended early, and ends the program.
        let interrupted = stop.swap(true, Ordering::Relaxed);
        parameters::learn(&mut parameters, &report, interrupted);
        let verdict =
            verdict::verdict(&self.address, &report, ladder.as_ref(), &self.fail_if, interrupted);
        if self.output == Output::Quiet && self.output_file.is_none() && results.is_empty() {
            return verdict;
        }
        let mut saved = SavedReport::new(&report, parameters);
        saved.ladder = ladder;
        saved.set_stages(&plan.stages);
        saved.set_server_load(&server);
        let written = results::write_report(file, &self.output.of(&report, &saved));
        [written, results.write(&report, &saved)].into_iter().fold(verdict, |first, second| match (
            first, second,
        ) {
            (Err(first), Err(second)) => Err(first.and(&second.to_string())),
            (first, second) => first.and(second),
        })
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
            interval: self.results.interval(self.output),
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

    /// Runs all loops for about this time, with a view of them on a terminal, until a flag tells
    /// them to stop, or one of them is hopeless.
    fn watched(
        &self,
        loads: Vec<Load>,
        length: Option<Duration>,
        stop: &AtomicBool,
        is_hopeless: impl Fn(&Report) -> bool + Sync,
    ) -> io::Result<Report> {
        let gave_up = AtomicBool::new(false);
        let progress = Progress::new(&self.progress, loads.len(), self.count, length);
        let reports = threads::run_all(loads, |thread, report| {
            progress.show(thread, report);
            gave_up.fetch_or(is_hopeless(report), Ordering::Relaxed);
            match stop.load(Ordering::Relaxed) || gave_up.load(Ordering::Relaxed) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        progress.end();
        Ok(Report::merged(reports?))
    }
}
