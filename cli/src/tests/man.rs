//! The manual pages and the shells' completions, made from the options as they are.
//!
//! They are committed, and this holds them current. The program that people install doesn't make
//! them, and so doesn't carry what does:
//! `COUNTERSIGN_BLESS=1 cargo test -p countersign-verbs pages` writes them anew.

mod formats;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use clap::Command;
use clap::builder::StyledStr;
use clap_complete::Shell;
use clap_mangen::Man;
use roff::{Roff, roman};

use crate::version::VERSION;

/// The pages by their paths in `deploy/`.
type Pages = BTreeMap<String, String>;

fn command() -> Command {
    // The commit is not the page's.
    let mut command = crate::command().long_version(None);
    command.build();
    command
}

/// A page for the command, and one for each of its verbs.
fn add_manual(pages: &mut Pages, command: &Command, exits: &str, above: &[String]) {
    let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    let man = Man::new(command.clone());
    // Without a date; clap_mangen would write none, and the version in its place.
    let mut text = Vec::from(format!(".TH {name} 1 \"\" \"countersign {VERSION}\"\n"));
    man.render_name_section(&mut text).unwrap();
    man.render_synopsis_section(&mut text).unwrap();
    man.render_description_section(&mut text).unwrap();
    man.render_options_section(&mut text).unwrap();
    let verbs: Vec<&Command> =
        command.get_subcommands().filter(|verb| !verb.is_hide_set()).collect();
    if !verbs.is_empty() {
        man.render_subcommands_section(&mut text).unwrap();
    }
    let mut rest = Roff::new();
    if let Some(examples) = command.get_before_long_help() {
        rest.control("SH", ["EXAMPLES"]).control("nf", []);
        for line in examples.to_string().lines().skip(1) {
            rest.text([roman(line.trim_start())]);
        }
        rest.control("fi", []);
    }
    let own = command.get_after_help().map(StyledStr::to_string).filter(|own| own != exits);
    let ends = own.iter().flat_map(|own| own.lines()).chain(exits.lines());
    let (environment, exits_all): (Vec<&str>, Vec<&str>) =
        ends.partition(|line| line.starts_with("Every option"));
    for (section, lines) in [("EXIT STATUS", exits_all), ("ENVIRONMENT", environment)] {
        rest.control("SH", [section]);
        for line in lines {
            rest.text([roman(line)]);
        }
    }
    let below = verbs.iter().filter_map(|verb| verb.get_display_name()).map(str::to_owned);
    let others = above.iter().cloned().chain(below).map(|other| format!("{other}(1)"));
    rest.control("SH", ["SEE ALSO"]).text([roman(others.collect::<Vec<_>>().join(", "))]);
    let text = String::from_utf8(text).unwrap() + &rest.to_roff();
    pages.insert(format!("man/{name}.1"), text);
    let above = [above, &[name]].concat();
    for verb in verbs {
        add_manual(pages, verb, exits, &above);
    }
}

fn pages() -> Pages {
    let mut command = command();
    let exits = command.get_after_help().map(StyledStr::to_string).unwrap();
    let mut pages = Pages::new();
    add_manual(&mut pages, &command, &exits, &[]);
    pages.extend(formats::pages().map(|(name, text)| (format!("man/{name}"), text)));
    let shells = [
        (Shell::Bash, "countersign.bash"),
        (Shell::Fish, "countersign.fish"),
        (Shell::Zsh, "_countersign"),
    ];
    for (shell, name) in shells {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut command, "countersign", &mut text);
        pages.insert(format!("completions/{name}"), String::from_utf8(text).unwrap());
    }
    pages
}

/// The pages that are there.
fn committed(deploy: &Path) -> Pages {
    let folders = ["man", "completions"].into_iter().filter(|folder| deploy.join(folder).is_dir());
    let files = folders.flat_map(|folder| {
        let files = fs::read_dir(deploy.join(folder)).unwrap();
        files.map(move |file| format!("{folder}/{}", file.unwrap().file_name().display()))
    });
    files.map(|name| (name.clone(), fs::read_to_string(deploy.join(&name)).unwrap())).collect()
}

#[test]
fn the_pages_and_completions_are_those_of_the_options() {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    let (pages, committed) = (pages(), committed(&deploy));
    if std::env::var_os("COUNTERSIGN_BLESS").is_some() {
        for name in committed.keys() {
            fs::remove_file(deploy.join(name)).unwrap();
        }
        for (name, text) in &pages {
            let path = deploy.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        return;
    }
    let names = |pages: &Pages| pages.keys().cloned().collect::<Vec<_>>();
    let remedy = "COUNTERSIGN_BLESS=1 cargo test -p countersign-verbs pages";
    assert_eq!(names(&pages), names(&committed), "write them anew: {remedy}");
    for (name, text) in &pages {
        let old = committed[name].lines().zip(text.lines()).find(|(old, new)| old != new);
        assert!(*text == committed[name], "{name}: {old:?}; write it anew: {remedy}");
    }
}

#[test]
fn every_option_is_on_a_page_and_no_page_has_a_commit() {
    let pages = pages();
    for (name, text) in &pages {
        assert!(!text.contains(crate::version::COMMIT), "{name}");
    }
    let serve = &pages["man/countersign-serve.1"];
    for option in ["\\-\\-bind", "COUNTERSIGN_BIND", "\\-\\-max\\-connections"] {
        assert!(serve.contains(option), "{option}");
    }
}
