//! The configuration file of `serve`, which accepts every option of the command line.
//!
//! A value in the file is parsed as if it were typed. The command line overrides the file.
//! The environment overrides the top of a file but not the table of a listener: a variable is set
//! for the process, and can't be for one of several listeners.

mod document;
mod schema;
#[cfg(test)]
mod tests;
mod value;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::error::ContextKind;
use clap::{Arg, Command, FromArgMatches as _};
use countersign::files::{FileError, FileRules};

use crate::args::environment;
use crate::args::listener::ListenerArgs;
use crate::args::origins::{Location, Origins, Source};
use crate::args::process::{ConfigArgs, ProcessArgs};
use crate::exit::{Failure, Kind, chain, describe};
use document::{ConfigFault, Document, Entry, Table};
use schema::Position;
use value::Value;

/// Where the settings of a server come from: a file, if there is one, and what overrides it.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    path: Option<Arc<Path>>,
    /// As the command line and the environment set them.
    args: ConfigArgs,
}

/// The settings of a server, from all sources.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) process: ProcessArgs,
    pub(crate) listeners: Vec<ListenerArgs>,
}

impl Settings {
    /// The settings that differ from those in force and need a restart.
    pub(crate) fn fixed_changes(&self, now: &Self) -> Vec<String> {
        if self.listeners.len() != now.listeners.len() {
            let (wanted, now) = (self.listeners.len(), now.listeners.len());
            return vec![format!(
                "there are {wanted} listeners instead of {now}; restart the server"
            )];
        }
        let mut changes = Vec::new();
        for (place, (wanted, now)) in self.listeners.iter().zip(&now.listeners).enumerate() {
            for key in wanted.origins.names().filter(|key| !schema::is_reloaded(key)) {
                let is_process = schema::PROCESS.contains(&key);
                let is_same = wanted.origins.written(key) == now.origins.written(key);
                if is_same || (is_process && place > 0) {
                    continue;
                }
                let place = match &wanted.location {
                    // It stands somewhere at the top.
                    Some(location) if is_process => format!("{}: ", location.path.display()),
                    Some(location) => format!("{location}: "),
                    None => String::new(),
                };
                changes.push(format!(
                    "{place}{key} cannot be changed by a reload; restart the server"
                ));
            }
        }
        changes
    }
}

impl Config {
    /// The file, and the options of a command line.
    pub(crate) fn new(path: Option<PathBuf>, args: ConfigArgs, origins: &Origins) -> Self {
        let args = ConfigArgs {
            listener: ListenerArgs { origins: origins.clone(), ..args.listener },
            ..args
        };
        Self { path: path.map(Arc::from), args }
    }

    /// Reads the file, and everything that overrides it. All errors are returned at once.
    pub(crate) fn read(&self) -> Result<Settings, Failure> {
        let Some(path) = &self.path else {
            let ConfigArgs { process, listener } = self.args.clone();
            return Ok(Settings { process, listeners: vec![listener.with_preset()] });
        };
        let bytes = FileRules::settings().read(path).map_err(|fault| unreadable(path, &fault))?;
        self.parse(path, &bytes)
    }

    /// The same, of the text of a file.
    pub(crate) fn parse(&self, path: &Arc<Path>, text: &[u8]) -> Result<Settings, Failure> {
        File { path, args: &self.args }.settings(text)
    }
}

fn unreadable(path: &Path, fault: &FileError) -> Failure {
    let kind = if fault.is_missing() { Kind::NoFile } else { Kind::Configuration };
    let path = path.display();
    let text = match fault {
        FileError::Io(error) => format!("cannot read {path}: {}", describe(error)),
        other => format!("{path}: {}", chain(other)),
    };
    Failure::new(kind, text)
}

/// A file that is being read.
struct File<'f> {
    path: &'f Arc<Path>,
    args: &'f ConfigArgs,
}

