//! The page and the cases hold each other: every sentence that demands something has a case, and
//! every case quotes its paragraph.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use countersign_conformance::{Case, Cases, TestedEnd};
use serde::Deserialize;

/// A sentence that no case tests, and why.
#[derive(Deserialize)]
struct Untested {
    says: String,
    why: String,
}

#[derive(Deserialize)]
struct UntestedFile {
    untested: Vec<Untested>,
}

/// A paragraph by its number, with the number of its section's title.
struct Paragraph {
    section: String,
    text: String,
}

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    std::fs::read_to_string(root.join(path)).unwrap()
}

fn all() -> Vec<(Cases, Case)> {
    let ends = [TestedEnd::Server, TestedEnd::Client].map(|end| Cases::of(end).unwrap());
    let pairs = |cases: Cases| {
        let list = cases.list.clone();
        list.into_iter().map(move |case| (cases.clone(), case))
    };
    ends.into_iter().flat_map(pairs).collect()
}

fn untested() -> Vec<Untested> {
    toml::from_str::<UntestedFile>(&read("tests/vectors/conformance-1/untested.toml"))
        .unwrap()
        .untested
}

/// Words with one blank between them.
fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The number that a line begins with, as `**2.3**` or `- **2.3**`.
fn number(line: &str) -> Option<(&str, &str)> {
    let rest = line.strip_prefix("- ").unwrap_or(line).strip_prefix("**")?;
    let (number, rest) = rest.split_once("**")?;
    let is_number = number.chars().all(|c| c.is_ascii_digit() || c == '.') && number.contains('.');
    is_number.then_some((number, rest))
}

/// The numbered paragraphs, each up to the next number or title.
fn paragraphs() -> BTreeMap<String, Paragraph> {
    let page = read("src/manual/protocol.md");
    let mut all: BTreeMap<String, Paragraph> = BTreeMap::new();
    let (mut section, mut current) = (String::new(), None);
    for line in page.lines() {
        if line.starts_with('#') {
            section = line.trim_start_matches(['#', ' ']).trim_matches('`').to_owned();
            current = None;
        }
        let mut rest = line;
        if let Some((number, text)) = number(line) {
            let paragraph = Paragraph { section: section.clone(), text: String::new() };
            assert!(all.insert(number.to_owned(), paragraph).is_none(), "{number} is there twice");
            current = Some(number.to_owned());
            rest = text;
        }
        if let Some(number) = &current {
            let text = &mut all.get_mut(number).unwrap().text;
            text.push_str(rest);
            text.push('\n');
        }
    }
    assert!(all.len() > 30, "{} paragraphs", all.len());
    all
}

/// The sentences of a paragraph; a row of a table and a line of a listing are sentences too.
fn sentences(text: &str) -> Vec<String> {
    let mut sentences = Vec::new();
    let mut prose = String::new();
    let mut is_listing = false;
    for line in text.lines() {
        let is_fence = line.starts_with("```");
        is_listing ^= is_fence;
        if is_fence || line.starts_with("| ---") || line.starts_with("| |") {
            continue;
        }
        if is_listing || line.starts_with('|') {
            sentences.push(line.trim_matches('|').to_owned());
        } else {
            prose.push_str(line);
            prose.push('\n');
        }
    }
    let flat = plain(&prose);
    sentences.extend(flat.split_inclusive(". ").map(str::to_owned));
    let words = sentences.iter().map(|sentence| plain(sentence));
    words.filter(|sentence| sentence.chars().any(char::is_alphanumeric)).collect()
}

#[test]
fn every_case_quotes_the_paragraph_that_its_id_names() {
    let paragraphs = paragraphs();
    let page = plain(&paragraphs.values().map(|it| &*it.text).collect::<String>());
    let mut ids = BTreeSet::new();
    for (cases, case) in all() {
        let id = &case.id;
        assert!(ids.insert(id.clone()), "{id} is there twice");
        let letter = if cases.end == TestedEnd::Server { "S" } else { "C" };
        let end = id.rsplit('-').next().unwrap();
        assert!(end.starts_with(letter) && end.len() == 3, "{id} is not numbered for its end");
        let paragraph = paragraphs.get(case.paragraph());
        let paragraph = paragraph.unwrap_or_else(|| panic!("{id} names no paragraph"));
        let text = plain(&paragraph.text);
        assert!(text.contains(&plain(&case.says)), "{id}: the page does not say {:?}", case.says);
        for also in &case.also {
            assert!(page.contains(&plain(also)), "{id}: the page does not say {also:?}");
        }
        let title = format!("({})", paragraph.section);
        assert!(
            cases.place(&case).ends_with(&title),
            "{id}: {} is not {title}",
            cases.place(&case)
        );
    }
    assert!(ids.len() >= 120, "{} cases", ids.len());
}

#[test]
fn every_sentence_that_demands_something_has_a_case() {
    let quotes: Vec<String> = all()
        .iter()
        .flat_map(|(_, case)| [&case.says].into_iter().chain(&case.also))
        .map(|quote| plain(quote))
        .collect();
    let untested = untested();
    let mut used = BTreeSet::new();
    let mut missing = Vec::new();
    for (number, paragraph) in paragraphs() {
        for sentence in sentences(&paragraph.text) {
            let overlaps = |quote: &String| sentence.contains(quote) || quote.contains(&sentence);
            let is_tested = quotes.iter().any(overlaps);
            let excuse = untested.iter().position(|it| sentence.contains(&plain(&it.says)));
            used.extend(excuse);
            if !is_tested && excuse.is_none() {
                missing.push(format!("{number}: {sentence}"));
            }
        }
    }
    assert!(missing.is_empty(), "no case for:\n{}", missing.join("\n"));
    for (at, each) in untested.iter().enumerate() {
        assert!(used.contains(&at), "the page does not say {:?}", each.says);
        assert!(each.why.len() > 10, "{:?} needs a reason", each.says);
    }
}
