//! What honest clients notice of 10,000 hostile connections a second.
//!
//! `cargo bench --bench hostile`, or with `-- --tsv`; `-- --server PATH` takes another build of the
//! program. A quarter of the hostile connections each stays silent, drips bytes, proves itself
//! wrongly and is reset at once; they come from 512 addresses. The server has one core to itself,
//! and honest and hostile clients share the other one. They also disturb each other there, so two
//! figures stand beside: of the same clients without an attack, and during the same attack on a
//! port where nobody listens. As root, `chrt -f 10 cargo bench --bench hostile` keeps the machine's
//! other programs away from both cores.
#![expect(clippy::unwrap_used, reason = "a bench may give up")]

#[path = "common/clock.rs"]
mod clock;
#[path = "common/cores.rs"]
mod cores;
#[expect(dead_code, reason = "another bench counts the connections while they are made")]
#[path = "common/hostile.rs"]
mod hostile;
#[expect(dead_code, reason = "other benches measure memory, too")]
#[path = "common/process.rs"]
mod process;
#[path = "common/run.rs"]
mod run;
#[path = "common/spread.rs"]
mod spread;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use cores::Cores;
use countersign::{ClientConfig, Dialect};
use countersign_load::Report;
use hostile::{Attack, Kind, Pattern};
use process::{Process, Scratch, load, program};
use run::Run;
use socket2::{Domain, Socket, Type};
use spread::Spread;

/// Hostile connections, and for how long each is held that isn't reset.
const PATTERN: Pattern = Pattern {
    kinds: &[Kind::Silent, Kind::Drips, Kind::ProvesWrongly, Kind::Resets],
    rate: 10_000,
    held: Duration::from_millis(700),
};

fn main() {
    let run = Run::from_arguments();
    rlimit::increase_nofile_limit(20_000).unwrap();
    let (scratch, cores) = (Scratch::new(), Cores::split());
    // Its port is taken, and nobody listens there.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    let closed = socket.local_addr().unwrap();
    run.row(["dialect", "p99 quiet, ms", "p99 elsewhere, ms", "p50, ms", "p99, ms", "attacks/s"]);
    for dialect in [Dialect::Raw, Dialect::Countersign] {
        let mut columns = [const { Vec::new() }; 5];
        for _ in 0..run.repeats().min(3) {
            let process = serve(&scratch, cores, dialect);
            let config = scratch.config(dialect);
            let quiet = honest(&process, &config, run.tiny);
            let attack = Attack::start(closed.as_socket().unwrap(), &config, PATTERN);
            let elsewhere = honest(&process, &config, run.tiny);
            attack.stop();
            let attack = Attack::start(process.address.parse().unwrap(), &config, PATTERN);
            let loud = honest(&process, &config, run.tiny);
            let rate = attack.stop();
            let [a, b, c, d] = [(&quiet, 0.99), (&elsewhere, 0.99), (&loud, 0.5), (&loud, 0.99)]
                .map(|(report, quantile)| report.reply.at(quantile).as_secs_f64() * 1e3);
            columns.iter_mut().zip([a, b, c, d, rate]).for_each(|(all, one)| all.push(one));
        }
        let mut digits = [2, 2, 2, 2, 0].into_iter();
        let [a, b, c, d, e] =
            columns.map(|values| Spread::of(values).shown(digits.next().unwrap_or(0)));
        run.row([dialect.name(), &a, &b, &c, &d, &e]);
    }
}

/// The program with its own limits, on a core of its own.
fn serve(scratch: &Scratch, cores: Cores, dialect: Dialect) -> Process {
    let arguments: Vec<String> = std::env::args().collect();
    let named = arguments.iter().position(|argument| argument == "--server");
    let named = named.and_then(|at| arguments.get(at + 1));
    let server = named.map_or_else(|| program().get_program().to_owned(), Into::into);
    let mut command = cores.server(server);
    command.args(["serve", "--bind", "127.0.0.1:0"]);
    command.args(["--dialect", dialect.name(), "--keys"]).arg(scratch.file("keys"));
    Process::start(command)
}

/// What honest clients notice. None may fail.
fn honest(process: &Process, config: &ClientConfig, tiny: bool) -> Report {
    load(process, config, hostile::honest(Duration::from_secs(if tiny { 1 } else { 5 })))
}