impl File<'_> {
    fn settings(&self, bytes: &[u8]) -> Result<Settings, Failure> {
        let document = Document::parse(bytes).map_err(|faults| self.failure(faults))?;
        let mut faults = Vec::new();
        let options = schema::options();
        let mut all = self.args.listener.origins.clone();
        let is_alone = document.listeners.is_empty();
        let position = if is_alone { Position::Alone } else { Position::Above };
        for entry in &document.top {
            faults.extend(self.set(&mut all, &options, entry, position).err());
        }
        let alone = is_alone.then(|| Table { line: 1, entries: Vec::new() });
        let mut tables = Vec::new();
        for Table { line, entries } in document.listeners.into_iter().chain(alone) {
            let mut own = all.clone();
            for entry in &entries {
                faults.extend(self.set(&mut own, &options, entry, Position::Within).err());
            }
            tables.push((line, own));
        }
        if !faults.is_empty() {
            return Err(self.failure(faults));
        }
        let process = self.typed(&options, &all)?.process;
        let listener = |(line, origins)| {
            let ConfigArgs { listener, .. } = self.typed(&options, &origins)?;
            let location = Some(self.location(line));
            Ok(ListenerArgs { location, origins, ..listener }.with_preset())
        };
        let listeners = tables.into_iter().map(listener).collect::<Result<Vec<_>, Failure>>()?;
        self.refuse_of_one(&listeners)?;
        let faults = duplicates(&listeners, process.admin.address());
        match faults.is_empty() {
            true => Ok(Settings { process, listeners }),
            false => Err(self.failure(faults)),
        }
    }

    /// The options with these values.
    fn typed(&self, options: &Command, origins: &Origins) -> Result<ConfigArgs, Failure> {
        let set = options.get_arguments().filter_map(Arg::get_long);
        let set = set.filter(|name| *origins.source(name) != Source::Default);
        let texts = set.flat_map(|name| {
            origins.written(name).iter().map(move |text| format!("--{name}={text}"))
        });
        let matches = options.clone().try_get_matches_from(texts).map_err(environment::usage)?;
        let mut args = ConfigArgs::from_arg_matches(&matches).map_err(environment::usage)?;
        // A path that was typed may not be UTF-8.
        if matches!(origins.source("keys"), Source::CommandLine | Source::Environment) {
            args.listener.protocol.keys.clone_from(&self.args.listener.protocol.keys);
        }
        Ok(args)
    }

    /// Sets an option, unless something else overrides the file. The value has to be valid anyway.
    fn set(
        &self,
        origins: &mut Origins,
        options: &Command,
        entry: &Entry<'_>,
        position: Position,
    ) -> Result<(), ConfigFault> {
        let Entry { key, line, value } = entry;
        let fault = |text: String| ConfigFault::at(*line, text);
        if let Some(text) = schema::misplaced(key, position) {
            return Err(fault(text));
        }
        let directory = self.path.parent().unwrap_or(Path::new(""));
        let mut args = options.get_arguments();
        let arg = args.find(|arg| arg.get_long() == Some(key));
        let arg = arg.ok_or_else(|| fault(schema::unknown(key)))?;
        let texts = Value { toml: value, directory }.texts(arg);
        let written = texts.and_then(|texts| valid(arg, texts));
        let written = written.map_err(|text| fault(format!("{key}: {text}")))?;
        let is_overridden = match origins.source(key) {
            Source::CommandLine => true,
            Source::Environment => position != Position::Within,
            Source::File(_) | Source::Default => false,
        };
        if !is_overridden {
            origins.set(key, self.location(*line), written);
        }
        Ok(())
    }

    /// An option of one listener can't be given for several.
    fn refuse_of_one(&self, listeners: &[ListenerArgs]) -> Result<(), Failure> {
        let count = listeners.len();
        for args in listeners.iter().filter(|_| count > 1) {
            for (key, variable) in [("bind", "COUNTERSIGN_BIND"), ("name", "COUNTERSIGN_NAME")] {
                let said = match args.origins.source(key) {
                    Source::CommandLine => format!("--{key}"),
                    Source::Environment => variable.to_owned(),
                    Source::File(_) | Source::Default => continue,
                };
                let text = format!(
                    "{said} applies to one listener, but {} has {count}; write {key} in each \
                     [[listener]]",
                    self.path.display()
                );
                return Err(Failure::new(Kind::Usage, text));
            }
        }
        Ok(())
    }

    fn location(&self, line: usize) -> Location {
        Location { path: Arc::clone(self.path), line }
    }

    fn failure(&self, mut faults: Vec<ConfigFault>) -> Failure {
        faults.sort();
        let path = self.path.display();
        let lines = faults.iter().map(|fault| format!("{path}:{fault}")).collect();
        Failure::of_all(Kind::Configuration, lines)
    }
}

/// The values of an option, if its parser accepts them.
fn valid(arg: &Arg, texts: Vec<String>) -> Result<Vec<String>, String> {
    let command = Command::new("serve").no_binary_name(true).disable_help_flag(true).arg(arg);
    let long = arg.get_long().unwrap_or_default();
    if let Some(remedy) = schema::emptied(long).filter(|_| texts.is_empty()) {
        return Err(remedy.to_owned());
    }
    let typed = texts.iter().map(|text| format!("--{long}={text}"));
    let parsed = command.try_get_matches_from(typed);
    parsed.map(|_| texts).map_err(|error| {
        // The key stands in front already.
        let option = error.get(ContextKind::InvalidArg).map(|arg| format!(" for '{arg}'"));
        environment::in_one_line(&error).replace(&option.unwrap_or_default(), "")
    })
}

/// Listeners that have a name or an address in common, or the address of the pages.
fn duplicates(listeners: &[ListenerArgs], admin: Option<&str>) -> Vec<ConfigFault> {
    let admin = admin.and_then(identity);
    let mut faults = Vec::new();
    let mut seen: HashMap<(&str, String), usize> = HashMap::new();
    for listener in listeners {
        let Some(location) = &listener.location else { continue };
        let name = listener.name.iter().map(|name| ("name", name.clone(), location.line));
        let line = listener.of_bind().map_or(location.line, |location| location.line);
        let addresses =
            listener.bind.iter().filter_map(|address| Some(("address", identity(address)?, line)));
        for (what, text, line) in name.chain(addresses) {
            if what == "address" && admin.as_ref() == Some(&text) {
                let text = format!("the address {text} is also the --admin address");
                faults.push(ConfigFault::at(line, text));
            }
            if let Some(other) = seen.insert((what, text.clone()), line) {
                let text = format!("the {what} {text} is already used on line {other}");
                faults.push(ConfigFault::at(line, text));
            }
        }
    }
    faults
}

/// A key that is equal for equal addresses. Port 0 is never equal to another.
fn identity(address: &str) -> Option<String> {
    match address.parse::<SocketAddr>() {
        Ok(ip) if ip.port() == 0 => None,
        Ok(ip) => Some(ip.to_string()),
        Err(_) if address.ends_with(":0") && !address.starts_with("unix:") => None,
        Err(_) => Some(address.to_owned()),
    }
}
