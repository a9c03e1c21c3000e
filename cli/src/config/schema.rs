//! The keys that a file may have: the long names of the options of `serve`.

use clap::builder::BoolishValueParser;
use clap::error::{ContextKind, ContextValue};
use clap::{ArgAction, Args as _, Command};

use super::value::SWITCH;
use crate::args::limits;
use crate::args::process::ConfigArgs;

/// The keys that are the process's. All others are a listener's.
pub(super) const PROCESS: [&str; 9] = [
    "admin",
    "admin-exposed",
    "admin-unix-mode",
    "busy-poll",
    "close-revoked",
    "fault-seed",
    "log-format",
    "log-level",
    "workers",
];

/// The keys that a reload can change, beside the limits.
const RELOADED: [&str; 7] =
    ["allow", "busy-poll", "close-revoked", "deny", "fault", "keys", "log-level"];

/// Where a key may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Position {
    /// In front of all tables, and there are tables of listeners.
    Above,
    /// The same, and there are none: the file has one listener.
    Alone,
    /// In the table of a listener.
    Within,
}

/// The options, as a file sets them: nothing else is read, and a switch has a value.
pub(super) fn options() -> Command {
    let command = Command::new("serve").no_binary_name(true).disable_help_flag(true);
    ConfigArgs::augment_args(command).mut_args(|arg| match arg.get_action() {
        ArgAction::SetTrue => arg
            .action(ArgAction::Set)
            .value_name(SWITCH)
            .value_parser(BoolishValueParser::new())
            .default_value("false"),
        _ => arg,
    })
}

/// Whether a reload can change it.
pub(super) fn is_reloaded(key: &str) -> bool {
    RELOADED.contains(&key) || limits::is_reloaded(key)
}

/// Why a key can't stand there, if it can't anywhere or not there.
pub(super) fn misplaced(key: &str, position: Position) -> Option<String> {
    match position {
        Position::Within if PROCESS.contains(&key) => Some(format!(
            "{key:?} applies to the whole process; move it to the top of the file, before any \
             [[listener]]"
        )),
        Position::Above if key == "name" => {
            Some("\"name\" belongs to one listener; move it into its [[listener]]".to_owned())
        }
        _ => None,
    }
}

/// Why a key can't be an empty array, if it can't: the default would be in its place.
pub(super) fn emptied(key: &str) -> Option<&'static str> {
    match key {
        "allow" => Some("write at least one network; 0.0.0.0/0, ::/0 and unix allow everybody"),
        "bind" => Some("write at least one address"),
        _ => None,
    }
}

/// The error for an unknown key.
pub(super) fn unknown(key: &str) -> String {
    match key {
        "config" => {
            return "a configuration file can't name another one; remove \"config\"".to_owned();
        }
        "help" | "version" => return format!("{key:?} can't be set in a file; remove it"),
        _ => {}
    }
    let similar = similar(key).map(|name| format!("; did you mean {name:?}?"));
    let remedy = || "; `countersign serve --help` lists the keys".to_owned();
    format!("unknown key {key:?}{}", similar.unwrap_or_else(remedy))
}

/// The key that is most like this one, as clap finds it for an option.
fn similar(key: &str) -> Option<String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    if key.is_empty() || !key.chars().all(is_word) {
        return None;
    }
    let error = options().try_get_matches_from([format!("--{key}")]).err()?;
    match error.get(ContextKind::SuggestedArg)? {
        ContextValue::String(name) => Some(name.trim_start_matches('-').to_owned()),
        _ => None,
    }
}
