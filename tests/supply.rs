//! What comes into the program from other projects: the lists of deny.toml, held without
//! cargo-deny, which knows more and is not everywhere.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "common/metadata.rs"]
mod metadata;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::LazyLock;

use serde_json::Value;
use spdx::{Expression, ParseMode};
use toml::Table;

use crate::metadata::metadata;

/// What runs while the library is built. None of it is a macro, and none of it is ours.
const BUILD_SCRIPTS_OF_THE_LIBRARY: [&str; 4] = ["getrandom", "libc", "num-traits", "rustix"];

fn table(path: &str) -> Table {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(path).unwrap().parse().unwrap()
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
        let version = package["version"].as_str().unwrap();
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
    let is_own = |package: &&Value| {
        METADATA["workspace_members"].as_array().unwrap().contains(&package["id"])
    };
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
