//! What a connection and a message cost: counts, which don't depend on the machine's speed.
//!
//! `cargo bench --bench budget`, or quicker with `-- --quick`. System calls are counted by
//! strace, instructions and allocations by valgrind, each on the difference of two runs of the
//! program, one twice as long as the other, so that starting and stopping don't count. The
//! clients work in batches while the server is stopped, so that each turn of its loop has the
//! same work. Beside each figure stand the goal, and the limit that it must not pass: past
//! that, the bench exits with 1. A limit leaves room for noise, and none for one more call or
//! copy.
#![expect(clippy::unwrap_used, reason = "a bench may give up")]

#[path = "common/batch.rs"]
mod batch;
#[path = "common/clock.rs"]
mod clock;
#[path = "common/process.rs"]
mod process;
#[path = "../tests/common/progress.rs"]
mod progress;
#[path = "common/run.rs"]
mod run;
#[path = "common/tools.rs"]
mod tools;

use std::process::ExitCode;

use batch::{Batch, End, Work};
use clock::now;
use countersign::Dialect;
use process::{Process, Scratch, program};
use run::Run;
use tools::Tool;

/// How often the program starts for its memory, at least. The least counts: which pages of its file
/// the system maps with others varies by 0.4 MB.
const STARTS: usize = 5;

/// The clients of a batch.
const BATCH: usize = 64;

/// A figure, what it shall be, and what it must not pass.
struct Figure {
    what: &'static str,
    goal: f64,
    limit: f64,
    dialect: Dialect,
    tool: Tool,
    /// The clients of a batch.
    batch: usize,
    work: Work,
    /// How often it is done in the shorter run.
    count: u64,
}

fn figures() -> Vec<Figure> {
    use Tool::{Allocations, Calls, Instructions};
    let (raw, open, mutual) = (Dialect::Raw, Dialect::Open, Dialect::Countersign);
    let (reset, fin) = (Work::Connections(End::Reset), Work::Connections(End::Fin));
    let (single, deep) = (Work::Messages(1), Work::Messages(16));
    // Valgrind hides the processor's instructions for SHA-256, so connections are open there, and
    // what the compressions of a record take in their place is not counted. The
    // text of a new second allocates a few times, which a slow run sees in its allocations.
    let figures = [
        ("calls/connection, reset", 6.05, 6.3, raw, Calls, reset, 6_400),
        ("calls/connection, fin", 7.05, 7.3, raw, Calls, fin, 6_400),
        ("calls/connection, alone", 10.0, 12.3, raw, Calls, fin, 1_000),
        ("calls/connection, countersign/1", 8.05, 8.3, mutual, Calls, fin, 6_400),
        ("calls/message", 2.03, 2.1, raw, Calls, single, 10_240),
        ("calls/message, 16 deep", 0.13, 0.15, raw, Calls, deep, 163_840),
        ("instructions/connection", 2_500.0, 2_551.0, open, Instructions, reset, 5_120),
        ("instructions/message", 600.0, 674.0, raw, Instructions, single, 5_120),
        ("instructions/message, 16 deep", 120.0, 141.0, raw, Instructions, deep, 81_920),
        ("instructions/record, both ways", 5_000.0, 1_988.0, mutual, Instructions, single, 5_120),
        ("instructions/message of a batch", 500.0, 306.0, mutual, Instructions, deep, 81_920),
        ("allocations/connection", 0.0, 0.05, raw, Allocations, reset, 5_120),
        ("allocations/message", 0.0, 0.05, raw, Allocations, deep, 65_536),
        ("allocations/record", 0.0, 0.05, mutual, Allocations, single, 10_240),
        ("allocations/batch", 0.0, 0.05, mutual, Allocations, deep, 65_536),
    ];
    let figure =
        |(what, goal, limit, dialect, tool, work, count): (&'static str, _, _, _, _, _, _)| {
            let batch = if what.ends_with("alone") { 1 } else { BATCH };
            Figure { what, goal, limit, dialect, tool, batch, work, count }
        };
    figures.map(figure).into()
}

