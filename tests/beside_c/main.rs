//! The sessions of this library beside those in C: the same random and damaged input must have the
//! same outcome at both, the same bytes sent and the same messages received.
//!
//! `COUNTERSIGN_CASES` says how many cases, `COUNTERSIGN_FIRST` the number of the first one, and
//! `COUNTERSIGN_SEED` which; `CFLAGS` are more options for the C compiler. Skipped, loudly, where
//! there is none.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod c_end;
#[expect(dead_code, reason = "it also reads what it is sent, for other tests")]
#[path = "../mutual/forger.rs"]
mod forger;
mod input;
mod random;
mod records;
mod rust_end;
mod setup;
#[path = "../common/skip.rs"]
mod skip;

use std::collections::BTreeMap;
use std::env;
use std::io::Write as _;
use std::ops::Range;
use std::path::Path;
use std::process::ChildStdin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use random::Random;
use setup::Setup;

/// How many cases are played where nobody says so.
const CASES: u64 = 5_000;

/// After how many cases there is a line that tells how far it is.
const REPORTED: u64 = 1_000_000;

/// How many cases a process is given at once.
const BATCH: u64 = 100;

/// One end, and what it receives.
#[derive(Debug)]
struct Case {
    number: u64,
    setup: Setup,
    stream: Vec<u8>,
    /// The lengths of the pieces in which it arrives.
    pieces: Vec<usize>,
}

impl Case {
    fn new(seed: u64, number: u64) -> Self {
        let mut random = Random::new(seed, number);
        let setup = Setup::draw(&mut random);
        let stream = input::draw(&mut random, &setup);
        let pieces = input::cut(&mut random, stream.len());
        Self { number, setup, stream, pieces }
    }

    fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.stream[..];
        self.pieces.iter().map(move |length| {
            let (piece, behind) = rest.split_at(*length);
            rest = behind;
            piece
        })
    }

    /// Adds the line that `play.c` reads.
    fn write(&self, lines: &mut Vec<u8>) {
        self.setup.write(lines);
        setup::write_list(self.pieces(), lines);
        lines.push(b'\n');
    }
}

/// How many cases had this outcome at both ends.
type Outcomes = BTreeMap<String, u64>;

/// Cases that no thread has taken yet.
struct Untaken {
    seed: u64,
    next: AtomicU64,
    end: u64,
}

impl Untaken {
    fn take(&self) -> Option<Vec<Case>> {
        let start = self.next.fetch_add(BATCH, Ordering::Relaxed);
        let numbers = start..self.end.min(start + BATCH);
        (!numbers.is_empty()).then(|| numbers.map(|number| Case::new(self.seed, number)).collect())
    }
}

/// Draws cases and gives them to both ends. Stops when one of them has gone.
fn give(untaken: &Untaken, mut to_c: ChildStdin, to_rust: &SyncSender<Vec<Case>>) {
    let mut lines = Vec::new();
    while let Some(cases) = untaken.take() {
        lines.clear();
        cases.iter().for_each(|case| case.write(&mut lines));
        lines.push(b'\n');
        // First the end that reads what the other one says: neither of them waits for ever.
        if to_rust.send(cases).is_err() || to_c.write_all(&lines).is_err() {
            return;
        }
    }
}

fn compare(program: &Path, untaken: &Untaken) -> Outcomes {
    let (to_c, mut answers) = c_end::start(program);
    let (to_rust, batches) = sync_channel(4);
    let mut outcomes = Outcomes::new();
    thread::scope(|scope| {
        scope.spawn(move || give(untaken, to_c, &to_rust));
        for case in batches.into_iter().flatten() {
            let here = rust_end::play(&case.setup, case.pieces());
            let there = answers.next();
            let is_same = there.as_ref().is_ok_and(|there| *there == here);
            let (seed, number) = (untaken.seed, case.number);
            assert!(is_same, "seed {seed}, case {number}: {here} is not {there:?}: {case:#?}");
            let outcome = here.split(' ').next().unwrap_or_default();
            *outcomes.entry(format!("{} {outcome}", case.setup.role())).or_default() += 1;
        }
    });
    answers.finish();
    outcomes
}

/// Plays these cases, on all processors.
fn compare_all(program: &Path, seed: u64, numbers: Range<u64>, outcomes: &mut Outcomes) {
    let untaken = Untaken { seed, next: AtomicU64::new(numbers.start), end: numbers.end };
    let threads = thread::available_parallelism().unwrap().get();
    thread::scope(|scope| {
        let start = |_| scope.spawn(|| compare(program, &untaken));
        let running: Vec<_> = (0..threads).map(start).collect();
        for (outcome, count) in running.into_iter().flat_map(|thread| thread.join().unwrap()) {
            *outcomes.entry(outcome).or_default() += count;
        }
    });
}

fn number(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().unwrap())
}

#[test]
fn both_ends_make_the_same_of_any_input() {
    let Some(program) = c_end::build() else { return };
    let (cases, first) = (number("COUNTERSIGN_CASES", CASES), number("COUNTERSIGN_FIRST", 0));
    let (seed, end) = (number("COUNTERSIGN_SEED", 1), first + cases);
    let mut outcomes = Outcomes::new();
    let mut start = first;
    while start < end {
        let numbers = start..end.min(start + REPORTED);
        start = numbers.end;
        compare_all(&program, seed, numbers, &mut outcomes);
        println!("seed {seed}: both ends made the same of cases {first} to {}", start - 1);
    }
    assert_eq!(outcomes.values().sum::<u64>(), cases);
    for (outcome, count) in &outcomes {
        println!("{count:9} {outcome}");
    }
    // Of each, some: a generator that makes the same of everything finds nothing.
    if cases >= CASES {
        for due in ["server open", "server closed", "server refused:malformed", "client open"] {
            assert!(outcomes.get(due).is_some_and(|count| *count > cases / 500), "{outcomes:#?}");
        }
    }
}
