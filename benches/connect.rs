//! Connections a second, and what they cost the server: connect, handshake, one line of 32 bytes
//! and its echo, hang up.
//!
//! `cargo bench --bench connect`, or with `-- --tsv`. The server has one core and the generator
//! another, where there are two. Connections a second depend on both ends, so the ratios are of the
//! processor time that the servers took for a connection: to that of a bare loop and of a thread
//! for each connection, and as the share of the connections that `raw` would have served in that
//! time. They are between servers that had the same clients in the same minute, in turn.
#![expect(clippy::unwrap_used, reason = "a bench may give up")]

#[path = "common/clock.rs"]
mod clock;
#[path = "common/cores.rs"]
mod cores;
#[path = "common/cost.rs"]
mod cost;
#[expect(dead_code, reason = "other benches measure memory, too")]
#[path = "common/process.rs"]
mod process;
#[path = "common/run.rs"]
mod run;
#[path = "common/spread.rs"]
mod spread;
#[path = "common/yardsticks.rs"]
mod yardsticks;

use cores::Cores;
use cost::{Cost, generator_percent, limited};
use countersign::Dialect;
use countersign_load::{Disconnect, Plan};
use process::{Process, Scratch, program};
use run::Run;
use spread::Spread;
use yardsticks::Yardstick;

fn main() {
    Yardstick::stand();
    let run = Run::from_arguments();
    let (scratch, cores) = (Scratch::new(), Cores::split());
    let count = if run.tiny { 64 } else { 16_384 };
    run.row([
        "dialect, at a time",
        "connections/s",
        "µs/connection",
        "server busy, %",
        "load busy, %",
        "time, to bare loop",
        "time, to threads",
        "share of raw",
        "",
    ]);
    let ours = |dialect| {
        let program = cores.server(program().get_program());
        Process::serve_with(&scratch, dialect, program, &["--service", "echo"])
    };
    let raw = ours(Dialect::Raw);
    for dialect in Dialect::ALL.iter().copied() {
        let here = ours(dialect);
        let bare_loop = Yardstick::BareLoop.start(&scratch, dialect, cores);
        let threads = Yardstick::Threads.start(&scratch, dialect, cores).unwrap();
        for at_a_time in [1, 64, 1024] {
            let cost = |process: &Process, dialect| {
                Cost::of(process, &scratch.config(dialect), plan(at_a_time, count))
            };
            let mut columns = [const { Vec::new() }; 7];
            for _ in 0..run.repeats() {
                let here = cost(&here, dialect);
                let to = |process: &Process| here.nanos() / cost(process, dialect).nanos();
                let values = [
                    Some(here.rate()),
                    Some(here.nanos() / 1e3),
                    Some(here.busy.server_percent()),
                    Some(generator_percent(&here.report)),
                    bare_loop.as_ref().map(to),
                    Some(to(&threads)),
                    Some(cost(&raw, Dialect::Raw).nanos() / here.nanos()),
                ];
                columns.iter_mut().zip(values).for_each(|(column, value)| column.extend(value));
            }
            let limited = limited(&Spread::of(columns[3].clone()));
            let mut digits = [0, 1, 0, 0, 2, 2, 2].into_iter();
            let shown = columns.map(|values| Spread::of(values).shown(digits.next().unwrap_or(2)));
            let [a, b, c, d, e, f, g] = &shown;
            run.row([&format!("{dialect}, {at_a_time}"), a, b, c, d, e, f, g, limited]);
        }
    }
}

fn plan(at_a_time: usize, count: u64) -> Plan {
    Plan {
        connections: at_a_time,
        reconnect: true,
        count: Some(count),
        // With an orderly end, the clients' ports would soon all be waiting for stray segments.
        disconnect: Disconnect::Rst,
        ..Plan::default()
    }
}
