//! Programs in C and C++ with this library: its examples, and hosts for tests, which run under
//! `AddressSanitizer` and valgrind. Skipped, loudly, where a tool is missing.
//!
//! `COUNTERSIGN_CONNECTIONS` says how many connections the hosts get; `ci/capi` gives them 10,000.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod compile;
mod crowd;
mod examples;
mod program;
#[path = "../../../tests/common/skip.rs"]
mod skip;

use std::process::Command;

use compile::{c, cpp, library, sanitized};
use program::{run, valgrind};
use skip::skip;

#[test]
fn wrong_arguments_are_errors_and_connections_need_no_socket() {
    for name in ["arguments", "connection"] {
        let source = format!("tests/c/{name}.c");
        if let Some(program) = sanitized(&source) {
            run(Command::new(program));
        }
        if let (Some(program), Some(mut command)) = (c(&source, &[]), valgrind()) {
            command.arg(program);
            run(command);
        }
    }
}

#[test]
fn a_server_and_its_client_on_two_threads_use_every_call() {
    let folder = env!("CARGO_TARGET_TMPDIR");
    if let Some(program) = sanitized("tests/c/both.c") {
        let mut command = Command::new(program);
        command.arg(folder);
        run(command);
    }
    if let (Some(program), Some(mut command)) = (c("tests/c/both.c", &[]), valgrind()) {
        command.arg(program).arg(folder);
        run(command);
    }
}

#[test]
fn an_exception_of_cpp_closes_its_connection_alone() {
    let source = "tests/c/exception.cpp";
    if let (Some(program), Some(mut command)) = (cpp(source), valgrind()) {
        command.arg(program);
        run(command);
    }
}

#[test]
fn a_host_of_many_connections_leaks_nothing_under_the_sanitizers() {
    let Some(program) = sanitized("tests/c/host.c") else { return };
    crowd::visit(&mut Command::new(program), "with the sanitizers of gcc");
}

#[test]
fn a_host_of_many_connections_leaks_nothing_under_valgrind() {
    let (Some(program), Some(mut command)) = (c("tests/c/host.c", &[]), valgrind()) else { return };
    crowd::visit(command.arg(program), "under valgrind");
}

/// The bare protocol for small machines has names that begin in the same way.
#[test]
fn a_program_may_have_the_bare_protocol_too() {
    let both = ["-DCS_SEAL", "-DCS_RAW", "-I../clients/c", "../clients/c/countersign.c"];
    let Some(program) = c("tests/c/beside.c", &both) else { return };
    run(Command::new(program));
}

/// The functions of a header.
fn declared() -> Vec<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/include/countersign_host.h");
    let header = std::fs::read_to_string(path).unwrap();
    let code = header.lines().filter(|line| !line.starts_with([' ', '/', '}', '#']));
    let names = code.filter_map(|line| {
        let front = line.split('(').next().filter(|_| line.contains('('))?;
        front.rsplit([' ', '*']).next().filter(|name| name.starts_with("cs_")).map(str::to_owned)
    });
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn the_shared_library_has_what_the_header_declares_and_nothing_else() {
    let declared = declared();
    assert!(declared.len() > 90, "{declared:?}");
    let mut command = Command::new("nm");
    let command = command.args(["-D", "--defined-only", "--format=posix"]).arg(library("so"));
    let Ok(output) = command.output() else { return skip("there is no nm here") };
    assert!(output.status.success());
    let symbols = String::from_utf8(output.stdout).unwrap();
    let mut exported: Vec<&str> =
        symbols.lines().filter_map(|line| line.split(' ').next()).collect();
    exported.sort_unstable();
    assert_eq!(exported, declared);
}

/// What is tested is what was built: a failure of the sanitizers, or of valgrind, is noticed.
#[test]
fn a_leak_is_noticed() {
    let source = "tests/c/leak.c";
    let fails = |mut command: Command| !command.output().unwrap().status.success();
    if let Some(program) = sanitized(source) {
        assert!(fails(Command::new(program)), "the sanitizers do not notice a leak");
    }
    if let (Some(program), Some(mut command)) = (c(source, &[]), valgrind()) {
        command.arg(program);
        assert!(fails(command), "valgrind does not notice a leak");
    }
}
