//! The keys that a file may have: the long names of the options, read as the options are.

use std::any::TypeId;
use std::ffi::OsString;
use std::iter;
use std::path::{Path, PathBuf};

use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue};
use clap::{Arg, ArgAction, Command};

use super::document::{ConfigFault, Entry, TomlValue};

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

/// An option's identifier in clap, and what a file gives it.
#[derive(Debug, Clone)]
pub(super) struct Value {
    pub(super) id: String,
    pub(super) line: usize,
    /// Each as it would be typed.
    raw_values: Vec<OsString>,
}

/// The options that a file may set.
#[derive(Debug)]
pub(super) struct Schema {
    process: Vec<Arg>,
    listener: Vec<Arg>,
    /// An option for each of them, to ask what a wrong key was meant to be.
    all: Command,
}

impl Schema {
    pub(super) fn new(process: &Command, listener: &Command) -> Self {
        let args = |command: &Command| command.get_arguments().cloned().collect::<Vec<_>>();
        let (process, listener) = (args(process), args(listener));
        let all = Command::new("all").disable_help_flag(true).disable_version_flag(true);
        let all = all.args(process.iter().chain(&listener).cloned());
        Self { process, listener, all }
    }

    /// The options behind all keys, and whether each is the process's.
    pub(super) fn args(&self) -> impl Iterator<Item = (&Arg, bool)> {
        let listener = self.listener.iter().map(|arg| (arg, false));
        self.process.iter().map(|arg| (arg, true)).chain(listener)
    }

    /// Reads a key and its value. Paths are taken from the directory.
    pub(super) fn value(
        &self,
        entry: &Entry,
        place: Position,
        directory: &Path,
    ) -> Result<Value, ConfigFault> {
        let Entry { key, line, .. } = entry;
        let fault = |text: String| ConfigFault::at(*line, text);
        let arg = self.arg(key, place).map_err(fault)?;
        let raw_values =
            raw_values(arg, &entry.value).map_err(|text| fault(format!("{key}: {text}")))?;
        let raw_values: Vec<_> = raw_values
            .into_iter()
            .map(|raw_value| relative_to_file(arg, raw_value, directory))
            .collect();
        check(arg, &raw_values).map_err(|text| fault(format!("{key}: {text}")))?;
        Ok(Value { id: arg.get_id().to_string(), line: *line, raw_values })
    }

    fn arg(&self, key: &str, place: Position) -> Result<&Arg, String> {
        let of = |args: &'_ [Arg]| args.iter().position(|arg| arg.get_long() == Some(key));
        match (of(&self.process), of(&self.listener), place) {
            (Some(_), _, Position::Within) => Err(format!(
                "{key:?} applies to the whole process; move it to the top of the file, before any \
                 [[listener]]"
            )),
            (Some(at), ..) => Ok(&self.process[at]),
            (_, Some(_), Position::Above) if key == "name" => {
                Err("\"name\" belongs to one listener; move it into its [[listener]]".to_owned())
            }
            (_, Some(at), _) => Ok(&self.listener[at]),
            (None, None, _) => Err(self.unknown(key)),
        }
    }

    fn unknown(&self, key: &str) -> String {
        match key {
            "config" => {
                return "a configuration file can't name another one; remove \
             \"config\""
                    .to_owned();
            }
            "help" | "version" => return format!("{key:?} can't be set in a file; remove it"),
            _ => {}
        }
        let meant = self.meant(key).map(|name| format!("; did you mean {name:?}?"));
        let remedy = || "; `countersign serve --help` lists the keys".to_owned();
        format!("unknown key {key:?}{}", meant.unwrap_or_else(remedy))
    }

    /// The key that is most like this one, as clap finds it for an option.
    fn meant(&self, key: &str) -> Option<String> {
        let is_word = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        if key.is_empty() || !key.chars().all(is_word) {
            return None;
        }
        let argv = ["all".to_owned(), format!("--{key}")];
        let error = self.all.clone().try_get_matches_from(argv).err()?;
        match error.get(ContextKind::SuggestedArg)? {
            ContextValue::String(name) => Some(name.trim_start_matches('-').to_owned()),
            _ => None,
        }
    }
}

/// Whether an option is on or off.
fn is_switch(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::SetTrue)
}

