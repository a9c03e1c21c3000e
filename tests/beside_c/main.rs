//! The sessions of this library beside those in C: the same random and damaged input must have the
//! same outcome at both, the same bytes sent and the same messages received.
//!
//! `COUNTERSIGN_CASES` says how many cases, `COUNTERSIGN_SEED` which; `CFLAGS` are more options for
//! the C compiler. Skipped, loudly, where there is none.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

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
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::thread;

use random::Random;
use setup::Setup;
use skip::skip;

/// How many cases are played where nobody says so.
const CASES: u64 = 5_000;

/// One end, and what it receives.
#[derive(Debug)]
struct Case {
    number: u64,
    setup: Setup,
    pieces: Vec<Vec<u8>>,
}

impl Case {
    fn new(seed: u64, number: u64) -> Self {
        let mut random = Random::new(seed.wrapping_add(number));
        let setup = Setup::draw(&mut random);
        let stream = input::draw(&mut random, &setup);
        let pieces = input::cut(&mut random, &stream);
        Self { number, setup, pieces }
    }

    /// The line that `play.c` reads.
    fn line(&self) -> String {
        format!("{} {}\n", self.setup.fields(), setup::list(&self.pieces))
    }
}

/// Builds the C end. None where there is no compiler.
fn build() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/c");
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("play-beside");
    let mut command = Command::new("cc");
    command.args(["-std=c99", "-O2", "-DCS_SEAL", "-DCS_RAW", "countersign.c", "tests/play.c"]);
    let options = env::var("CFLAGS").unwrap_or_default();
    command.args(options.split_whitespace());
    let Ok(status) = command.arg("-o").arg(&program).current_dir(folder).status() else {
        skip("there is no C compiler, cc, here");
        return None;
    };
    assert!(status.success(), "the C end can't be built");
    Some(program)
}

fn number(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().unwrap())
}

#[test]
fn both_ends_make_the_same_of_any_input() {
    let Some(program) = build() else { return };
    let (cases, seed) = (number("COUNTERSIGN_CASES", CASES), number("COUNTERSIGN_SEED", 1));
    let mut command = Command::new(program);
    let mut child =
        command.arg("--print").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
    let (give, take) = sync_channel(64);
    let mut outcomes = BTreeMap::<String, u64>::new();
    thread::scope(|scope| {
        scope.spawn(move || {
            for number in 0..cases {
                let case = Case::new(seed, number);
                // The other side complains if one is missing.
                if stdin.write_all(case.line().as_bytes()).is_err() || give.send(case).is_err() {
                    break;
                }
            }
        });
        for case in take {
            let here = rust_end::play(&case.setup, &case.pieces);
            let there = answers.next().expect_line(&case);
            assert_eq!(here, there, "seed {seed}, case {}: {case:#?}", case.number);
            let outcome = here.split(' ').next().unwrap_or_default();
            *outcomes.entry(format!("{} {outcome}", case.setup.role())).or_default() += 1;
        }
    });
    assert!(child.wait().unwrap().success());
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

/// The next line of the C end.
trait ExpectLine {
    fn expect_line(self, case: &Case) -> String;
}

impl ExpectLine for Option<std::io::Result<String>> {
    fn expect_line(self, case: &Case) -> String {
        match self {
            Some(Ok(line)) => line,
            other => panic!("the C end has ended with {other:?} at {case:#?}"),
        }
    }
}
