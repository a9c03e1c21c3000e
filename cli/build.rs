//! Tells the program what it is: the commit and the target that it is built of and for.
//!
//! Nothing here depends on the time or the machine, so that the same source makes the same program.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=COUNTERSIGN_COMMIT");
    let given = env::var("COUNTERSIGN_COMMIT").ok().filter(|commit| !commit.is_empty());
    let commit = given.or_else(checked_out).or_else(packaged);
    println!(
        "cargo::rustc-env=COUNTERSIGN_BUILD_COMMIT={}",
        commit.as_deref().unwrap_or("unknown")
    );
    println!(
        "cargo::rustc-env=COUNTERSIGN_BUILD_TARGET={}",
        env::var("TARGET").unwrap_or_default()
    );
}

/// The commit that is checked out here, and not in a repository which this one only lies in.
fn checked_out() -> Option<String> {
    let root = git(&["rev-parse", "--show-toplevel"])?;
    let own = Path::new(&env::var_os("CARGO_MANIFEST_DIR")?).join("..");
    if fs::canonicalize(root).ok()? != fs::canonicalize(own).ok()? {
        return None;
    }
    let branch = git(&["symbolic-ref", "--quiet", "HEAD"]);
    // A branch without a file of its own gets one with the next commit, which the log tells of.
    let names = [Some("HEAD"), Some("logs/HEAD"), branch.as_deref(), Some("packed-refs")];
    for name in names.into_iter().flatten() {
        // A file that isn't there would have this run every time.
        let path = git(&["rev-parse", "--git-path", name]);
        if let Some(path) = path.filter(|path| Path::new(path).exists()) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    git(&["rev-parse", "--short=12", "HEAD"])
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// The commit that `cargo package` has noted in the archive.
fn packaged() -> Option<String> {
    let text = fs::read_to_string(".cargo_vcs_info.json").ok()?;
    let commit = text.split("\"sha1\": \"").nth(1)?;
    commit.get(..12).map(str::to_owned)
}
