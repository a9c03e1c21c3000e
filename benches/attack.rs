//! What honest clients notice while 15,000 hostile connections are held, and what those cost.
//!
//! `cargo bench -p countersign-cli --bench attack`, or with `-- --tsv`. 4,800 hostile connections a
//! second come from 512 addresses. Of twelve, four are silent and four drip bytes, for as long as
//! the server permits; one each holds the key and reads no reply, proves itself wrongly, ends its
//! stream, and resets. The server has one core, and honest and hostile clients share another one.
//! It fails if anything of an honest client fails before, during or after the attack, or if the
//! server takes more memory than follows from its limits. As root, `chrt -f 10` before the command
//! keeps the machine's other programs away from both cores.
#![expect(clippy::unwrap_used, reason = "a bench may give up")]

#[path = "common/clock.rs"]
mod clock;
#[path = "common/cores.rs"]
mod cores;
#[expect(dead_code, reason = "other benches measure what a message costs, too")]
#[path = "common/cost.rs"]
mod cost;
#[path = "common/hostile.rs"]
mod hostile;
#[expect(dead_code, reason = "other benches measure idle connections, too")]
#[path = "common/process.rs"]
mod process;
#[path = "common/run.rs"]
mod run;
#[path = "common/spread.rs"]
mod spread;

use std::io::{Read as _, Write as _};
use std::ops::ControlFlow;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use cores::Cores;
use cost::Meter;
use countersign::{ClientConfig, Dialect};
use countersign_load::{Load, Report};
use hostile::{Attack, Kind, Pattern};
use process::{Process, Scratch, program};
use run::Run;
use serde_json::Value;
use spread::Spread;

/// The silent and the dripping alone are 16,000, held for as long as the server's timeout of the
/// handshake.
const PATTERN: Pattern = Pattern {
    kinds: &[
        Kind::Silent,
        Kind::Drips,
        Kind::NeverReads,
        Kind::Silent,
        Kind::Drips,
        Kind::ProvesWrongly,
        Kind::Silent,
        Kind::Drips,
        Kind::HalfCloses,
        Kind::Silent,
        Kind::Drips,
        Kind::Resets,
    ],
    rate: 4_800,
    held: Duration::from_secs(5),
};

/// Few clients that don't read reach this limit of the bytes that are buffered.
const BUFFERED_MAX: &str = "8m";

/// How often the server is asked for its state.
const SAMPLE: Duration = Duration::from_millis(250);

fn main() -> ExitCode {
    let run = Run::from_arguments();
    rlimit::increase_nofile_limit(20_000).unwrap();
    let (scratch, cores) = (Scratch::new(), Cores::split());
    run.row([
        "dialect",
        "p99 before, ms",
        "p99 during, ms",
        "p99 after, ms",
        "during to before",
        "failures",
        "held at least",
        "µs of server each",
        "memory taken, MB",
        "of at most, MB",
    ]);
    let mut exit = ExitCode::SUCCESS;
    let dialects = [Dialect::Countersign, Dialect::Raw];
    for dialect in dialects.into_iter().take(if run.tiny { 1 } else { 2 }) {
        let mut columns = [const { Vec::new() }; 9];
        for _ in 0..run.repeats() {
            let values = attacked(&serve(&scratch, cores, dialect), &scratch, dialect, run.tiny);
            let [_, _, _, _, failures, _, _, taken, limit] = values;
            if failures > 0.0 || taken > limit {
                exit = ExitCode::FAILURE;
            }
            columns.iter_mut().zip(values).for_each(|(column, value)| column.push(value));
        }
        let mut digits = [2, 2, 2, 2, 0, 0, 1, 1, 1].into_iter();
        let shown = columns.map(|values| Spread::of(values).shown(digits.next().unwrap_or(0)));
        let [a, b, c, d, e, f, g, h, i] = &shown;
        run.row([dialect.name(), a, b, c, d, e, f, g, h, i]);
    }
    exit
}

/// The program with room for all of them and no other limits than its own.
fn serve(scratch: &Scratch, cores: Cores, dialect: Dialect) -> Process {
    let mut command = cores.server(program().get_program());
    command.args(["serve", "--bind", "127.0.0.1:0", "--max-connections", "18000"]);
    command.args(["--max-unauthenticated", "17000", "--buffered-max", BUFFERED_MAX]);
    command.args(["--dialect", dialect.name(), "--keys"]).arg(scratch.keys(dialect));
    let mut admin = std::ffi::OsString::from("unix:");
    admin.push(admin_socket(scratch));
    command.arg("--admin").arg(admin);
    Process::start(command)
}

