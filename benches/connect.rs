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

use countersign::load::{HangUp, Load, Plan};
use countersign::{Dialect, Key, Protocol};
use ours::Ours;
use run::Run;
use spread::Spread;
use yardsticks::{bare_loop, thread_per_connection};

fn main() {
    let run = Run::from_arguments();
    let count = if run.tiny { 64 } else { 16_384 };
    run.row(["dialect, in flight", "connections/s", "to a bare loop", "to threads"]);
    for dialect in Dialect::ALL {
        let key = Key::new("bench", b"sixteen bytes or more").unwrap().with_dialect(dialect);
        let protocol = Protocol::new(dialect, key);
        let ours = Ours::start(protocol.clone());
        let (bare, threads) = (bare_loop(&protocol), thread_per_connection(protocol.clone()));
        for in_flight in [1, 64, 1024] {
            let (mut rates, mut to_bare, mut to_threads) = (Vec::new(), Vec::new(), Vec::new());
            for _ in 0..run.repeats() {
                let rate = |address| rate(address, &protocol, in_flight, count);
                let here = rate(ours.address);
                rates.push(here);
                to_bare.push(here / rate(bare));
                to_threads.push(here / rate(threads));
            }
            let shown = [(rates, 0), (to_bare, 2), (to_threads, 2)]
                .map(|(values, digits)| Spread::of(values).shown(digits));
            let what = format!("{dialect}, {in_flight}");
            run.row([&what, &shown[0], &shown[1], &shown[2]]);
        }
    }
}

/// Connections a second that a server answers.
fn rate(address: SocketAddr, protocol: &Protocol, in_flight: usize, count: u64) -> f64 {
    let plan = Plan {
        connections: in_flight,
        reconnect: true,
        count: Some(count),
        // With a good-bye, the clients' ports would soon all be waiting for stray segments.
        hang_up: HangUp::Rst,
        ..Plan::default()
    };
    let load = Load::new(address, protocol.clone(), plan).unwrap();
    let report = load.run(|_| ControlFlow::Continue(())).unwrap();
    assert_eq!((report.answered, report.failed()), (count, 0));
    report.per_second()
}
