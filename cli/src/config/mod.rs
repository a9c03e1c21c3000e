//! The configuration file of `serve`: every option of the command line can stand there.
//!
//! The values of a file become the defaults of the options, and the command line is read once more
//! for each listener. So a file takes what the options take, and reads it in the same way. The
//! command line overrides the file. The environment overrides the top of a file but not the table
//! of a listener: a variable is set for the process, and can't mean one of several.

mod document;
mod schema;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{ArgMatches, Args as _, Command, FromArgMatches as _};
use countersign::{FileError, FileRules};

use super::args::environment;
use super::args::listener::ListenerArgs;
use super::args::process::{ConfigArgs, ProcessArgs};
use super::exit::{Failure, Kind, chain, plain};
use document::{ConfigFault, Document, Entry, Table};
use schema::{Position, Schema, Value};

/// A file, and the command line that beats it.
#[derive(Debug, Clone)]
pub(crate) struct File {
    path: PathBuf,
    verb: &'static str,
    argv: Vec<OsString>,
}

/// What was asked for, from all sources.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) process: ProcessArgs,
    pub(crate) listeners: Vec<ListenerArgs>,
    /// Every option of each listener, and of the process, as it was written; none without a file,
    /// for then nothing of it can change.
    written: Vec<Vec<RawOption>>,
}

/// An option as it was written, wherever that was.
#[derive(Debug, Clone, PartialEq, Eq)]
struct RawOption {
    id: String,
    name: String,
    raw_values: Vec<OsString>,
    is_process: bool,
}

/// The values of a file.
struct Values {
    top: Vec<Value>,
    /// Each with the line of its table.
    tables: Vec<(usize, Vec<Value>)>,
}

/// Where in a file a listener stands.
#[derive(Debug, Clone)]
pub(crate) struct Location {
    path: PathBuf,
    line: usize,
    /// The line of its addresses, if the file has them.
    bind: Option<usize>,
}

impl Settings {
    /// What differs from what is served now, and can't while it is: all that isn't among these.
    pub(crate) fn fixed_changes(&self, now: &Self, may_change: &[String]) -> Vec<String> {
        if self.listeners.len() != now.listeners.len() {
            let (wanted, now) = (self.listeners.len(), now.listeners.len());
            return vec![format!(
                "there are {wanted} listeners instead of {now}; restart the \
                                 server"
            )];
        }
        let mut changes = Vec::new();
        let both = self.written.iter().zip(&now.written).zip(&self.listeners);
        for (place, ((wanted, now), listener)) in both.enumerate() {
            let fixed = |written: &&RawOption| {
                !may_change.contains(&written.id) && (place == 0 || !written.is_process)
            };
            let differ = wanted.iter().filter(fixed).filter(|written| !now.contains(written));
            changes.extend(differ.map(|RawOption { name, is_process, .. }| {
                let place = match &listener.location {
                    // It stands somewhere at the top.
                    Some(location) if *is_process => format!("{}: ", location.path.display()),
                    Some(location) => format!("{location}: "),
                    None => String::new(),
                };
                format!("{place}{name} cannot be changed by a reload; restart the server")
            }));
        }
        changes
    }
}

impl Location {
    /// Where its addresses stand.
    pub(crate) fn of_bind(&self) -> Self {
        Self { line: self.bind.unwrap_or(self.line), ..self.clone() }
    }
}

impl From<ConfigArgs> for Settings {
    /// Without a file there is one listener.
    fn from(ConfigArgs { process, listener }: ConfigArgs) -> Self {
        Self { process, listeners: vec![listener], written: Vec::new() }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.path.display(), self.line)
    }
}

impl File {
    /// The file for a verb of a command line.
    pub(crate) fn new(path: PathBuf, verb: &'static str, argv: &[OsString]) -> Self {
        Self { path, verb, argv: argv.to_vec() }
    }

    /// Reads it, and everything that beats it. All that is wrong in it is said at once.
    pub(crate) fn read(&self) -> Result<Settings, Failure> {
        let read = FileRules::settings().read(&self.path);
        self.settings(&read.map_err(|fault| self.unreadable(&fault))?)
    }

    fn unreadable(&self, fault: &FileError) -> Failure {
        let kind = if fault.is_missing() { Kind::NoFile } else { Kind::Configuration };
        let path = self.path.display();
        let text = match fault {
            FileError::Io(error) => format!("cannot read {path}: {}", plain(error)),
            other => format!("{path}: {}", chain(other)),
        };
        Failure::new(kind, text)
    }

    fn settings(&self, bytes: &[u8]) -> Result<Settings, Failure> {
        let document = Document::read(bytes).map_err(|faults| self.failure(faults))?;
        let Values { top, tables } =
            self.values(&document).map_err(|faults| self.failure(faults))?;
        let (mut listeners, mut written) = (Vec::new(), Vec::new());
        let mut first = None;
        for (line, own) in &tables {
            let bind = own.iter().chain(&top).find(|value| value.id == "bind");
            let bind = bind.map(|value| value.line);
            let matches = self.overridden(&top, own, tables.len())?;
            let ConfigArgs { process, mut listener } =
                ConfigArgs::from_arg_matches(&matches).map_err(usage)?;
            written.push(as_written(&matches));
            let path = self.path.clone();
            listener.location = Some(Location { path, line: *line, bind });
            listeners.push(listener);
            first.get_or_insert(process);
        }
        let process = first.ok_or_else(|| Failure::new(Kind::General, "there is no listener"))?;
        let faults = duplicates(&listeners, process.admin.address());
        if !faults.is_empty() {
            return Err(self.failure(faults));
        }
        Ok(Settings { process, listeners, written })
    }

