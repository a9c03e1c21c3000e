//! Schedules: one for each seed, and what all of them must have had together.

use std::io::Write as _;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use crate::faults::{self, Counts};

/// The schedules of an ordinary run, from seed 0.
const SCHEDULES: u64 = 40;

/// So many have every fault.
const MANY: u64 = 300;

/// The schedules that are played at the same time.
const AT_A_TIME: usize = 4;

/// A number from the environment.
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// Says how a schedule that fails can be played again, and that no other need be begun.
struct Replay<'a> {
    verb: &'a str,
    seed: u64,
    has_failed: &'a AtomicBool,
}

impl Drop for Replay<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.has_failed.store(true, Ordering::Relaxed);
            let Self { verb, seed, .. } = self;
            let command = "cargo test -p countersign-cli --test syscalls";
            say(&format!("seed {seed}: COUNTERSIGN_SEED={seed} {command} {verb} -- --nocapture"));
        }
    }
}

/// Written to the descriptor itself: what a macro prints is kept from sight.
fn say(text: &str) {
    let mut stderr = std::io::stderr();
    writeln!(stderr, "{text}").unwrap();
}

/// Plays the schedule of each seed, several at a time since most of them wait. Returns the faults
/// of all together.
fn play_all(verb: &str, seeds: Range<u64>, schedule: impl Fn(u64) -> Counts + Sync) -> Counts {
    let (next, all) = (AtomicU64::new(seeds.start), Mutex::new(Counts::default()));
    let has_failed = &AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                while !has_failed.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if !seeds.contains(&seed) {
                        break;
                    }
                    let _replay = Replay { verb, seed, has_failed };
                    let counts = schedule(seed);
                    all.lock().unwrap().add(&counts);
                }
            });
        }
    });
    all.into_inner().unwrap()
}

/// Plays schedules, and checks that the faults whose names begin so struck in one of them.
pub(crate) fn play(verb: &str, beginnings: &[&str], schedule: impl Fn(u64) -> Counts + Sync) {
    if faults::library().is_none() {
        return;
    }
    let seeds = match number("COUNTERSIGN_SEED") {
        Some(seed) => seed..seed + 1,
        None => {
            let from = number("COUNTERSIGN_FROM").unwrap_or(0);
            from..from + number("COUNTERSIGN_SCHEDULES").unwrap_or(SCHEDULES)
        }
    };
    let count = seeds.end - seeds.start;
    let all = play_all(verb, seeds, schedule);
    let total: u64 = all.iter().map(|(_, count)| count).sum();
    say(&format!("{verb}: {count} schedules, {total} faults"));
    let is_expected = |name: &str| beginnings.iter().any(|each| name.starts_with(each));
    let mut expected = 0;
    let mut missing = Vec::new();
    for (name, count) in all.iter().filter(|(name, count)| *count > 0 || is_expected(name)) {
        say(&format!("{verb}: {count:>9} {name}"));
        expected += usize::from(is_expected(name));
        missing.extend((count == 0).then(|| name.to_owned()));
    }
    let has_all = std::env::var_os("COUNTERSIGN_FAULT_ONLY").is_none();
    // When a call comes depends on the machine, so a few schedules may lack what is rare.
    let allowed = match count {
        MANY.. => 0,
        SCHEDULES.. => expected / 4,
        _ => expected,
    };
    assert!(!has_all || missing.len() <= allowed, "never struck: {missing:?}");
}
