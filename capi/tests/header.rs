//! The header: it is what the sources say, and what compilers of C and C++ take.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../../tests/common/skip.rs"]
mod skip;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use skip::skip;

const FOLDER: &str = env!("CARGO_MANIFEST_DIR");
const HEADER: &str = "include/countersign_host.h";

/// The header that the sources make.
fn generated() -> String {
    let mut text = Vec::new();
    cbindgen::generate(FOLDER).unwrap().write(&mut text);
    String::from_utf8(text).unwrap()
}

#[test]
fn the_header_is_what_the_sources_say() {
    let path = Path::new(FOLDER).join(HEADER);
    let generated = generated();
    if std::env::var_os("COUNTERSIGN_BLESS").is_some() {
        std::fs::write(&path, &generated).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let different = generated.lines().zip(committed.lines()).find(|(new, old)| new != old);
    assert!(
        generated == committed,
        "{HEADER} is old, at {different:?}; run this with COUNTERSIGN_BLESS=1"
    );
}

/// Has a compiler check a source.
fn check(compiler: &str, options: &[&str], source: &str) {
    let warnings = ["-pedantic", "-Wall", "-Wextra", "-Wundef", "-Werror", "-fsyntax-only"];
    let mut command = Command::new(compiler);
    command.args(warnings).args(options).args(["-I", "include", "-I", "../clients/c", "-"]);
    let Ok(mut child) = command.current_dir(FOLDER).stdin(Stdio::piped()).spawn() else {
        return skip(&format!("there is no {compiler} here"));
    };
    child.stdin.take().unwrap().write_all(source.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "{compiler} refuses {source}");
}

#[test]
fn compilers_take_the_header_alone_and_beside_that_of_the_bare_protocol() {
    let alone = "#include \"countersign_host.h\"\n";
    let beside = "#include \"countersign.h\"\n#include \"countersign_host.h\"\n";
    for source in [alone, beside] {
        check("cc", &["-std=c99", "-Wstrict-prototypes", "-xc"], source);
        check("cc", &["-std=c17", "-DCS_SEAL", "-DCS_RAW", "-xc"], source);
        check("c++", &["-std=c++11", "-DCS_SEAL", "-DCS_RAW", "-xc++"], source);
    }
}
