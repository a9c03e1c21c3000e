//! Building programs with the library that belongs to this test.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::skip::skip;

const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

/// Our own sources have no warnings.
const WARNINGS: &[&str] =
    &["-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Wcast-qual", "-Wundef", "-Werror"];

/// What the Rust standard library needs on Linux.
const SYSTEM: &[&str] = &["-lpthread", "-ldl", "-lm"];

/// The library, as it was built for this test: of this kind, `a` or `so`. Since it is also shared,
/// Cargo gives its file no number.
pub(crate) fn library(kind: &str) -> PathBuf {
    let folder = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    folder.join(format!("libcountersign_capi.{kind}"))
}

/// A path of its own for each program, since tests run at the same time.
fn output_path(source: &str) -> PathBuf {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("{}-{number}", source.replace(['/', '.'], "-"));
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// Builds a program. None where there is no compiler.
fn build(compiler: &str, standard: &str, source: &str, options: &[&str]) -> Option<PathBuf> {
    let program = output_path(source);
    let mut command = Command::new(compiler);
    command.args([standard, "-pedantic", "-g", "-O1", "-I", "include"]).args(WARNINGS);
    command.arg(source).args(options).arg(library("a")).args(SYSTEM).arg("-o").arg(&program);
    let Ok(status) = command.current_dir(FOLDER).status() else {
        skip(&format!("there is no {compiler} here"));
        return None;
    };
    assert!(status.success(), "{source} can't be built");
    Some(program)
}

/// Builds a program in C99, and in POSIX.
pub(crate) fn c(source: &str, options: &[&str]) -> Option<PathBuf> {
    let prototypes = ["-Wstrict-prototypes", "-Wmissing-prototypes", "-D_POSIX_C_SOURCE=200809L"];
    build("cc", "-std=c99", source, &[&prototypes[..], options].concat())
}

/// Builds a program in C++17.
pub(crate) fn cpp(source: &str) -> Option<PathBuf> {
    build("c++", "-std=c++17", source, &[])
}

/// Builds a program in C with the sanitizers. None where there are none.
pub(crate) fn sanitized(source: &str) -> Option<PathBuf> {
    const SANITIZERS: &str = "-fsanitize=address,undefined";
    let probe = output_path("probe");
    let mut command = Command::new("cc");
    command.args([SANITIZERS, "-xc", "/dev/null", "-shared", "-o"]).arg(probe);
    if !command.output().is_ok_and(|output| output.status.success()) {
        skip("there is no cc with AddressSanitizer here");
        return None;
    }
    c(source, &[SANITIZERS, "-fno-sanitize-recover=all"])
}
