//! What it costs to hold connections that say nothing: resident bytes for each, and what the server
//! took to accept it.
//!
//! `cargo bench --bench idle`, or with `-- --tsv`. Beside the program stand a bare loop on mio that
//! keeps a socket and a number, and a thread for each connection; the latter with few, since each
//! thread is one of the system's. The server has one core and the generator another, where there
//! are two.
#![expect(clippy::unwrap_used, reason = "a bench may give up")]

#[path = "common/clock.rs"]
mod clock;
#[path = "common/cores.rs"]
mod cores;
#[expect(dead_code, reason = "other benches have messages answered, too")]
#[path = "common/cost.rs"]
mod cost;
#[expect(dead_code, reason = "other benches start servers in other ways, too")]
#[path = "common/process.rs"]
mod process;
#[path = "common/run.rs"]
mod run;
#[path = "common/spread.rs"]
mod spread;
#[path = "common/yardsticks.rs"]
mod yardsticks;

use cores::Cores;
use cost::{Meter, generator_percent, limited};
use countersign::{ClientConfig, Dialect};
use process::{Process, Scratch, program};
use run::Run;
use spread::Spread;
use yardsticks::Yardstick;

/// More threads than this may be more than the system gives.
const THREADS_MAX: usize = 1_000;

const DIALECT: Dialect = Dialect::Raw;

fn main() {
    rlimit::increase_nofile_limit(20_000).unwrap();
    Yardstick::stand();
    let run = Run::from_arguments();
    let (scratch, cores) = (Scratch::new(), Cores::split());
    run.row(["server, connections", "bytes each", "µs each", "server busy, %", "load busy, %", ""]);
    let counts: &[usize] = if run.tiny { &[100] } else { &[1_000, 5_000, 15_000] };
    for &count in counts {
        let show = |name: &str, start: &dyn Fn() -> Process| {
            let mut columns = [const { Vec::new() }; 4];
            for _ in 0..run.repeats() {
                let values = held(&start(), &scratch.config(DIALECT), count);
                columns.iter_mut().zip(values).for_each(|(column, value)| column.push(value));
            }
            let limited = limited(&Spread::of(columns[3].clone()));
            let mut digits = [0, 1, 0, 0].into_iter();
            let shown = columns.map(|values| Spread::of(values).shown(digits.next().unwrap_or(0)));
            let [a, b, c, d] = &shown;
            run.row([&format!("{name}, {count}"), a, b, c, d, limited]);
        };
        let yardstick = |which: Yardstick| which.start(&scratch, DIALECT, cores).unwrap();
        show("countersign", &|| {
            let program = cores.server(program().get_program());
            Process::serve(&scratch, DIALECT, program)
        });
        show("bare loop", &|| yardstick(Yardstick::BareLoop));
        if count <= THREADS_MAX {
            show("threads", &|| yardstick(Yardstick::Threads));
        }
    }
}

/// Bytes for each of so many connections, the server's microseconds for each, and the percentages
/// of the time in which the server and the generator were busy while they were begun.
fn held(process: &Process, config: &ClientConfig, count: usize) -> [f64; 4] {
    process.touch(config);
    let (before, meter) = (process.resident(), Meter::start(process));
    let mut read = None;
    let report = process.hold(config, count, || read = Some((meter.read(), process.resident())));
    let (busy, resident) = read.unwrap();
    let bytes = resident.saturating_sub(before) as f64 / count as f64;
    let micros = busy.nanos_each(count as u64) / 1e3;
    [bytes, micros, busy.server_percent(), generator_percent(&report)]
}
