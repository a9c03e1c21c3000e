//! The C client and server of `clients/c`: the vectors, at both ends and however the input is cut,
//! and against the program, both ways. Skipped, loudly, where there is no C compiler.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "common/skip.rs"]
mod skip;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use skip::skip;

const PROGRAM: &str = env!("CARGO_BIN_EXE_countersign");
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../clients/c");

/// Client and server.
const BOTH: &str = "countersign.c";

/// All that can be built in.
const ALL: &[&str] = &["-DCS_SEAL", "-DCS_RAW"];

/// Builds a program from these files. None where there is no compiler.
fn build(name: &str, files: &[&str], options: &[&str]) -> Option<PathBuf> {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut command = Command::new("cc");
    command.args(["-std=c99", "-O1", "-g", "-Wall", "-Wextra", "-I."]).args(options);
    command.arg("-o").arg(&program).args(files).current_dir(FOLDER);
    match command.status() {
        Ok(status) => assert!(status.success(), "{name} can't be built"),
        Err(_) => {
            skip("there is no C compiler, cc, here");
            return None;
        }
    }
    Some(program)
}

/// The same with what finds wrong accesses to memory, where the compiler has it.
fn build_checked(name: &str, files: &[&str], options: &[&str]) -> Option<PathBuf> {
    let checks = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
    let probe = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.probe"));
    let mut command = Command::new("cc");
    command.args(checks).args(["-x", "c", "-o"]).arg(&probe).arg("-").stdin(Stdio::piped());
    let probed = command.stderr(Stdio::null()).spawn().and_then(|mut compiler| {
        use std::io::Write as _;
        compiler.stdin.take().unwrap().write_all(b"int main(void) { return 0; }\n")?;
        compiler.wait()
    });
    if probed.is_ok_and(|status| status.success()) {
        return build(name, files, &[options, &checks].concat());
    }
    skip("the C compiler has no sanitizers: accesses to memory are not checked");
    build(name, files, options)
}

/// Plays the vectors that this build can play.
fn play(name: &str, options: &[&str], lines: &[&str]) {
    let Some(program) = build_checked(name, &[BOTH, "tests/play.c"], options) else { return };
    let path = program.with_extension("lines");
    let mut python = Command::new("python3");
    python.args(["-B", "tests/lines.py"]).args(lines).current_dir(FOLDER);
    match python.stdout(File::create(&path).unwrap()).status() {
        Ok(status) => assert!(status.success(), "the vectors can't be read"),
        Err(_) => return skip("there is no python3 here"),
    }
    let output = Command::new(program).stdin(File::open(&path).unwrap()).output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {shown}{errors}");
    let cases: u32 = shown.split(' ').next().unwrap().parse().unwrap();
    assert!(cases > 300, "{name}: {shown}");
}

#[test]
fn every_vector_comes_out_byte_for_byte_however_it_is_cut() {
    play("c-vectors", ALL, &[]);
}

#[test]
fn what_is_built_without_options_plays_the_vectors_without_sealing() {
    play("c-vectors-tagged", &[], &["--tagged"]);
}

#[test]
fn buffers_have_limits_and_calls_their_time() {
    for (name, options) in [("c-limits", &[][..]), ("c-limits-all", ALL)] {
        let Some(program) = build_checked(name, &["tests/limits.c"], options) else { return };
        let output = Command::new(program).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

/// Valgrind complains of each decision that follows from a secret. The verdicts on proofs and tags
/// are meant to be drawn from it.
#[test]
fn nothing_but_verdicts_depends_on_a_secret() {
    if !Path::new("/usr/include/valgrind/memcheck.h").exists() {
        return skip("there is no valgrind here");
    }
    let options = [ALL, &["-fno-inline"]].concat();
    let Some(program) = build("c-secrets", &[BOTH, "tests/secrets.c"], &options) else { return };
    let watch = |options: &[&str]| {
        let mut valgrind = Command::new("valgrind");
        valgrind.args(["-q", "--error-exitcode=9"]).args(options).arg(&program);
        valgrind.current_dir(FOLDER).output().unwrap()
    };
    let output = watch(&["--suppressions=tests/secrets.supp"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = watch(&[]);
    assert_eq!(output.status.code(), Some(9), "it would complain of something");
}

#[test]
fn programs_in_c_and_this_one_take_each_others_place() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let built = [
        build_checked("peer", &[BOTH, "tests/peer.c"], ALL),
        build_checked("client", &[BOTH, "examples/client.c"], &[]),
        build_checked("server", &[BOTH, "examples/server.c"], &[]),
    ];
    let [Some(peer), Some(_), Some(_)] = built else { return };
    let mut python = Command::new("python3");
    python.args(["-B", "tests/both_ways.py", PROGRAM]).arg(peer).arg(folder).current_dir(FOLDER);
    match python.stdin(Stdio::null()).status() {
        Ok(status) => assert!(status.success(), "a pair has failed: see its line above"),
        Err(_) => skip("there is no python3 here"),
    }
}

/// What finds a library in C by its version finds that of the program.
#[test]
fn the_package_in_c_has_the_version_of_the_program() {
    let version = env!("CARGO_PKG_VERSION");
    let read = |name: &str| std::fs::read_to_string(Path::new(FOLDER).join(name)).unwrap();
    let library: serde_json::Value = serde_json::from_str(&read("library.json")).unwrap();
    assert_eq!(library["version"], version);
    assert!(read("idf_component.yml").contains(&format!("version: \"{version}\"\n")));
    assert!(read("CMakeLists.txt").contains(&format!("countersign-c VERSION {version} ")));
}
