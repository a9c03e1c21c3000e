//! The pages of section 5: what stands in the files. They are chapters of the manual, so there is
//! one text, and behind it the keys that the parser knows.

use clap::{Arg, ArgAction, Args as _, Command};
use countersign::{KeyRing, KeyRingExt as _};
use roff::{Inline, Roff, bold, roman};

use crate::args::listener::ListenerArgs;
use crate::args::process::ProcessArgs;
use crate::exit::said;
use crate::version::VERSION;

const MANUAL: &str = include_str!("../../../../src/manual/operations.md");

/// Each page's name, what it is about, the chapter that it is made of, and what else to see.
const PAGES: [(&str, &str, &str, &str); 2] = [
    (
        "countersign-keys",
        "the file of keys",
        "Keys",
        "countersign-keygen(1), countersign-keys(1), countersign.toml(5)",
    ),
    (
        "countersign.toml",
        "the configuration of a server",
        "Configuration",
        "countersign-serve(1), countersign-check-config(1), countersign-keys(5)",
    ),
];

/// The pages by their names.
pub(super) fn pages() -> impl Iterator<Item = (String, String)> {
    PAGES.into_iter().map(|(name, about, title, others)| {
        let mut page = Roff::new();
        page.control("SH", ["NAME"]).text([roman(format!("{name} - {about}"))]);
        page.control("SH", ["DESCRIPTION"]);
        render(&mut page, chapter(title));
        if title == "Configuration" {
            add_keys(&mut page);
        }
        page.control("SH", ["SEE ALSO"]).text([roman(others)]);
        let head = format!(".TH {name} 5 \"\" \"countersign {VERSION}\"\n");
        (format!("{name}.5"), head + &page.to_roff())
    })
}

/// What stands below a heading of the manual, up to the next of its rank.
fn chapter(title: &str) -> &'static str {
    let (_, rest) = MANUAL.split_once(&format!("\n# {title}\n")).unwrap();
    let mut is_code = false;
    let mut is_heading = |line: &&str| {
        is_code ^= line.starts_with("```");
        !is_code && line.starts_with("# ")
    };
    let end =
        rest.lines().find(|line| is_heading(line)).map(|next| rest.find(&format!("\n{next}\n")));
    rest[..end.flatten().unwrap_or(rest.len())].trim()
}

/// Writes what the manual uses of Markdown as a page.
fn render(page: &mut Roff, text: &str) {
    let mut lines = text.lines().peekable();
    let mut is_open = false;
    while let Some(line) = lines.next() {
        let ordinal = line.split_once(". ").filter(|(number, _)| number.parse::<u8>().is_ok());
        let was_open = std::mem::replace(&mut is_open, false);
        if line.starts_with("```") {
            page.control("RS", ["4"]).control("nf", []);
            lines.by_ref().take_while(|line| *line != "```").for_each(|line| {
                page.text([roman(if line.is_empty() { " " } else { line })]);
            });
            page.control("fi", []).control("RE", []);
        } else if let Some(title) = line.strip_prefix("## ") {
            page.control("SS", [title]);
            // No paragraph begins where a part does.
            is_open = true;
            lines.next_if(|line| line.is_empty());
        } else if line.starts_with('|') {
            // The first two lines are the heads of the columns.
            lines.next();
            while let Some(row) = lines.next_if(|line| line.starts_with('|')) {
                let mut cells = row.trim_matches('|').split(" | ").map(str::trim);
                let (name, about) = (cells.next().unwrap(), cells.collect::<Vec<_>>().join(", "));
                page.control("TP", []).text(inline(name)).text(inline(&about));
            }
        } else if let Some(item) = line.strip_prefix("- ") {
            page.control("IP", ["\\(bu", "2"]).text(inline(item));
            is_open = true;
        } else if let Some((number, item)) = ordinal {
            page.control("IP", [&*format!("{number}."), "3"]).text(inline(item));
            is_open = true;
        } else if !line.is_empty() {
            if !was_open {
                page.control("PP", []);
            }
            page.text(inline(line.trim_start()));
            is_open = true;
        }
    }
}

/// Code in bold; of links, what is read.
fn inline(text: &str) -> Vec<Inline> {
    let mut parts = Vec::new();
    for (number, part) in text.split('`').enumerate() {
        if number % 2 == 1 {
            parts.push(bold(part));
            continue;
        }
        let mut rest = part;
        while let Some((before, link)) = rest.split_once('[') {
            let Some((shown, behind)) = link.split_once("](") else { break };
            parts.extend([roman(before), roman(shown)]);
            rest = behind.split_once(')').map_or("", |(_, rest)| rest);
        }
        parts.push(roman(rest.replace("**", "")));
    }
    parts
}

/// Every key that the parser knows, by where it may stand.
fn add_keys(page: &mut Roff) {
    for (title, of_process) in [("KEYS OF THE PROCESS", true), ("KEYS OF A LISTENER", false)] {
        page.control("SH", [title]);
        let process = ProcessArgs::augment_args(Command::new("process"));
        let listener = ListenerArgs::augment_args(Command::new("listener"));
        let keys = if of_process { process } else { listener };
        for arg in keys.get_arguments() {
            page.control("TP", []);
            page.text([bold(arg.get_long().unwrap()), roman(" = "), roman(value(arg))]);
            let help = arg.get_long_help().or(arg.get_help()).unwrap().to_string();
            for (number, line) in help.lines().filter(|line| !line.is_empty()).enumerate() {
                if number > 0 {
                    page.control("IP", []);
                }
                page.text([roman(line)]);
            }
        }
    }
}

/// How a value is written, with the default for an example.
fn value(arg: &Arg) -> String {
    if matches!(arg.get_action(), ArgAction::SetTrue) {
        return "true or false".to_owned();
    }
    let names = arg.get_value_names().unwrap_or_default();
    let name = names.first().map_or("", |name| name.as_str());
    let shown = if name == "N" { name.to_owned() } else { format!("\"{name}\"") };
    let many =
        if matches!(arg.get_action(), ArgAction::Append) { ", or several in [ ]" } else { "" };
    let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.display()).collect();
    match defaults.first() {
        Some(default) if name == "N" => format!("{shown}{many} (default: {default})"),
        Some(default) => format!("{shown}{many} (default: \"{default}\")"),
        None => format!("{shown}{many}"),
    }
}

#[test]
fn the_page_of_keys_has_all_that_the_parser_takes() {
    let page = pages().next().unwrap().1.replace("\\-", "-");
    // The parser itself says what it takes.
    for wrong in ["a text:0123456789abcdef of=none", "a none:0123456789abcdef"] {
        let remedy = said(KeyRing::parse(wrong.as_bytes()).unwrap_err().cause());
        let words = remedy.split([' ', ',', ';']).filter(|word| word.ends_with(['=', ':']));
        let words: Vec<&str> = words.filter(|word| !word.starts_with(char::is_numeric)).collect();
        assert!(words.len() >= 4, "{remedy}");
        for word in words {
            assert!(page.contains(word), "{word} of {remedy}");
        }
    }
}
