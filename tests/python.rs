//! Python programs as peers: see `tests/python/pairs.py`, which prints a line for each pair, and
//! `tests/python/matrix.py`, which does what a stock Python's `multiprocessing` does. And the
//! vectors, which another one computes afresh.

use std::io::Write as _;
use std::process::{Command, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_countersign");

const PAIRS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/python/pairs.py");
const MATRIX: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/python/matrix.py");
const BESIDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../benches/python/beside.py");
const WATCHED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../benches/python/watched.py");
const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/generate.py");

/// Runs a program, whose output is seen. None where there is no Python.
fn succeeds(what: &str, program: &str, arguments: &[&str]) -> Option<bool> {
    let python = Command::new("python3").arg("--version").stdout(Stdio::null()).status();
    if !python.is_ok_and(|status| status.success()) {
        // Written to the descriptor itself: what is printed by a macro is kept from sight.
        writeln!(std::io::stderr(), "SKIP  {what}: there is no python3 here").ok()?;
        return None;
    }
    // No caches beside the sources.
    let mut command = Command::new("python3");
    let status = command.args(["-B", program]).args(arguments).stdin(Stdio::null()).status();
    Some(status.is_ok_and(|status| status.success()))
}

#[test]
fn python_programs_and_this_one_take_each_others_place() {
    let succeeded = succeeds("tests/python", PAIRS, &[PROGRAM]);
    assert_ne!(succeeded, Some(false), "a pair has failed: see its line above");
}

#[test]
fn every_python_is_a_client_and_a_listener() {
    let succeeded = succeeds("tests/python", MATRIX, &[PROGRAM]);
    assert_ne!(succeeded, Some(false), "a part of the table has failed: see below it");
}

#[test]
fn the_comparison_with_a_listener_works() {
    let succeeded = succeeds("benches/python", BESIDE, &[PROGRAM, "--quick"]);
    assert_ne!(succeeded, Some(false), "it can't be run");
}

#[test]
fn the_look_at_a_server_that_is_watched_works() {
    let succeeded = succeeds("benches/python", WATCHED, &[PROGRAM, "--quick"]);
    assert_ne!(succeeded, Some(false), "it can't be run");
}

#[test]
fn the_vectors_are_what_python_computes() {
    let succeeded = succeeds("tests/vectors", VECTORS, &["--check"]);
    assert_ne!(succeeded, Some(false), "the file isn't what is computed, or a case fails");
}
