//! `load --find`: runs the probes of the search for the highest rate.

use std::sync::atomic::{AtomicBool, Ordering};

use countersign_load::{Load, Plan, Report, Search, SearchConfig};
use countersign_report::{Ladder, ProbeRecord};

use super::args::LoadArgs;
use super::results::Output;
use super::threshold::Threshold;
use crate::escape;
use crate::exit::Failure;
use crate::output::stderr;

impl LoadArgs {
    /// The search that was asked for.
    pub(super) fn search(&self) -> Option<Search> {
        let default = SearchConfig::default();
        let config = SearchConfig {
            first: self.rate.map_or(default.first, |rate| rate as f64),
            descends: self.rate.is_none(),
            precision: self.find.find_precision,
            warmup: self.warmup.max(default.warmup),
            probe: self.find.probe_time,
            hold: self.duration.unwrap_or(default.hold),
        };
        let conditions: Vec<_> = self.find.find.iter().map(Threshold::condition).collect();
        (!conditions.is_empty()).then(|| Search::new(conditions, config))
    }

    /// Runs the probes of a search until it is over, or until it is to stop. Returns the report on
    /// the last load that has passed, or else on the last one.
    pub(super) fn find(
        &self,
        mut search: Search,
        plan: &Plan,
        split: impl Fn(Plan) -> Result<Vec<Load>, Failure>,
        stop: &AtomicBool,
    ) -> Result<(Report, Ladder), Failure> {
        let conditions = self.find.conditions();
        let (mut kept, mut has_passed) = (Report::default(), false);
        self.show(ProbeRecord::HEAD);
        while let Some(probe) = search.next() {
            let loads = split(probe.plan(plan.clone()))?;
            let threads = loads.len();
            let length = Some(probe.lasts);
            let is_hopeless = |report: &Report| search.is_hopeless(report, threads);
            let report = self.watched(loads, length, stop, is_hopeless)?;
            if stop.load(Ordering::Relaxed) {
                kept = if has_passed { kept } else { report };
                break;
            }
            search.record(&report);
            let probes = Ladder::new(&search, &conditions).probes;
            probes.last().iter().for_each(|probe| self.show(&probe.line()));
            let passed = probes.last().is_some_and(|probe| probe.passed);
            if passed || !has_passed {
                (kept, has_passed) = (report, passed);
            }
            if kept.replies == 0 {
                // The server can't be reached, or it refuses everybody.
                break;
            }
        }
        Ok((kept, Ladder::new(&search, &conditions)))
    }

    /// Shows a line of the search while it goes on, unless nobody watches and the report on stdout
    /// will have it.
    fn show(&self, line: &str) {
        let is_watched = match self.output {
            Output::Text => stderr().is_terminal() || self.progress.is_plain(),
            Output::Json | Output::Csv => true,
            Output::Quiet => false,
        };
        if is_watched {
            stderr().write(escape::lines(&format!("{line}\n")));
        }
    }
}
