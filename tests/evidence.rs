//! The page of evidence is true to the pages whose sentences it quotes, and to what it names.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};

/// The pages that promise something, each up to the heading behind which nothing is promised.
const PAGES: [(&str, &str); 2] =
    [("src/manual/security.md", "\n# The formal model"), ("README.md", "\n## More")];

/// Where tests are, and what else a row may name.
const SOURCES: [&str; 12] = [
    "benches",
    "capi",
    "cli",
    "clients/python",
    "conformance",
    "load",
    "program",
    "proto",
    "relay",
    "serve",
    "src",
    "tests",
];

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The text without emphasis, the targets of links, and breaks between lines.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['[', ']', '*']) {
        plain += &rest[..at];
        let mark = rest.as_bytes()[at];
        rest = &rest[at + 1..];
        let target = match (mark, rest.bytes().next()) {
            (b']', Some(b'(')) => rest.find(')'),
            (b']', Some(b'[')) => rest.find(']'),
            _ => None,
        };
        rest = target.map_or(rest, |end| &rest[end + 1..]);
    }
    plain += rest;
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The rows of all tables that have claims.
fn rows(page: &str) -> Vec<(String, &str)> {
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let cells = rows.filter_map(|row| row.split_once(" | "));
    let mut claims = Vec::new();
    let mut in_claims = false;
    for (first, second) in cells {
        match (first, second) {
            ("claim", _) => in_claims = true,
            ("command", _) => in_claims = false,
            ("---", _) => {}
            _ if in_claims => claims.push((plain(first), second)),
            _ => {}
        }
    }
    claims
}

/// What is in back quotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The paragraphs, points and rows of a page, without headings and listings.
fn blocks(page: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    for (index, part) in page.split("```").enumerate() {
        if index % 2 == 1 {
            continue;
        }
        for paragraph in part.split("\n\n").filter(|text| !text.trim().starts_with(['#', '|'])) {
            let points = paragraph.trim().trim_start_matches("- ").split("\n- ").map(plain);
            blocks.extend(points.filter(|text| !text.is_empty()));
        }
    }
    blocks
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn each_claim_is_on_its_page_and_each_promise_has_a_claim() {
    let evidence = read("src/manual/evidence.md");
    let claims = rows(&evidence);
    let (_, unpromised) = evidence.split_once("# What promises nothing").unwrap();
    let unpromised: Vec<String> =
        unpromised.lines().filter_map(|line| line.strip_prefix("- ")).map(plain).collect();
    let mut pages = String::new();
    let mut complaints = Vec::new();
    for (path, end) in PAGES {
        let page = read(path);
        let (promises, _) = page.split_once(end).unwrap();
        pages += &plain(promises);
        for block in blocks(promises) {
            let covered = claims.iter().any(|(claim, _)| block.contains(claim))
                || unpromised.iter().any(|opening| block.starts_with(opening.as_str()));
            if !covered {
                complaints.push(format!("{path}: nothing shows: {block}"));
            }
        }
    }
    for claim in claims.iter().map(|(claim, _)| claim).chain(&unpromised) {
        if !pages.contains(claim.as_str()) {
            complaints.push(format!("no page says: {claim}"));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn what_shows_a_claim_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    for folder in SOURCES {
        files(&root.join(folder), &mut sources);
    }
    let code: String = sources.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let evidence = read("src/manual/evidence.md");
    let rows = rows(&evidence);
    let missing: Vec<&str> = rows
        .iter()
        .flat_map(|(_, shown)| quoted(shown))
        .filter(|name| match name.split(' ').next() {
            Some(path) if path.contains('/') => !root.join(path).exists(),
            _ => name.contains('_') && !code.contains(&format!("fn {name}(")),
        })
        .collect();
    assert!(missing.is_empty(), "neither a test nor a file: {missing:#?}");
}