fn admin_socket(scratch: &Scratch) -> PathBuf {
    scratch.file("admin")
}

/// One row's figures.
fn attacked(process: &Process, scratch: &Scratch, dialect: Dialect, tiny: bool) -> [f64; 9] {
    let (config, socket) = (scratch.config(dialect), admin_socket(scratch));
    let start = State::read(&socket);
    let quiet = Meter::start(process);
    let before = honest(process, &config, tiny);
    let quiet = quiet.read();

    let rate = if tiny { PATTERN.rate / 10 } else { PATTERN.rate };
    let pattern = Pattern { rate, ..PATTERN };
    let attack = Attack::start(process.address.parse().unwrap(), &config, pattern);
    fill(&socket);
    let (watch, meter, made) = (Watch::start(socket), Meter::start(process), attack.made());
    let during = honest(process, &config, tiny);
    let (busy, made, states) = (meter.read(), attack.made() - made, watch.stop());
    attack.stop();
    let after = honest(process, &config, tiny);

    let [a, b, c] = [&before, &during, &after].map(|report| {
        report.reply_within(0.99).map_or(f64::INFINITY, |p99| p99.as_secs_f64() * 1e3)
    });
    let failures = [&before, &during, &after].map(failures).iter().sum::<u64>();
    let held = states.iter().map(|state| state.connections).min().unwrap_or(0);
    let most = states.iter().map(|state| state.resident).max().unwrap_or(0);
    let cost = (busy.nanos_each(1) - quiet.nanos_each(1)) / 1e3 / f64::from(made);
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    let taken = megabytes(most.saturating_sub(start.resident));
    [a, b, c, b / a, failures as f64, held as f64, cost, taken, megabytes(start.limit)]
}

/// What honest clients notice, who may fail.
fn honest(process: &Process, config: &ClientConfig, tiny: bool) -> Report {
    let plan = hostile::honest(Duration::from_secs(if tiny { 1 } else { 10 }));
    let load = Load::new(&process.address, config.clone(), plan).unwrap();
    load.run(|_| ControlFlow::Continue(())).unwrap()
}

/// Everything of honest clients that failed.
fn failures(report: &Report) -> u64 {
    report.failed() + report.connections_failed() + report.lost_without_message
}

/// What the server's page says.
struct State {
    connections: u64,
    resident: u64,
    /// The memory that follows from the limits.
    limit: u64,
}

impl State {
    fn read(socket: &PathBuf) -> Self {
        let mut stream = UnixStream::connect(socket).unwrap();
        stream.write_all(b"GET /status HTTP/1.0\r\n\r\n").unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        let (_, json) = page.split_once("\r\n\r\n").unwrap();
        let page: Value = serde_json::from_str(json).unwrap();
        let connections = &page["listeners"][0]["connections"];
        let states = ["delayed", "handshake", "open", "closing"];
        Self {
            connections: states.iter().filter_map(|state| connections[state].as_u64()).sum(),
            resident: page["process"]["resident_bytes"].as_u64().unwrap(),
            limit: page["memory"]["limit_bytes"].as_u64().unwrap(),
        }
    }
}

/// Waits until the server no longer holds more connections from second to second.
fn fill(socket: &PathBuf) {
    let mut last = 0;
    loop {
        thread::park_timeout(Duration::from_secs(1));
        let connections = State::read(socket).connections;
        if connections <= last + last / 50 {
            return;
        }
        last = connections;
    }
}

/// A thread that asks the server for its state.
struct Watch {
    stop: std::sync::mpsc::Sender<()>,
    thread: thread::JoinHandle<Vec<State>>,
}

impl Watch {
    fn start(socket: PathBuf) -> Self {
        let (stop, stopped) = channel();
        let thread = thread::spawn(move || {
            let mut states = vec![State::read(&socket)];
            while stopped.recv_timeout(SAMPLE) == Err(RecvTimeoutError::Timeout) {
                states.push(State::read(&socket));
            }
            states
        });
        Self { stop, thread }
    }

    fn stop(self) -> Vec<State> {
        drop(self.stop);
        self.thread.join().unwrap()
    }
}
