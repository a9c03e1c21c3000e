//! Where the values of options come from, for errors after they were parsed.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};

/// The variable of an option.
pub(super) fn variable(long: &str) -> String {
    format!("COUNTERSIGN_{}", long.to_ascii_uppercase().replace('-', "_"))
}

/// A line of a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) path: Arc<Path>,
    pub(crate) line: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.path.display(), self.line)
    }
}

/// What has set the value of an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    Default,
    Environment,
    File(Location),
    CommandLine,
}

/// The value of an option as it was written, and where.
#[derive(Debug, Clone)]
struct Origin {
    source: Source,
    written: Vec<String>,
    shown: Shown,
}

/// How an error shows the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    No,
    /// As a word behind "key" or "for": the id of a key, or a dialect.
    Object,
    /// Also within another word: a file or an address.
    Place,
}

/// The origins of the values of options, by the options' long names.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origins(BTreeMap<String, Origin>);

impl Origins {
    /// Those of the options of a command, as they were parsed.
    pub(crate) fn of(command: &Command, matches: &ArgMatches) -> Self {
        let origin = |arg: &Arg| {
            let id = arg.get_id().as_str();
            let source = match matches.value_source(id) {
                Some(ValueSource::CommandLine) => Source::CommandLine,
                Some(ValueSource::EnvVariable) => Source::Environment,
                _ => Source::Default,
            };
            let raw = matches.get_raw(id).into_iter().flatten();
            let written = raw.map(|value| value.display().to_string()).collect();
            let names = arg.get_value_names().unwrap_or_default();
            let long = arg.get_long()?;
            let shown = match names.first().map_or("", |name| name.as_str()) {
                "FILE" | "ADDR" => Shown::Place,
                _ if ["dialect", "key"].contains(&long) => Shown::Object,
                _ => Shown::No,
            };
            Some((long.to_owned(), Origin { source, written, shown }))
        };
        Self(command.get_arguments().filter_map(origin).collect())
    }

    /// The options.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// What has set the option.
    pub(crate) fn source(&self, name: &str) -> &Source {
        self.0.get(name).map_or(&Source::Default, |origin| &origin.source)
    }

    /// The value of the option as it was written.
    pub(crate) fn written(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], |origin| &origin.written)
    }

    /// A file has set the option.
    pub(crate) fn set(&mut self, name: &str, location: Location, written: Vec<String>) {
        if let Some(origin) = self.0.get_mut(name) {
            (origin.source, origin.written) = (Source::File(location), written);
        }
    }

    /// Adds those of another command.
    pub(crate) fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// The variable or the line of a file that has set the option.
    pub(crate) fn assignment(&self, name: &str) -> Option<String> {
        self.0.get(name)?.assignment(name)
    }

    /// The variables and lines of a file that have set what an error is about: options that it
    /// names, and values that it shows.
    pub(crate) fn behind(&self, text: &str) -> Vec<String> {
        let words = || text.split_whitespace().map(|word| word.trim_end_matches([',', ';', ':']));
        let is_object = |value: &str| {
            let pairs = words().zip(words().skip(1));
            pairs.filter(|(of, _)| ["key", "for"].contains(of)).any(|(_, word)| word == value)
        };
        let is_named = |name: &str| {
            words().filter_map(|word| word.strip_prefix("--")).any(|word| word == name)
        };
        let is_shown = |origin: &Origin| {
            let mut values = origin.written.iter().filter(|value| !value.is_empty());
            values.any(|value| match origin.shown {
                Shown::No => false,
                Shown::Object => is_object(value),
                Shown::Place => text.contains(value.as_str()),
            })
        };
        let all = self.0.iter().filter(|(name, origin)| is_named(name) || is_shown(origin));
        all.filter_map(|(name, origin)| origin.assignment(name)).collect()
    }
}

impl Origin {
    /// What sets the option, if it isn't seen on the command line.
    fn assignment(&self, name: &str) -> Option<String> {
        match &self.source {
            Source::Environment => {
                let value = self.written.join(",");
                Some(format!("the environment has {}={value}", variable(name)))
            }
            Source::File(location) => Some(match &self.written[..] {
                [one] => format!("{location} has {name} = {one:?}"),
                several => format!("{location} has {name} = {several:?}"),
            }),
            Source::Default | Source::CommandLine => None,
        }
    }
}
