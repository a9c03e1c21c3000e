//! The environment as a source of options: each has a variable, an empty variable counts as not
//! set, and an error names the variable that a value came from.

use std::env;
use std::ffi::OsString;

use clap::builder::{BoolishValueParser, Resettable};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command, Error};

use super::origins::{Origins, variable};
use crate::exit::{Failure, Kind};

/// Parses a command line, and the environment behind it.
pub(crate) fn parse(command: &Command, argv: &[OsString]) -> Result<ArgMatches, Error> {
    let parsed = reading(command.clone(), &is_not_empty).try_get_matches_from(argv);
    parsed.map_err(|error| match error.kind() {
        ErrorKind::InvalidUtf8 => not_utf8(command, argv).unwrap_or(error),
        _ => name_variables(error, command, argv),
    })
}

/// The error for a variable that is not UTF-8, which clap doesn't name, if it is not an argument.
fn not_utf8(command: &Command, argv: &[OsString]) -> Option<Error> {
    let names = env::vars_os().filter(|(_, value)| value.to_str().is_none());
    let mut names = names.filter_map(|(name, _)| name.into_string().ok());
    let name = names.find(|name| {
        let others = reading(command.clone(), &|other| other != name && is_not_empty(other));
        let parsed = others.try_get_matches_from(argv);
        parsed.err().is_none_or(|error| error.kind() != ErrorKind::InvalidUtf8)
    })?;
    Some(Error::raw(ErrorKind::InvalidUtf8, format!("the value of {name} is not valid UTF-8\n")))
}

/// The options of a command and its verbs, with the variables of some. That of a switch may say
/// `1`, `no` and the like.
pub(crate) fn reading(command: Command, is_read: &impl Fn(&str) -> bool) -> Command {
    let read = |arg: Arg| {
        let arg = match arg.get_action() {
            ArgAction::SetTrue => arg.value_parser(BoolishValueParser::new()),
            _ => arg,
        };
        match arg.get_long().map(variable) {
            Some(name) if is_read(&name) => arg.env(name),
            _ => arg.env(Resettable::Reset),
        }
    };
    command.mut_args(read).mut_subcommands(|verb| reading(verb, is_read))
}

fn is_not_empty(variable: &str) -> bool {
    env::var_os(variable).is_none_or(|value| !value.is_empty())
}

/// Names the variable instead of the option, if the option was not typed.
fn name_variables(mut error: Error, command: &Command, argv: &[OsString]) -> Error {
    let mut built = command.clone();
    built.build();
    let said = error.to_string();
    for kind in [ContextKind::InvalidArg, ContextKind::PriorArg] {
        let named = |shown: &String| {
            // The command line is wrong without the variable too.
            let is_behind = |name: &String| {
                let others =
                    reading(command.clone(), &|other| other != name && is_not_empty(other));
                let parsed = others.try_get_matches_from(argv);
                parsed.err().is_none_or(|error| error.to_string() != said)
            };
            variables(&built, shown).into_iter().find(is_behind).unwrap_or_else(|| shown.clone())
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
fn variables(command: &Command, shown: &str) -> Vec<String> {
    let own = command.get_arguments().filter(|arg| arg.to_string() == shown);
    let own = own.filter_map(|arg| arg.get_long().map(variable));
    own.chain(command.get_subcommands().flat_map(|verb| variables(verb, shown))).collect()
}

/// Where the values of the options come from that stand behind the verb of a command line.
pub(crate) fn origins(mut command: &Command, mut matches: &ArgMatches) -> Origins {
    let mut origins = Origins::default();
    while let Some((name, of_verb)) = matches.subcommand() {
        let Some(verb) = command.find_subcommand(name) else { break };
        (command, matches) = (verb, of_verb);
        origins.extend(Origins::of(command, matches));
    }
    origins
}

/// Wrong usage, in one line.
pub(crate) fn usage(error: Error) -> Failure {
    Failure::new(Kind::Usage, in_one_line(&error))
}

/// The message of clap, without its colours and the hint at help.
pub(crate) fn in_one_line(error: &Error) -> String {
    let text = error.render().to_string();
    let said = text.lines().take_while(|line| !line.starts_with("For more information"));
    let said: Vec<&str> = said.map(str::trim).filter(|line| !line.is_empty()).collect();
    let said = said.join(" ").replace(" tip: ", "; ");
    said.strip_prefix("error: ").unwrap_or(&said).to_owned()
}
