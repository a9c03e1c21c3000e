//! What it costs to hold connections that say nothing: resident bytes for each.
//!
//! `cargo bench --bench idle`, or with `-- --tsv`. Beside the program stand a bare loop on mio that
//! keeps a socket and a number, and a thread for each connection; the latter with few, since each
//! thread is one of the system's.
#![expect(clippy::unwrap_used, reason = "a bench may give up")]

#[path = "common/process.rs"]
mod process;
#[path = "common/run.rs"]
mod run;
#[path = "common/spread.rs"]
mod spread;
#[path = "common/yardsticks.rs"]
mod yardsticks;

use std::process::Command;

use countersign::{Dialect, Protocol};
use process::{Process, Scratch, program};
use run::Run;
use spread::Spread;
use yardsticks::{bare_loop, thread_per_connection};

/// Has the bench itself be a server to compare with, in a process of its own.
const YARDSTICK: &str = "COUNTERSIGN_BENCH_YARDSTICK";

/// More threads than this may be more than the system gives.
const THREADS_MAX: usize = 1_000;

fn main() {
    rlimit::increase_nofile_limit(20_000).unwrap();
    let scratch = Scratch::new();
    let protocol = scratch.protocol(Dialect::Raw);
    match std::env::var(YARDSTICK).as_deref() {
        Ok("bare") => stand(bare_loop(Dialect::Raw).unwrap()),
        Ok(_) => stand(thread_per_connection(protocol)),
        Err(_) => measure(&scratch, &protocol),
    }
}

fn measure(scratch: &Scratch, protocol: &Protocol) {
    let run = Run::from_arguments();
    run.row(["connections", "bytes each", "a bare loop", "threads"]);
    let counts: &[usize] = if run.tiny { &[100] } else { &[1_000, 5_000, 15_000] };
    for &count in counts {
        let each = |start: &dyn Fn() -> Process| {
            let measured = (0..run.repeats()).map(|_| start().resident_each(protocol, count));
            Spread::of(measured.collect()).shown(0)
        };
        let ours = each(&|| Process::serve(scratch, Dialect::Raw, program()));
        let bare = each(&|| yardstick("bare"));
        let threads = match count > THREADS_MAX {
            true => "-".to_owned(),
            false => each(&|| yardstick("threads")),
        };
        run.row([&count.to_string(), &ours, &bare, &threads]);
    }
}

fn yardstick(name: &str) -> Process {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env(YARDSTICK, name);
    Process::start(command)
}

/// Says where the yardstick listens, and lets it serve until the process is ended.
fn stand(address: std::net::SocketAddr) {
    println!("listening on {address}");
    loop {
        std::thread::park();
    }
}