/// The raw values of an entry, each as it would be typed after the option.
fn raw_values(arg: &Arg, value: &TomlValue) -> Result<Vec<String>, String> {
    let takes_many = matches!(arg.get_action(), ArgAction::Append);
    match value {
        TomlValue::Switch(is_on) if is_switch(arg) => Ok(vec![is_on.to_string()]),
        _ if is_switch(arg) => Err("write true or false".to_owned()),
        TomlValue::Many(values) if takes_many => {
            values.iter().map(|each| raw_value(arg, each)).collect()
        }
        TomlValue::Many(_) => Err("this takes one value, not an array".to_owned()),
        value => Ok(vec![raw_value(arg, value)?]),
    }
}

fn raw_value(arg: &Arg, value: &TomlValue) -> Result<String, String> {
    let is_octal = named(arg, "MODE");
    match value {
        TomlValue::Text(text) => Ok(text.clone()),
        TomlValue::Number(digits, 8) if is_octal => Ok(digits.clone()),
        TomlValue::Number(..) if is_octal => {
            Err("a mode is octal; write it like \"0660\" or 0o660".to_owned())
        }
        TomlValue::Number(digits, base) => i64::from_str_radix(digits, *base)
            .map(|number| number.to_string())
            .map_err(|_| "the number is too large".to_owned()),
        TomlValue::Switch(is_on) if is_a::<bool>(arg) => Ok(is_on.to_string()),
        TomlValue::Switch(_) => Err("write a value in quotes, not true or false".to_owned()),
        TomlValue::Many(_) => Err("nested arrays are not supported".to_owned()),
        TomlValue::Other(what) => Err(format!("write text or a whole number, not {what}")),
    }
}

/// Whether values of the option are of this type.
fn is_a<T: 'static>(arg: &Arg) -> bool {
    arg.get_value_parser().type_id() == TypeId::of::<T>()
}

fn named(arg: &Arg, name: &str) -> bool {
    arg.get_value_names().is_some_and(|names| names.iter().any(|each| each == name))
}

/// The raw value. A relative path, or that of a Unix socket, is resolved against the directory.
fn relative_to_file(arg: &Arg, raw_value: String, directory: &Path) -> OsString {
    if is_a::<PathBuf>(arg) && !raw_value.is_empty() {
        return directory.join(raw_value).into();
    }
    match raw_value.strip_prefix("unix:") {
        Some(path) if named(arg, "ADDR") && !path.is_empty() && !path.starts_with('@') => {
            let mut address = OsString::from("unix:");
            address.push(directory.join(path));
            address
        }
        _ => raw_value.into(),
    }
}

/// Parses the raw values with clap, as on the command line.
fn check(arg: &Arg, raw_values: &[OsString]) -> Result<(), String> {
    let Some(long) = arg.get_long().filter(|_| !is_switch(arg)) else { return Ok(()) };
    let typed = raw_values.iter().map(|raw_value| {
        let mut typed = OsString::from(format!("--{long}="));
        typed.push(raw_value);
        typed
    });
    let alone = Command::new("alone").arg(arg.clone().env(Resettable::Reset));
    let read = alone.try_get_matches_from(iter::once("alone".into()).chain(typed));
    read.map(drop).map_err(|error| {
        // The key stands in front already.
        let option = error.get(ContextKind::InvalidArg).map(|arg| format!(" for '{arg}'"));
        in_one_line(&error).replace(&option.unwrap_or_default(), "")
    })
}

/// What clap says, without its colours and the hint at help.
pub(super) fn in_one_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let said = text.lines().take_while(|line| !line.starts_with("For more information"));
    let said: Vec<&str> = said.map(str::trim).filter(|line| !line.is_empty()).collect();
    let said = said.join(" ").replace(" tip: ", "; ");
    said.strip_prefix("error: ").unwrap_or(&said).to_owned()
}

/// Has a command take the values for its defaults; where a listener has its own, the environment
/// isn't asked.
pub(super) fn inject(command: Command, top: &[Value], own: &[Value]) -> Command {
    let command = top.iter().fold(command, |command, Value { id, raw_values, .. }| {
        command.mut_arg(id, |arg| arg.default_values(raw_values))
    });
    own.iter().fold(command, |command, Value { id, raw_values, .. }| {
        command.mut_arg(id, |arg| arg.default_values(raw_values).env(Resettable::Reset))
    })
}
