//! What is installed beside the program: held against the tools that read it, where they are.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;

fn deploy(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name)
}

fn files(folder: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(deploy(folder)).unwrap();
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{folder}");
    files
}

/// Runs a tool to its end. Says loudly that it isn't here.
fn run(tool: &str, options: &[&str]) -> Option<Output> {
    match Command::new(tool).args(options).output() {
        Ok(output) => Some(output),
        Err(error) => {
            let name = thread::current().name().unwrap_or("?").to_owned();
            // Written to the descriptor itself: what a macro prints is kept from sight.
            let mut stderr = std::io::stderr();
            writeln!(stderr, "SKIP  {name}: {tool}: {error}").unwrap();
            None
        }
    }
}

/// A tool has nothing to say about any of these files.
fn accepted(tool: &str, options: &[&str], files: &[PathBuf]) {
    for file in files {
        let Some(output) = run(tool, &[options, &[file.to_str().unwrap()]].concat()) else {
            return;
        };
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{tool} {}: {said}", file.display());
    }
}

#[test]
fn the_manual_pages_are_pages() {
    accepted("man", &["--warnings", "-l"], &files("man"));
    accepted("groff", &["-k", "-man", "-Tutf8", "-ww", "-z"], &files("man"));
    // What it calls a warning is a question of style.
    accepted("mandoc", &["-Tlint", "-Werror"], &files("man"));
}

#[test]
fn the_completions_are_scripts() {
    for (shell, name) in
        [("bash", "countersign.bash"), ("zsh", "_countersign"), ("fish", "countersign.fish")]
    {
        accepted(shell, &["-n"], &[deploy("completions").join(name)]);
    }
}
