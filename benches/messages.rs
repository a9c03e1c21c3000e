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

use countersign::load::{Load, Plan, Report};
use countersign::{Dialect, Key, Protocol};
use ours::Ours;
use run::Run;
use spread::Spread;
use yardsticks::{bare_loop, thread_per_connection};

fn main() {
    let run = Run::from_arguments();
    run.row([
        "depth",
        "messages/s",
        "p50 µs",
        "p99 µs",
        "p99.9 µs",
        "to a bare loop",
        "to threads",
    ]);
    let key = Key::new("bench", b"sixteen bytes or more").unwrap().with_dialect(Dialect::Raw);
    let protocol = Protocol::new(Dialect::Raw, key);
    let ours = Ours::start(protocol.clone());
    let (bare, threads) = (bare_loop(&protocol), thread_per_connection(protocol.clone()));
    for (depth, count) in [(1, 200_000), (16, 2_000_000), (64, 4_000_000)] {
        let count = if run.tiny { count / 2_000 } else { count };
        let mut columns = [const { Vec::new() }; 6];
        for _ in 0..run.repeats() {
            let here = load(ours.address, &protocol, depth, count);
            let rate = |address| load(address, &protocol, depth, count).per_second();
            let micros = |quantile| here.reply.at(quantile).as_secs_f64() * 1e6;
            let values = [
                here.per_second(),
                micros(0.5),
                micros(0.99),
                micros(0.999),
                here.per_second() / rate(bare),
                here.per_second() / rate(threads),
            ];
            columns.iter_mut().zip(values).for_each(|(column, value)| column.push(value));
        }
        let digits = [0, 0, 0, 0, 2, 2];
        let mut shown = columns.into_iter().zip(digits);
        let mut next = || shown.next().map(|(values, digits)| Spread::of(values).shown(digits));
        let mut column = || next().unwrap_or_default();
        let columns = [column(), column(), column(), column(), column(), column()];
        let [a, b, c, d, e, f] = &columns;
        run.row([&depth.to_string(), a, b, c, d, e, f]);
    }
}

fn load(address: SocketAddr, protocol: &Protocol, depth: usize, count: u64) -> Report {
    let plan = Plan { depth, count: Some(count), ..Plan::default() };
    let load = Load::new(address, protocol.clone(), plan).unwrap();
    let report = load.run(|_| ControlFlow::Continue(())).unwrap();
    assert_eq!((report.answered, report.failed()), (count, 0));
    report
}
