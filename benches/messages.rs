//! Messages a second, what they cost the server, and how long they take: 50 clients, lines of 32
//! bytes, echoed.
//!
//! `cargo bench --bench messages`, or with `-- --tsv`. The server has one core and the generator
//! another, where there are two. Messages a second depend on both ends, so the ratios are of the
//! processor time that the servers took for a message: to that of a bare loop and of a thread for
//! each connection, and as the share of the messages that `raw` would have answered in that time.
//! They are between servers that had the same clients in the same minute, in turn.
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
use cost::{Cost, limited};
use countersign::{Dialect, Protocol};
use countersign_load::Plan;
use process::{Process, Scratch, program};
use run::Run;
use spread::Spread;
use yardsticks::Yardstick;

/// Depths, and messages of a run.
const DEPTHS: [(usize, u64); 3] = [(1, 100_000), (16, 1_000_000), (64, 3_000_000)];

/// A server that is measured, and the places of those that it is compared with.
struct Server {
    name: &'static str,
    process: Process,
    protocol: Protocol,
    bare_loop: Option<usize>,
    threads: usize,
}

/// The place of `raw` among the servers.
const RAW: usize = 0;

fn servers(scratch: &Scratch, cores: Cores) -> Vec<Server> {
    let server = |name, dialect, yardstick: Option<Yardstick>, bare_loop, threads| {
        let process = match yardstick {
            Some(yardstick) => yardstick.start(scratch, dialect, cores).unwrap(),
            None => {
                let program = cores.server(program().get_program());
                Process::serve_with(scratch, dialect, program, &["--service", "echo"])
            }
        };
        Server { name, process, protocol: scratch.protocol(dialect), bare_loop, threads }
    };
    let (raw, mutual) = (Dialect::Raw, Dialect::Countersign);
    let (bare_loop, threads) = (Some(Yardstick::BareLoop), Some(Yardstick::Threads));
    vec![
        server("raw", raw, None, Some(1), 2),
        server("raw, bare loop", raw, bare_loop, Some(1), 2),
        server("raw, threads", raw, threads, Some(1), 2),
        server("countersign/1", mutual, None, None, 4),
        server("countersign/1, threads", mutual, threads, None, 4),
    ]
}

fn main() {
    Yardstick::stand();
    let run = Run::from_arguments();
    let (scratch, cores) = (Scratch::new(), Cores::split());
    let servers = servers(&scratch, cores);
    run.row([
        "server, depth",
        "messages/s",
        "ns/message",
        "server busy, %",
        "load busy, %",
        "p50, µs",
        "p99, µs",
        "p99.9, µs",
        "time, to bare loop",
        "time, to threads",
        "share of raw",
        "",
    ]);
    for (depth, count) in DEPTHS {
        let count = if run.tiny { count / 2_000 } else { count };
        let plan = Plan { depth, count: Some(count), ..Plan::default() };
        let mut costs: Vec<Vec<Cost>> = servers.iter().map(|_| Vec::new()).collect();
        for _ in 0..run.repeats() {
            for (server, costs) in servers.iter().zip(&mut costs) {
                costs.push(Cost::of(&server.process, &server.protocol, plan.clone()));
            }
        }
        for (place, server) in servers.iter().enumerate() {
            show(run, server, depth, place, &costs);
        }
    }
}

/// One line of the table.
fn show(run: Run, server: &Server, depth: usize, place: usize, costs: &[Vec<Cost>]) {
    let each = |figure: &dyn Fn(&Cost) -> f64| costs[place].iter().map(figure).collect();
    // Of the same round.
    let to = |other: usize| {
        let pairs = costs[place].iter().zip(&costs[other]);
        pairs.map(|(here, there)| here.nanos() / there.nanos()).collect::<Vec<f64>>()
    };
    let micros =
        |quantile| each(&move |cost: &Cost| cost.report.reply.at(quantile).as_secs_f64() * 1e6);
    let share_of_raw = to(RAW).into_iter().map(f64::recip).collect();
    let generator: Vec<f64> = each(&|cost| cost.busy.generator_percent());
    let limited = limited(&generator);
    let shown = [
        (each(&Cost::rate), 0),
        (each(&Cost::nanos), 0),
        (each(&|cost| cost.busy.server_percent()), 0),
        (generator, 0),
        (micros(0.5), 0),
        (micros(0.99), 0),
        (micros(0.999), 0),
        (server.bare_loop.map(to).unwrap_or_default(), 2),
        (to(server.threads), 2),
        (share_of_raw, 2),
    ];
    let [a, b, c, d, e, f, g, h, i, j] =
        &shown.map(|(values, digits)| Spread::of(values).shown(digits));
    run.row([&format!("{}, {depth}", server.name), a, b, c, d, e, f, g, h, i, j, limited]);
}
