//! Names: one word for one thing, one thing for one word, and each from the field.

use std::collections::{BTreeMap, BTreeSet};

use crate::{CRATES, Source, hold, sources};

/// The names that more than one public type may have: none.
const TWICE: &[&str] = &[];

/// The coined names that are there still, or that have another meaning in the field: a file, or a
/// folder, and a name. The same holds for them.
const LEFT: &[(&str, &str)] = &[
    // A part of a load with a rate of its own, as k6 and Nighthawk have it.
    ("load/src/rate_schedule.rs", "Stage"),
    ("cli/src/load/stages.rs", "StageArg"),
    ("cli/src/load/stages.rs", "StageArgs"),
];

/// Words that are nobody's but ours, with what the field says. None is a part of the name of a
/// module, a type, a function or an option.
const COINED: &[(&str, &str)] = &[
    ("aside", "control_out"),
    ("blame", "cause"),
    ("board", "Aggregate"),
    ("book", "records"),
    ("chance", "random"),
    ("course", "State"),
    ("crew", "Workers"),
    ("crowded", "TooManyConnections"),
    ("desk", "Context, or Shared"),
    ("dismissal", "ClosedByService"),
    ("dismissed", "ClosedByService"),
    ("displace", "evict"),
    ("displaced", "evicted"),
    ("door", "Acceptor"),
    ("doors", "Acceptor"),
    ("face", "Banner"),
    ("former", "AuthStatus"),
    ("gate", "Listener"),
    ("gates", "Listeners"),
    ("gossip", "control messages"),
    ("guarded", "Established"),
    ("halt", "stop"),
    ("hoard", "buffer"),
    ("hush", "silence_panics"),
    ("ledger", "counters"),
    ("letter", "ConfigUpdate"),
    ("mail", "Mailbox"),
    ("meant", "Expected"),
    ("moment", "Instant"),
    ("newcomer", "connection"),
    ("newcomers", "connections"),
    ("notes", "EventLog"),
    ("offer", "ConfigUpdate"),
    ("prover", "Claimant"),
    ("reception", "Admission"),
    ("screen", "Banner"),
    ("showing", "StatsPublisher"),
    ("signs", "Flags"),
    ("stage", "State"),
    ("stuck", "Backlog"),
    ("talking", "Established"),
    ("tally", "RateLimit"),
    ("unguarded", "without records"),
    ("unseeded", "RingSecrets are drawn with the ring"),
    ("visitor", "Unauthenticated"),
    ("visitors", "Unauthenticated"),
    ("waits", "Timers"),
    ("words", "control_out, or os_error"),
];

/// What a line of code gives a name to.
#[derive(Debug, PartialEq, Eq)]
struct Definition<'l> {
    is_public: bool,
    kind: &'l str,
    name: &'l str,
}

impl<'l> Definition<'l> {
    /// The item that begins on this line, if one does.
    fn of(line: &'l str) -> Option<Self> {
        let mut words = line.trim_start().split([' ', '<', '(', '{', ';', ':', '=']);
        let mut is_public = false;
        loop {
            let kind = words.next()?;
            match kind {
                "pub" => is_public = true,
                "crate)" | "super)" | "const" | "async" | "unsafe" => {}
                "fn" | "struct" | "enum" | "trait" | "type" | "mod" | "union" => {
                    let name = words.next().filter(|name| !name.is_empty())?;
                    return Some(Self { is_public, kind, name });
                }
                _ => return None,
            }
        }
    }
}

/// The words that a name is made of, in small letters.
fn name_parts(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_small = false;
    for letter in name.chars() {
        if letter == '_' || letter == '-' || (letter.is_uppercase() && was_small) {
            words.push(String::new());
        }
        if letter.is_alphanumeric() {
            words.last_mut().unwrap().extend(letter.to_lowercase());
        }
        was_small = letter.is_lowercase() || letter.is_numeric();
    }
    words
}

