//! What comes into the program from other projects: the lists of deny.toml and the notes of
//! supply-chain, held without cargo-deny and cargo-vet, which know more and are not everywhere.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "common/metadata.rs"]
mod metadata;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde_json::Value;
use spdx::{Expression, ParseMode};
use toml::Table;

use crate::metadata::metadata;

/// What runs while the library is built. None of it is a macro, and none of it is ours.
const BUILD_SCRIPTS_OF_THE_LIBRARY: [&str; 4] = ["getrandom", "libc", "num-traits", "rustix"];

fn table(path: &str) -> Table {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(path).unwrap().parse().unwrap()
}

static DENY: LazyLock<Table> = LazyLock::new(|| table("deny.toml"));

/// All packages, and what each depends on, on the targets that deny.toml names.
static METADATA: LazyLock<Value> = LazyLock::new(|| {
    let targets = strings(&DENY["graph"]["targets"]);
    metadata(&targets.iter().flat_map(|target| ["--filter-platform", target]).collect::<Vec<_>>())
});

fn strings(list: &toml::Value) -> BTreeSet<&str> {
    list.as_array().unwrap().iter().map(|item| item.as_str().unwrap()).collect()
}

fn packages() -> impl Iterator<Item = &'static Value> {
    METADATA["packages"].as_array().unwrap().iter()
}

fn name(package: &'static Value) -> &'static str {
    package["name"].as_str().unwrap()
}

fn version(package: &'static Value) -> &'static str {
    package["version"].as_str().unwrap()
}

fn is_own(package: &Value) -> bool {
    METADATA["workspace_members"].as_array().unwrap().contains(&package["id"])
}

/// Whether building it runs something of this kind.
fn runs(package: &Value, kind: &str) -> bool {
    let kinds = |target: &'_ Value| target["kind"].as_array().unwrap().iter().any(|of| of == kind);
    package["targets"].as_array().unwrap().iter().any(kinds)
}

/// A package and all that it needs, without what only tests do.
fn tree(root: &str) -> Vec<&'static Value> {
    let nodes = METADATA["resolve"]["nodes"].as_array().unwrap();
    let mut due = vec![&packages().find(|package| name(package) == root).unwrap()["id"]];
    let mut ids = BTreeSet::new();
    while let Some(id) = due.pop() {
        if ids.insert(id.as_str().unwrap()) {
            let node = nodes.iter().find(|node| node["id"] == *id).unwrap();
            let is_needed = |of: &&Value| {
                of["dep_kinds"].as_array().unwrap().iter().any(|kind| kind["kind"] != "dev")
            };
            let needed = node["deps"].as_array().unwrap().iter().filter(is_needed);
            due.extend(needed.map(|dependency| &dependency["pkg"]));
        }
    }
    packages().filter(|package| ids.contains(package["id"].as_str().unwrap())).collect()
}

/// Whether a part of its licence that may be chosen has nothing that isn't allowed here.
fn is_licensed(package: &'static Value) -> bool {
    let licences = &DENY["licenses"];
    let mut allowed = strings(&licences["allow"]);
    let exceptions = licences["exceptions"].as_array().unwrap().iter();
    for exception in exceptions.filter(|of| of["crate"].as_str() == Some(name(package))) {
        allowed.extend(strings(&exception["allow"]));
    }
    let Some(licence) = package["license"].as_str() else { return false };
    let licence = Expression::parse_mode(licence, ParseMode::LAX).unwrap();
    licence.evaluate(|part| allowed.contains(part.to_string().as_str()))
}

#[test]
fn licences_are_allowed_ones() {
    let others: Vec<_> = packages().filter(|package| !is_licensed(package)).collect();
    let others: Vec<_> = others.iter().map(|of| (name(of), &of["license"])).collect();
    assert!(packages().count() > 150 && others.is_empty(), "{others:#?}");
}

#[test]
fn a_crate_has_one_version_unless_the_other_is_listed() {
    let mut skipped: BTreeMap<&str, &str> = BTreeMap::new();
    for skip in DENY["bans"]["skip"].as_array().unwrap() {
        let (name, version) = skip["crate"].as_str().unwrap().split_once('@').unwrap();
        assert!(skip["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{name}");
        skipped.insert(name, version);
    }
    let (mut versions, mut older) = (BTreeMap::<_, Vec<_>>::new(), BTreeSet::new());
    for package in packages() {
        let version = version(package);
        let of_skip = skipped.get(name(package)).map(|skip| format!("{skip}."));
        if of_skip.is_some_and(|skip| version.starts_with(&skip)) {
            older.insert(name(package));
        } else {
            versions.entry(name(package)).or_default().push(version);
        }
    }
    versions.retain(|_, versions| versions.len() > 1);
    assert!(versions.is_empty(), "{versions:#?}");
    assert!(skipped.into_keys().eq(older), "deny.toml lists a version that is not there");
}

#[test]
fn packages_come_from_the_registry() {
    let registries = strings(&DENY["sources"]["allow-registry"]);
    for package in packages().filter(|package| !is_own(package)) {
        let registry = package["source"].as_str().and_then(|of| of.strip_prefix("registry+"));
        assert!(registry.is_some_and(|of| registries.contains(of)), "{}", package["id"]);
    }
}

#[test]
fn what_runs_in_a_build_is_listed() {
    let scripts = |packages: &mut dyn Iterator<Item = &'static Value>| -> BTreeSet<_> {
        packages.filter(|package| runs(package, "custom-build")).map(name).collect()
    };
    let all = scripts(&mut packages());
    assert_eq!(all, strings(&DENY["bans"]["build"]["allow-build-scripts"]));
    let library = tree("countersign");
    assert!(library.len() > 30, "{}", library.len());
    assert_eq!(scripts(&mut library.iter().copied()), BUILD_SCRIPTS_OF_THE_LIBRARY.into());
    let macros: Vec<_> = library.iter().filter(|package| runs(package, "proc-macro")).collect();
    assert!(macros.is_empty(), "{macros:#?}");
}

/// What crates under the protocols must not name: what leads out of them.
const OUTSIDE: [&str; 8] = [
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "std::time",
    "libc::",
    "extern \"C\"",
];

/// The one that asks the C library what the processor can do.
const ASKS_LIBC: &str = "cpufeatures";

/// The lines of a package's sources.
fn lines(package: &'static Value) -> Vec<String> {
    let manifest = Path::new(package["manifest_path"].as_str().unwrap());
    let mut due: Vec<PathBuf> = vec![manifest.with_file_name("src")];
    let mut lines = Vec::new();
    while let Some(path) = due.pop() {
        if path.is_dir() {
            due.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            lines.extend(fs::read_to_string(path).unwrap().lines().map(str::to_owned));
        }
    }
    lines
}

/// A word of a line that is not part of a longer one.
fn has_word(line: &str, word: &str) -> bool {
    line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|part| part == word)
}

