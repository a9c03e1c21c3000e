//! Messages a second, and how long they take: 50 clients, lines of 32 bytes, echoed.
//!
//! `cargo bench --bench messages`, or with `-- --tsv`. Clients and server share the machine, one
//! thread each. The ratios are between servers that had the same clients in the same minute, in
//! turn.
#![expect(clippy::unwrap_used, reason = "a bench may give up")]

#[path = "common/ours.rs"]
mod ours;
#[path = "common/run.rs"]
mod run;
#[path = "common/spread.rs"]
mod spread;
#[path = "common/yardsticks.rs"]
mod yardsticks;

use std::net::SocketAddr;
use std::ops::ControlFlow;

use countersign::Dialect;
use countersign_load::{Load, Plan, Report};
use ours::{Ours, protocol};
use run::Run;
use spread::Spread;
use yardsticks::{bare_loop, thread_per_connection};

fn main() {
    let run = Run::from_arguments();
    run.row([
        "dialect, depth",
        "messages/s",
        "p50 µs",
        "p99 µs",
        "p99.9 µs",
        "to a bare loop",
        "to threads",
        "to raw",
    ]);
    let raw = Ours::start(Dialect::Raw);
    for dialect in [Dialect::Raw, Dialect::Countersign] {
        let ours = Ours::start(dialect);
        let (bare, threads) = (bare_loop(dialect), thread_per_connection(protocol(dialect)));
        for (depth, count) in [(1, 200_000), (16, 2_000_000), (64, 4_000_000)] {
            let count = if run.tiny { count / 2_000 } else { count };
            let mut columns = [const { Vec::new() }; 7];
            for _ in 0..run.repeats() {
                let here = load(ours.address, dialect, depth, count);
                let rate = |address| load(address, dialect, depth, count).per_second();
                let to = |rate: f64| here.per_second() / rate;
                let micros = |quantile| Some(here.reply.at(quantile).as_secs_f64() * 1e6);
                let values = [
                    Some(here.per_second()),
                    micros(0.5),
                    micros(0.99),
                    micros(0.999),
                    bare.map(|bare| to(rate(bare))),
                    Some(to(rate(threads))),
                    Some(to(load(raw.address, Dialect::Raw, depth, count).per_second())),
                ];
                columns.iter_mut().zip(values).for_each(|(column, value)| column.extend(value));
            }
            let mut digits = [0, 0, 0, 0, 2, 2, 2].into_iter();
            let shown = columns.map(|values| Spread::of(values).shown(digits.next().unwrap_or(2)));
            let [a, b, c, d, e, f, g] = &shown;
            run.row([&format!("{dialect}, {depth}"), a, b, c, d, e, f, g]);
        }
    }
}

fn load(address: SocketAddr, dialect: Dialect, depth: usize, count: u64) -> Report {
    let plan = Plan { depth, count: Some(count), ..Plan::default() };
    let load = Load::new(address, protocol(dialect), plan).unwrap();
    let report = load.run(|_| ControlFlow::Continue(())).unwrap();
    assert_eq!((report.answered, report.failed()), (count, 0));
    report
}