impl Figure {
    /// The cost of one, from the difference of a run and one twice as long.
    fn measured(&self, scratch: &Scratch, tiny: bool) -> f64 {
        let count = if tiny { self.count / 4 } else { self.count };
        let config = scratch.config(self.dialect);
        let each = |tool: Tool| {
            let total = |count| {
                let work = |process: &Process| {
                    Batch::new(process, &config, self.batch, self.work).run(count);
                };
                tool.counts(scratch, self.dialect, work)
            };
            let (short, long) = (total(count), total(2 * count));
            (long as f64 - short as f64) / count as f64
        };
        match (self.tool, self.dialect) {
            (Tool::Instructions, Dialect::Countersign) => each(self.tool) - each(Tool::Hashing),
            _ => each(self.tool),
        }
    }
}

/// The table, and how many figures have passed their limits.
struct Table {
    run: Run,
    over: u32,
}

impl Table {
    fn show(&mut self, what: &str, figure: f64, goal: f64, limit: f64) {
        // A debug build is only seen to work.
        let limit = if cfg!(debug_assertions) { f64::INFINITY } else { limit };
        let verdict = match () {
            () if figure > limit => "OVER THE LIMIT",
            // Counts that come from counting are rounded as they are shown.
            () if (figure * 100.0).round() > (goal * 100.0).round() => "short of the goal",
            () => "",
        };
        self.over += u32::from(figure > limit);
        let shown = [figure, goal, limit].map(|number| format!("{number:.2}"));
        self.run.row([what, &shown[0], &shown[1], &shown[2], verdict]);
    }
}

/// What a message costs the generator: less than the server, so that one core fills one core.
fn generator(table: &mut Table, scratch: &Scratch) {
    for (depth, goal, limit) in [(16, 90.0, 92.0), (64, 28.0, 29.5)] {
        let what = format!("instructions/message of load, {depth} deep");
        if !Tool::Instructions.is_there() {
            println!("SKIP: {what}, for the tool that counts it isn't installed");
            continue;
        }
        // So many that what happens ten times a second, and once at the end, is little for each.
        let count = depth * if table.run.tiny { 10_240 } else { 20_480 };
        let total = |count| Tool::Instructions.counts_of_load(scratch, depth, count);
        let (short, long) = (total(count), total(2 * count));
        table.show(&what, (long as f64 - short as f64) / count as f64, goal, limit);
    }
}

fn main() -> ExitCode {
    let run = Run::from_arguments();
    let scratch = Scratch::new();
    let mut table = Table { run, over: 0 };
    run.row(["what", "measured", "goal", "limit", ""]);
    for figure in figures() {
        if figure.tool.is_there() {
            let measured = figure.measured(&scratch, run.tiny);
            table.show(figure.what, measured, figure.goal, figure.limit);
        } else {
            println!("SKIP: {}, for the tool that counts it isn't installed", figure.what);
        }
    }
    generator(&mut table, &scratch);
    rlimit::increase_nofile_limit(20_000).unwrap();
    let raw = Dialect::Raw;
    // Fewer would share the pages that are touched anyway.
    let connections = if run.tiny { 1_000 } else { 15_000 };
    for (dialect, goal, limit) in [(raw, 96.0, 125.0), (Dialect::Countersign, 400.0, 460.0)] {
        let process = Process::serve(&scratch, dialect, program());
        let each = process.resident_each(&scratch.config(dialect), connections);
        table.show(&format!("bytes/idle of {connections}, {dialect}"), each, goal, limit);
    }
    let mut took = Vec::new();
    let mut resident = Vec::new();
    for _ in 0..table.run.repeats().max(STARTS) {
        let began = now();
        let process = Process::serve(&scratch, raw, program());
        took.push((now() - began).as_secs_f64() * 1e3);
        resident.push(process.resident() as f64 / 1e6);
    }
    let least = |values: Vec<f64>| values.into_iter().fold(f64::INFINITY, f64::min);
    table.show("MB resident at start", least(resident), 2.5, 5.6);
    // A time is no count: it is shown, and not judged.
    table.show("ms to listening", least(took), 5.0, f64::INFINITY);
    ExitCode::from(u8::from(table.over > 0))
}