/// What a note begins with, counted.
fn counts(package: &'static Value) -> String {
    let lines = lines(package);
    let code = lines.iter().filter(|line| !line.trim_start().starts_with("//"));
    let marked = code.filter(|line| has_word(line, "unsafe")).count();
    format!("{} lines, {marked} with unsafe.", lines.len())
}

/// The notes on one version of a crate, and whether its code was looked at.
fn audit(package: &'static Value) -> Option<(&'static str, bool)> {
    static AUDITS: LazyLock<Table> = LazyLock::new(|| table("supply-chain/audits.toml"));
    static CONFIG: LazyLock<Table> = LazyLock::new(|| table("supply-chain/config.toml"));
    for (list, is_audit) in [(&AUDITS["audits"], true), (&CONFIG["exemptions"], false)] {
        let entries = list.get(name(package)).and_then(toml::Value::as_array);
        let entry = entries.into_iter().flatten().find(|entry| {
            entry["version"].as_str() == Some(version(package)) && entry["notes"].is_str()
        });
        if let Some(entry) = entry {
            return Some((entry["notes"].as_str().unwrap(), is_audit));
        }
    }
    None
}

#[test]
fn each_crate_under_the_protocols_has_its_note() {
    let mut audited = BTreeSet::new();
    for package in tree("countersign-proto").into_iter().filter(|package| !is_own(package)) {
        let (text, is_audit) = audit(package)
            .unwrap_or_else(|| panic!("supply-chain has no note on {}", package["id"]));
        if is_audit {
            audited.insert(name(package));
            let counts = counts(package);
            assert!(text.trim_start().starts_with(&counts), "{}: {counts}", name(package));
            assert!(!runs(package, "custom-build"), "{} runs a build script", name(package));
        }
    }
    let audits = table("supply-chain/audits.toml");
    let noted: BTreeSet<_> = audits["audits"].as_table().unwrap().keys().cloned().collect();
    assert!(noted.iter().eq(audited.iter()), "a note is on nothing that is there");
}

#[test]
fn the_crates_under_the_protocols_touch_nothing_outside() {
    let mut found = BTreeSet::new();
    for package in tree("countersign-proto").into_iter().filter(|package| !is_own(package)) {
        if audit(package).is_none_or(|(_, is_audit)| !is_audit) {
            continue;
        }
        for line in lines(package).iter().filter(|line| !line.trim_start().starts_with("//")) {
            if let Some(outside) = OUTSIDE.iter().find(|outside| line.contains(**outside)) {
                found.insert((name(package), *outside));
            }
        }
    }
    assert_eq!(found, BTreeSet::from([(ASKS_LIBC, "libc::")]));
}