fn coined(name: &str) -> Option<&'static (&'static str, &'static str)> {
    let parts = name_parts(name);
    COINED.iter().find(|(word, _)| parts.iter().any(|part| part == word))
}

/// The options that the structs for `clap` describe: each is a field behind its attribute.
fn options(code: &str) -> Vec<&str> {
    let mut options = Vec::new();
    let mut is_next = false;
    for line in code.lines().map(str::trim) {
        if line.starts_with("#[arg") {
            is_next = true;
        } else if let Some((name, _)) = line.split_once(": ").filter(|_| is_next) {
            options.extend(name.split(' ').next_back());
            is_next = false;
        }
    }
    options
}

#[test]
fn every_public_type_has_a_name_of_its_own() {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in sources(&CRATES) {
        let code = source.code_without_tests();
        let types = code.lines().filter_map(Definition::of).filter(|it| {
            it.is_public && ["struct", "enum", "trait", "type", "union"].contains(&it.kind)
        });
        for Definition { name, .. } in types {
            places.entry(name.to_owned()).or_default().push(source.path.display().to_string());
        }
    }
    let twice =
        places.iter().filter(|(name, places)| places.len() > 1 && !TWICE.contains(&&***name));
    let mut complaints: Vec<String> =
        twice.map(|(name, places)| format!("{name}: {}", places.join(", "))).collect();
    let is_once = |name: &&&str| places.get(**name).is_none_or(|places| places.len() < 2);
    let once = TWICE.iter().filter(is_once);
    complaints.extend(once.map(|name| format!("{name} is there once: take it out of TWICE")));
    hold(complaints);
}

#[test]
fn names_are_made_of_the_words_of_the_field() {
    let mut complaints = BTreeSet::new();
    let mut is_needed = vec![false; LEFT.len()];
    let folders = [&CRATES[..], &["tests", "benches", "examples"]].concat();
    for source in sources(&folders).iter().filter(|source| !is_own(source)) {
        let file = source.path.file_stem().and_then(|stem| stem.to_str()).unwrap();
        // A test's name is a sentence, and may hold any word.
        let code = source.code_without_tests();
        let names = code.lines().filter_map(Definition::of).map(|it| it.name);
        let is_left =
            |(place, left): &(&str, &str), name| source.path.starts_with(place) && *left == name;
        for name in names.chain(options(&code)).chain([file]) {
            if let Some(place) = LEFT.iter().position(|left| is_left(left, name)) {
                is_needed[place] = true;
            } else if let Some((word, field)) = coined(name) {
                let what = format!("{name}: {word} is {field}");
                complaints.insert(format!("{}: {what}", source.path.display()));
            }
        }
    }
    let gone = LEFT.iter().zip(is_needed).filter(|(_, is_needed)| !is_needed);
    complaints.extend(gone.map(|(left, _)| format!("{left:?} is gone: take it out of LEFT")));
    hold(complaints.into_iter().collect());
}

fn is_own(source: &Source) -> bool {
    source.path.starts_with("tests/house")
}

#[test]
fn definitions_and_their_words_are_found() {
    let cases = [
        ("pub(crate) struct EventLog {", Some((true, "struct", "EventLog"))),
        ("pub const fn a() {}", Some((true, "fn", "a"))),
        ("    fn is_over(&self) -> bool {", Some((false, "fn", "is_over"))),
        ("type State = usize;", Some((false, "type", "State"))),
        ("pub mod proto;", Some((true, "mod", "proto"))),
        ("let moment = 3;", None),
    ];
    for (line, expected) in cases {
        let found = Definition::of(line).map(|it| (it.is_public, it.kind, it.name));
        assert_eq!(found, expected, "{line}");
    }
    assert_eq!(name_parts("TooManyGates"), ["too", "many", "gates"]);
    assert_eq!(name_parts("at_door"), ["at", "door"]);
    assert_eq!(options("#[arg(long)]\npub(crate) gate: u8,\nother: u8"), ["gate"]);
    assert!(coined("Delegate").is_none() && coined("GateNumber").is_some());
}
