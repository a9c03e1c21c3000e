//! The environment as a source of options: an empty variable is as if it weren't set, and an error
//! names the variable that a value came from.

use std::env;
use std::ffi::OsString;

use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, Error};

/// Reads a command line, and the environment behind it.
pub(crate) fn parse(command: impl Fn() -> Command, argv: &[OsString]) -> Result<ArgMatches, Error> {
    let is_empty = |variable: &str| env::var_os(variable).is_some_and(|value| value.is_empty());
    // A walk over all options costs as much as reading them does.
    let has_empty = env::vars_os().any(|(_, value)| value.is_empty());
    let command = || if has_empty { without(command(), &is_empty) } else { command() };
    command().try_get_matches_from(argv).map_err(|error| blame(error, &command(), argv))
}

/// The command with some variables left unread, in all its verbs.
fn without(command: Command, is_left: &impl Fn(&str) -> bool) -> Command {
    let unread = |arg: Arg| match variable(&arg) {
        Some(name) if is_left(name) => arg.env(Resettable::Reset),
        _ => arg,
    };
    command.mut_args(unread).mut_subcommands(|verb| without(verb, is_left))
}

fn variable(arg: &Arg) -> Option<&str> {
    arg.get_env()?.to_str()
}

/// Names the variables in the place of the options that nobody has typed.
fn blame(mut error: Error, command: &Command, argv: &[OsString]) -> Error {
    let mut built = command.clone();
    built.build();
    let said = error.to_string();
    for kind in [ContextKind::InvalidArg, ContextKind::PriorArg] {
        let named = |shown: &String| {
            // What is typed is at fault without the variable too.
            let is_behind = |name: &&str| {
                let read = without(command.clone(), &|other| other == *name);
                read.try_get_matches_from(argv).err().is_none_or(|error| error.to_string() != said)
            };
            let found = variables(&built, shown).into_iter().find(is_behind);
            found.map_or_else(|| shown.clone(), str::to_owned)
        };
        let named = match error.get(kind) {
            Some(ContextValue::String(shown)) => ContextValue::String(named(shown)),
            Some(ContextValue::Strings(all)) => {
                ContextValue::Strings(all.iter().map(named).collect())
            }
            _ => continue,
        };
        error.insert(kind, named);
    }
    error
}

/// The variables of the options that clap shows like this, in any verb.
fn variables<'a>(command: &'a Command, shown: &str) -> Vec<&'a str> {
    let own = command.get_arguments().filter(|arg| arg.to_string() == shown).filter_map(variable);
    own.chain(command.get_subcommands().flat_map(|verb| variables(verb, shown))).collect()
}

/// The options that were typed behind the verb of a command line, each as `--name`.
pub(crate) fn typed(command: Command, argv: &[OsString]) -> Result<Vec<String>, Error> {
    let matches = parse(|| command.clone(), argv)?;
    let mut typed = Vec::new();
    for (verb, matches) in verbs(&command, &matches) {
        let is_typed = |arg: &&Arg| {
            matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine)
        };
        let args = verb.get_arguments().filter(is_typed).filter_map(Arg::get_long);
        typed.extend(args.map(|name| format!("--{name}")));
    }
    Ok(typed)
}

/// The verb that was called, and the verb behind it, if there is one.
fn verbs<'a>(
    mut command: &'a Command,
    mut matches: &'a ArgMatches,
) -> Vec<(&'a Command, &'a ArgMatches)> {
    let mut verbs = Vec::new();
    while let Some((name, of_verb)) = matches.subcommand() {
        let Some(verb) = command.find_subcommand(name) else { break };
        (command, matches) = (verb, of_verb);
        verbs.push((command, matches));
    }
    verbs
}

/// The options that the environment has set, for what fails later.
#[derive(Debug, Default)]
pub(crate) struct Origins(Vec<Origin>);

#[derive(Debug)]
struct Origin {
    option: String,
    /// The variable and its value, as a shell would show them.
    assignment: String,
    /// Where the value is what an error would show: a file or an address.
    places: Vec<String>,
}

impl Origins {
    /// Those of the verb that was called.
    pub(crate) fn of(command: &Command, matches: &ArgMatches) -> Self {
        let mut origins = Self::default();
        for (verb, matches) in verbs(command, matches) {
            origins.add(verb, matches);
        }
        origins
    }

    fn add(&mut self, command: &Command, matches: &ArgMatches) {
        for arg in command.get_arguments() {
            let id = arg.get_id().as_str();
            let is_set = matches.value_source(id) == Some(ValueSource::EnvVariable);
            let (Some(option), Some(name), true) = (arg.get_long(), variable(arg), is_set) else {
                continue;
            };
            let value = env::var_os(name).unwrap_or_default();
            let names = arg.get_value_names().unwrap_or_default();
            let is_place = names.iter().any(|name| ["FILE", "ADDR"].contains(&name.as_str()));
            let raw = matches.get_raw(id).filter(|_| is_place).into_iter().flatten();
            self.0.push(Origin {
                option: format!("--{option}"),
                assignment: format!("{name}={}", value.display()),
                places: raw.map(|value| value.display().to_string()).collect(),
            });
        }
    }

    /// The assignments behind what an error tells of.
    pub(crate) fn behind<'a>(&'a self, text: &'a str) -> impl Iterator<Item = &'a str> {
        let is_told_of = |origin: &&Origin| {
            let mut words =
                text.split_whitespace().map(|word| word.trim_end_matches([',', ';', ':']));
            words.any(|word| word == origin.option)
                || origin.places.iter().any(|place| text.contains(place.as_str()))
        };
        self.0.iter().filter(is_told_of).map(|origin| &*origin.assignment)
    }
}