    /// What stands at the top, and in each listener's table with its line.
    fn values(&self, document: &Document) -> Result<Values, Vec<ConfigFault>> {
        let schema = schema();
        let directory = self.path.parent().unwrap_or(Path::new(""));
        let mut faults = Vec::new();
        let mut read = |entries: &[Entry], place| {
            let mut values = Vec::new();
            for entry in entries {
                match schema.value(entry, place, directory) {
                    Ok(value) => values.push(value),
                    Err(fault) => faults.push(fault),
                }
            }
            values
        };
        let is_alone = document.listeners.is_empty();
        let top = read(&document.top, if is_alone { Position::Alone } else { Position::Above });
        let mut tables = Vec::new();
        for Table { line, entries } in &document.listeners {
            tables.push((*line, read(entries, Position::Within)));
        }
        if is_alone {
            tables.push((1, Vec::new()));
        }
        if faults.is_empty() { Ok(Values { top, tables }) } else { Err(faults) }
    }

    /// The settings of one of so many listeners. What was typed beats what its own table says, that
    /// beats the environment, and that beats the top of the file.
    fn overridden(
        &self,
        top: &[Value],
        own: &[Value],
        listeners: usize,
    ) -> Result<ArgMatches, Failure> {
        let program =
            super::command().mut_subcommand(self.verb, |verb| schema::inject(verb, top, own));
        let mut matches = environment::parse(|| program.clone(), &self.argv).map_err(usage)?;
        let (_, matches) = matches
            .remove_subcommand()
            .ok_or_else(|| Failure::new(Kind::General, "there is no verb"))?;
        if listeners > 1 {
            self.refuse_of_one(&matches, listeners)?;
        }
        Ok(matches)
    }

    /// What is one listener's can't be said of several.
    fn refuse_of_one(&self, matches: &ArgMatches, listeners: usize) -> Result<(), Failure> {
        for (id, variable) in [("bind", "COUNTERSIGN_BIND"), ("name", "COUNTERSIGN_NAME")] {
            let said = match matches.value_source(id) {
                Some(ValueSource::CommandLine) => format!("--{id}"),
                Some(ValueSource::EnvVariable) => variable.to_owned(),
                _ => continue,
            };
            let text = format!(
                "{said} applies to one listener, but {} has {listeners}; write {id} in each \
                 [[listener]]",
                self.path.display()
            );
            return Err(Failure::new(Kind::Usage, text));
        }
        Ok(())
    }

    fn failure(&self, mut faults: Vec<ConfigFault>) -> Failure {
        faults.sort();
        let path = self.path.display();
        let lines = faults.iter().map(|fault| format!("{path}:{fault}")).collect();
        Failure::of_all(Kind::Configuration, lines)
    }
}

/// Wrong usage, in one line.
pub(crate) fn usage(error: clap::Error) -> Failure {
    Failure::new(Kind::Usage, schema::in_one_line(&error))
}

fn as_written(matches: &ArgMatches) -> Vec<RawOption> {
    let schema = schema();
    let written = schema.args().filter_map(|(arg, is_process)| {
        let id = arg.get_id().to_string();
        let raw_values = matches.get_raw(&id).into_iter().flatten().map(OsString::from).collect();
        Some(RawOption { id, name: arg.get_long()?.to_owned(), raw_values, is_process })
    });
    written.collect()
}

/// The options behind all keys, and whether each is the process's.
#[cfg(test)]
pub(crate) fn keys() -> Vec<(clap::Arg, bool)> {
    schema().args().map(|(arg, is_process)| (arg.clone(), is_process)).collect()
}

fn schema() -> Schema {
    let process = ProcessArgs::augment_args(Command::new("process"));
    Schema::new(&process, &ListenerArgs::augment_args(Command::new("listener")))
}

/// Listeners that have a name or an address in common, or the address of the pages.
fn duplicates(listeners: &[ListenerArgs], admin: Option<&str>) -> Vec<ConfigFault> {
    let admin = admin.and_then(identity);
    let mut faults = Vec::new();
    let mut seen: HashMap<(&str, String), usize> = HashMap::new();
    for listener in listeners {
        let Some(location) = &listener.location else { continue };
        let name = listener.name.iter().map(|name| ("name", name.clone(), location.line));
        let line = location.of_bind().line;
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

/// What is the same for the same address. Any free port is nobody else's.
fn identity(address: &str) -> Option<String> {
    match address.parse::<SocketAddr>() {
        Ok(ip) if ip.port() == 0 => None,
        Ok(ip) => Some(ip.to_string()),
        Err(_) if address.ends_with(":0") && !address.starts_with("unix:") => None,
        Err(_) => Some(address.to_owned()),
    }
}
