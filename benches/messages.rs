//! Messages a second, what they cost the server, and how long they take: 50 clients, lines of 32
//! bytes, echoed.
//!
//! `cargo bench --bench messages`, or with `-- --tsv`. The server has one core and the generator
//! another, where there are two. First the clients send as fast as they are answered. How many
//! messages a second that is, and the latencies, depend on both ends. Then all clients send as
//! many at once as they may have in flight, again and again, three quarters as many a second. The
//! rest of the table is about that: how busy both ends were, and the processor time that the
//! server took for a message, also in relation to a bare loop and to a thread for each connection,
//! and as the share of the messages that `raw` would have answered in that time. All servers have
//! the same clients in the same minute, in turn.
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
use countersign::{ClientConfig, Dialect, Protection};
use countersign_load::{Arrival, Plan};
use process::{Process, Scratch, program};
use run::Run;
use spread::Spread;
use yardsticks::Yardstick;

/// Depths, and messages of a run.
const DEPTHS: [(usize, u64); 3] = [(1, 50_000), (16, 800_000), (64, 3_200_000)];

/// A server that is measured, and the places of those that it is compared with.
struct Server {
    name: &'static str,
    process: Process,
    config: ClientConfig,
    bare_loop: Option<usize>,
    threads: usize,
}

/// What the second load is of the first, which fills a core.
const PART: f64 = 0.75;

/// One server in one round.
struct Measured {
    /// As fast as it answers.
    most: Cost,
    /// With idle time at both ends.
    paced: Cost,
}

impl Measured {
    fn of(server: &Server, depth: usize, count: u64) -> Self {
        let cost = |plan| Cost::of(&server.process, &server.config, plan);
        let plan = Plan { depth, count: Some(count), ..Plan::default() };
        let most = cost(plan.clone());
        let at_once = u32::try_from(plan.connections * depth).unwrap();
        let arrival = Arrival::Burst(PART * most.rate(), at_once);
        Self { most, paced: cost(Plan { arrival, ..plan }) }
    }
}

/// The place of `raw` among the servers.
const RAW: usize = 0;

/// A server for each line of the table. Their places are those that they are compared with.
fn servers(scratch: &Scratch, cores: Cores) -> Vec<Server> {
    let (raw, mutual) = (Dialect::Raw, Dialect::Countersign);
    let ours = |name, dialect, protection: Protection, bare_loop, threads| {
        let program = cores.server(program().get_program());
        let options = ["--service", "echo", "--records", protection.name()];
        // Other dialects have no records.
        let options = if dialect == mutual { &options[..] } else { &options[..2] };
        let process = Process::serve_with(scratch, dialect, program, options);
        let options = scratch.config(dialect).to_builder();
        let options = if dialect == mutual { options.with_records(protection) } else { options };
        let config = options.build().unwrap();
        Server { name, process, config, bare_loop, threads }
    };
    let yardstick = |name, yardstick: Yardstick, dialect, bare_loop, threads| {
        let process = yardstick.start(scratch, dialect, cores).unwrap();
        Server { name, process, config: scratch.config(dialect), bare_loop, threads }
    };
    vec![
        ours("raw", raw, Protection::Required, Some(1), 2),
        yardstick("raw, bare loop", Yardstick::BareLoop, raw, Some(1), 2),
        yardstick("raw, threads", Yardstick::Threads, raw, Some(1), 2),
        ours("countersign/1", mutual, Protection::Required, None, 5),
        ours("countersign/1, sealed", mutual, Protection::Sealed, None, 5),
        yardstick("countersign/1, threads", Yardstick::Threads, mutual, None, 5),
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
        "p50, µs",
        "p99, µs",
        "p99.9, µs",
        "ns/message",
        "server busy, %",
        "load busy, %",
        "time, to bare loop",
        "time, to threads",
        "share of raw",
        "",
    ]);
    for (depth, count) in DEPTHS {
        let count = if run.tiny { count / 1_000 } else { count };
        let mut measured: Vec<Vec<Measured>> = servers.iter().map(|_| Vec::new()).collect();
        for _ in 0..run.repeats() {
            for (server, measured) in servers.iter().zip(&mut measured) {
                measured.push(Measured::of(server, depth, count));
            }
        }
        for (place, server) in servers.iter().enumerate() {
            show(run, server, depth, place, &measured);
        }
    }
}

/// One line of the table.
fn show(run: Run, server: &Server, depth: usize, place: usize, measured: &[Vec<Measured>]) {
    let each = |figure: &dyn Fn(&Measured) -> f64| measured[place].iter().map(figure).collect();
    // Of the same round.
    let to = |other: usize| {
        let pairs = measured[place].iter().zip(&measured[other]);
        let ratios = pairs.map(|(here, there)| here.paced.nanos() / there.paced.nanos());
        ratios.collect::<Vec<f64>>()
    };
    let micros = |quantile| {
        each(&move |all: &Measured| all.most.report.reply.at(quantile).as_secs_f64() * 1e6)
    };
    let share_of_raw = to(RAW).into_iter().map(f64::recip).collect();
    let generator: Vec<f64> = each(&|all| generator_percent(&all.paced.report));
    let limited = limited(&Spread::of(generator.clone()));
    let shown = [
        (each(&|all| all.most.rate()), 0),
        (micros(0.5), 0),
        (micros(0.99), 0),
        (micros(0.999), 0),
        (each(&|all| all.paced.nanos()), 0),
        (each(&|all| all.paced.busy.server_percent()), 0),
        (generator, 0),
        (server.bare_loop.map(to).unwrap_or_default(), 2),
        (to(server.threads), 2),
        (share_of_raw, 2),
    ];
    let [a, b, c, d, e, f, g, h, i, j] =
        &shown.map(|(values, digits)| Spread::of(values).shown(digits));
    run.row([&format!("{}, {depth}", server.name), a, b, c, d, e, f, g, h, i, j, limited]);
}
