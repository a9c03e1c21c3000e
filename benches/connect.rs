//! Connections a second: connect, handshake, one line of 32 bytes and its echo, hang up.
//!
//! `cargo bench --bench connect`, or with `-- --tsv`. Clients and server share the machine, one
//! thread each, so the absolute figures say little. The ratios are between servers that had the
//! same clients in the same minute, in turn.
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
use countersign_load::{Disconnect, Load, Plan};
use ours::{Ours, protocol};
use run::Run;
use spread::Spread;
use yardsticks::{bare_loop, thread_per_connection};

fn main() {
    let run = Run::from_arguments();
    let count = if run.tiny { 64 } else { 16_384 };
    run.row(["dialect, in flight", "connections/s", "to a bare loop", "to threads", "to raw"]);
    let raw = Ours::start(Dialect::Raw);
    for dialect in Dialect::ALL.iter().copied() {
        let ours = Ours::start(dialect);
        let (bare, threads) = (bare_loop(dialect), thread_per_connection(protocol(dialect)));
        for in_flight in [1, 64, 1024] {
            let mut columns = [const { Vec::new() }; 4];
            for _ in 0..run.repeats() {
                let rate = |address| rate(address, dialect, in_flight, count);
                let here = rate(ours.address);
                let to_raw = here / self::rate(raw.address, Dialect::Raw, in_flight, count);
                let ratios = [bare.map(|bare| here / rate(bare)), Some(here / rate(threads))];
                let values = [Some(here), ratios[0], ratios[1], Some(to_raw)];
                columns.iter_mut().zip(values).for_each(|(column, value)| column.extend(value));
            }
            let mut digits = [0, 2, 2, 2].into_iter();
            let shown = columns.map(|values| Spread::of(values).shown(digits.next().unwrap_or(2)));
            let [a, b, c, d] = &shown;
            run.row([&format!("{dialect}, {in_flight}"), a, b, c, d]);
        }
    }
}

/// Connections a second that a server answers.
fn rate(address: SocketAddr, dialect: Dialect, in_flight: usize, count: u64) -> f64 {
    let plan = Plan {
        connections: in_flight,
        reconnect: true,
        count: Some(count),
        // With a good-bye, the clients' ports would soon all be waiting for stray segments.
        disconnect: Disconnect::Rst,
        ..Plan::default()
    };
    let load = Load::new(address, protocol(dialect), plan).unwrap();
    let report = load.run(|_| ControlFlow::Continue(())).unwrap();
    assert_eq!((report.answered, report.failed()), (count, 0));
    report.per_second()
}
