//! Python programs as peers: see `tests/python/pairs.py`, which prints a line for each pair.

use std::io::Write as _;
use std::process::{Command, Stdio};

const PAIRS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/pairs.py");

#[test]
fn python_programs_and_this_one_take_each_others_place() {
    let python = Command::new("python3").arg("--version").stdout(Stdio::null()).status();
    if !python.is_ok_and(|status| status.success()) {
        // Written to the descriptor itself: what is printed by a macro is kept from sight.
        let mut stderr = std::io::stderr();
        writeln!(stderr, "SKIP  tests/python: there is no python3 here").unwrap();
        return;
    }
    let mut pairs = Command::new("python3");
    // No caches beside the sources.
    pairs.arg("-B").arg(PAIRS).arg(env!("CARGO_BIN_EXE_countersign"));
    let status = pairs.stdin(Stdio::null()).status().unwrap();
    assert!(status.success(), "a pair has failed: see its line above");
}
