//! No circle of files: of two files, at most one names what the other holds, directly or by way of
//! others. Then each can be read, and moved, with those below it alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::{CRATES, Source, hold, sources};

/// The files that may close a circle, of which the first names the second: none.
const KNOWN: &[(&str, &str)] = &[];

/// The files of a crate by the paths of their modules, and what each of them names.
struct Crate {
    root: String,
    files: BTreeMap<Vec<String>, Source>,
}

impl Crate {
    fn read(root: &str) -> Self {
        let is_code = |source: &Source| !source.path.ends_with("tests.rs");
        let sources = sources(&[root]).into_iter().filter(is_code);
        let files = sources.map(|source| (module(root, &source.path), source)).collect();
        Self { root: root.to_owned(), files }
    }

    /// The files that each file names, without those that close a known circle.
    fn graph(&self) -> BTreeMap<&Path, BTreeSet<&Path>> {
        let named =
            |file| self.named(file).into_iter().filter(|other| !is_known(file, other)).collect();
        self.files.values().map(|source| (&*source.path, named(&*source.path))).collect()
    }

    /// The files that a file names.
    fn named(&self, file: &Path) -> BTreeSet<&Path> {
        let mut named = BTreeSet::new();
        for (module, source) in self.files.iter().filter(|(_, source)| source.path == file) {
            for path in paths(&source.code_without_tests(), module) {
                named.extend(self.file(&path).filter(|other| *other != file));
            }
        }
        named
    }

    /// What is said to close a circle in this crate, and doesn't.
    fn needless(&self) -> Vec<String> {
        let graph = self.graph();
        let here = KNOWN.iter().filter(|(file, _)| file.starts_with(&self.root));
        let closes = |(file, other): &&(&str, &str)| {
            let named = self.named(Path::new(file));
            named.contains(Path::new(other)) && reaches(&graph, Path::new(other), Path::new(file))
        };
        let needless = here.filter(|known| !closes(known));
        needless.map(|known| format!("{known:?} closes no circle: take it out of KNOWN")).collect()
    }

    /// The file of the innermost module on this path.
    fn file(&self, path: &[String]) -> Option<&Path> {
        let fronts = (0..=path.len()).rev().map(|end| &path[..end]);
        fronts.into_iter().find_map(|front| self.files.get(front)).map(|source| &*source.path)
    }
}

/// The path of the module that is in this file.
fn module(root: &str, path: &Path) -> Vec<String> {
    let path = path.strip_prefix(root).unwrap().with_extension("");
    let mut parts: Vec<String> =
        path.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
    if parts.last().is_some_and(|last| ["mod", "lib", "main"].contains(&&**last)) {
        parts.pop();
    }
    parts
}

/// The paths in this text that begin at the crate, at a module above this one, or, in a `use`, at a
/// module inside it.
fn paths(text: &str, module: &[String]) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    let parent = &module[..module.len().saturating_sub(1)];
    for (word, front) in [("crate::", &[][..]), ("super::", parent)] {
        for (at, _) in text.match_indices(word) {
            let is_word = !text[..at].ends_with(|c: char| c.is_alphanumeric() || "_:".contains(c));
            if is_word {
                tree(&mut &text[at + word.len()..], front.to_vec(), &mut paths);
            }
        }
    }
    for line in text.lines() {
        let used = line.trim_start().trim_start_matches("pub ").strip_prefix("use ");
        let used =
            used.filter(|used| !["crate::", "super::"].iter().any(|at| used.starts_with(at)));
        // What is no module inside this one leads to this file, which may name itself.
        if let Some(mut used) = used {
            tree(&mut used, module.to_vec(), &mut paths);
        }
    }
    paths
}

/// Takes a path, or the paths in a pair of braces, and notes where each leads.
fn tree(text: &mut &str, mut front: Vec<String>, paths: &mut Vec<Vec<String>>) {
    loop {
        *text = text.trim_start();
        if let Some(rest) = text.strip_prefix('{') {
            *text = rest;
            while !text.trim_start().starts_with('}') && !text.is_empty() {
                tree(text, front.clone(), paths);
                *text = text.trim_start().trim_start_matches(',');
                *text = text.trim_start();
            }
            *text = text.strip_prefix('}').unwrap_or(text);
            return;
        }
        let length = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
        let (name, rest) = text.split_at(length);
        match name {
            "super" => drop(front.pop()),
            "self" | "" => {}
            _ => front.push(name.to_owned()),
        }
        *text = rest;
        let Some(rest) = text.strip_prefix("::") else {
            // What stands behind a star, or gives another name, is no part of the path.
            let end = text.find([',', '}', ';', '\n', ')', '(']).unwrap_or(text.len());
            *text = &text[end..];
            paths.push(front);
            return;
        };
        *text = rest;
    }
}

/// Whether a file may name another one for now.
fn is_known(file: &Path, other: &Path) -> bool {
    let is_same = |(from, to): &(&str, &str)| file == Path::new(from) && other == Path::new(to);
    KNOWN.iter().any(is_same)
}

/// Whether one file names another, directly or by way of others.
fn reaches(graph: &BTreeMap<&Path, BTreeSet<&Path>>, from: &Path, to: &Path) -> bool {
    let mut seen = BTreeSet::from([from]);
    let mut next = vec![from];
    while let Some(file) = next.pop() {
        for other in graph.get(file).into_iter().flatten() {
            if *other == to {
                return true;
            }
            if seen.insert(other) {
                next.push(other);
            }
        }
    }
    false
}

/// The shortest circle through this file, if there is one.
fn circle<'p>(graph: &BTreeMap<&'p Path, BTreeSet<&'p Path>>, from: &'p Path) -> Vec<&'p Path> {
    let mut ways = vec![vec![from]];
    let mut seen = BTreeSet::new();
    let mut next = 0;
    while let Some(way) = ways.get(next).cloned() {
        for file in &graph[way[way.len() - 1]] {
            if *file == from {
                return way;
            }
            if seen.insert(*file) {
                ways.push([&way[..], &[*file]].concat());
            }
        }
        next += 1;
    }
    Vec::new()
}

#[test]
fn there_is_no_circle_of_files() {
    let mut complaints = BTreeSet::new();
    for root in CRATES {
        let krate = Crate::read(root);
        let graph = krate.graph();
        complaints.extend(krate.needless());
        for file in graph.keys() {
            let mut circle = circle(&graph, file);
            let first = circle.iter().enumerate().min_by_key(|(_, file)| **file);
            let first = first.map_or(0, |(at, _)| at);
            circle.rotate_left(first);
            let names: Vec<&str> = circle.iter().filter_map(|file| file.to_str()).collect();
            if !names.is_empty() {
                complaints.insert(names.join(" -> "));
            }
        }
    }
    hold(complaints.into_iter().collect());
}

#[test]
fn paths_are_read_as_the_compiler_reads_them() {
    let text = "use crate::a::{b::{self, C}, d as e, f::*}; super::g::H::new(crate::i::J);\n
                use m::N;";
    let module = ["k".to_owned(), "l".to_owned()];
    let mut read: Vec<String> =
        paths(text, &module).into_iter().map(|path| path.join("::")).collect();
    read.sort();
    assert_eq!(read, ["a::b", "a::b::C", "a::d", "a::f", "i::J", "k::g::H::new", "k::l::m::N"]);
}
