//! What Cargo knows of the workspace and of all that is locked.

use std::process::Command;

use serde_json::Value;

/// The output of `cargo metadata` with all features: for every target, or for those that the
/// options filter by.
pub(crate) fn metadata(options: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO"));
    command.args(["metadata", "--format-version", "1", "--locked", "--all-features"]);
    let output = command.args(options).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}
