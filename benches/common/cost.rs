//! What a load costs a server, and how busy both ends were.

use std::fs;
use std::ops::ControlFlow;
use std::time::Instant;

use countersign::ClientConfig;
use countersign_load::{Load, Plan, Report};

use crate::clock::now;
use crate::process::Process;
use crate::spread::Spread;

/// Above this share of its core, the generator is the limit and not the server.
const BUSY: f64 = 0.9;

/// The processor time that a server takes.
#[derive(Debug)]
pub(crate) struct Meter {
    server: u32,
    start: Instant,
    before: f64,
}

impl Meter {
    pub(crate) fn start(process: &Process) -> Self {
        let server = process.child.id();
        Self { server, start: now(), before: processor_time(server) }
    }

    /// What it has taken since the start.
    pub(crate) fn read(&self) -> Busy {
        let took = (now() - self.start).as_secs_f64();
        Busy { took, server: processor_time(self.server) - self.before }
    }
}

/// How long a load took, and the server's processor time, in seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Busy {
    took: f64,
    server: f64,
}

impl Busy {
    /// Nanoseconds of the server's processor time for each of so many.
    pub(crate) fn nanos_each(self, count: u64) -> f64 {
        self.server * 1e9 / count as f64
    }

    /// The percentage of a core that the server took.
    pub(crate) fn server_percent(self) -> f64 {
        self.server / self.took * 100.0
    }
}

/// The percentage of a core that the generator took, without what it has waited awake.
pub(crate) fn generator_percent(report: &Report) -> f64 {
    report.busy.iter().sum::<f64>() * 100.0
}

/// What a load costs a server.
#[derive(Debug)]
pub(crate) struct Cost {
    pub(crate) report: Report,
    pub(crate) busy: Busy,
}

impl Cost {
    /// Has a server loaded. Every reply must come.
    pub(crate) fn of(process: &Process, config: &ClientConfig, plan: Plan) -> Self {
        let load = Load::new(&process.address, config.clone(), plan).unwrap();
        let meter = Meter::start(process);
        let report = load.run(|_| ControlFlow::Continue(())).unwrap();
        let busy = meter.read();
        assert_eq!((report.answered, report.failed()), (report.due, 0), "{report:?}");
        Self { report, busy }
    }

    /// Answered messages a second.
    pub(crate) fn rate(&self) -> f64 {
        self.report.answered as f64 / self.busy.took
    }

    /// Nanoseconds of the server's processor time for each message.
    pub(crate) fn nanos(&self) -> f64 {
        self.busy.nanos_each(self.report.answered)
    }
}

/// What a table says of a row in whose median round the generator was busy for this percentage.
pub(crate) fn limited(generator: &Spread) -> &'static str {
    let is_limited = generator.median().is_some_and(|percent| percent > BUSY * 100.0);
    if is_limited { "the generator was the limit" } else { "" }
}

/// Seconds of processor time that a process has taken.
///
/// The scheduler counts nanoseconds for each thread that there is; the process also counts the
/// threads that have ended, in ticks of 10 ms.
fn processor_time(id: u32) -> f64 {
    let threads = fs::read_dir(format!("/proc/{id}/task")).unwrap().filter_map(|thread| {
        let text = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    });
    let threads = threads.sum::<f64>() / 1e9;
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    // "1234 (name) S …", and the 14th and 15th field of all.
    let fields = stat.rsplit_once(") ").into_iter().flat_map(|(_, rest)| rest.split(' '));
    let ticks = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>();
    threads.max(ticks / TICKS)
}

/// The ticks of a second, on every architecture that Linux still has.
const TICKS: f64 = 100.0;
