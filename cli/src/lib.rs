//! What the program `countersign` does: see `countersign --help`.
//!
//! One file or folder for each verb. It uses only the public interface of the libraries.
#![cfg_attr(
    not(all(
        feature = "conformance",
        feature = "connect",
        feature = "keys",
        feature = "load",
        feature = "ping",
        feature = "proxy",
        feature = "serve",
        feature = "status"
    )),
    expect(dead_code, reason = "what the verbs share is more than some of them use")
)]

mod admin;
mod args;
#[cfg(feature = "serve")]
mod check_config;
#[cfg(feature = "serve")]
mod config;
#[cfg(feature = "conformance")]
mod conformance;
#[cfg(feature = "connect")]
mod connect;
mod escape;
mod exit;
mod fetch;
#[cfg(fuzzing)]
pub mod fuzzing;
mod http;
#[cfg(feature = "keys")]
mod keygen;
#[cfg(feature = "keys")]
mod keys;
#[cfg(feature = "load")]
mod load;
mod logging;
mod output;
#[cfg(feature = "ping")]
mod ping;
mod ports;
#[cfg(feature = "proxy")]
mod proxy;
mod reload;
mod ring;
#[cfg(feature = "serve")]
mod serve;
mod signals;
#[cfg(feature = "status")]
mod status;
mod system;
#[cfg(any(feature = "proxy", feature = "serve"))]
mod systemd;
#[cfg(test)]
mod tests;
mod units;
mod version;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::builder::StyledStr;
use clap::error::{ContextValue, ErrorKind};
use clap::{ArgMatches, Args, Command};

use args::environment;
use args::origins::Origins;
use escape::Escaped;
use exit::{Failure, Kind};
use output::{stderr, stdout};
use signals::Claimed;

/// A small authentication server: only clients that hold a shared key reach your service.
#[derive(Debug, Args)]
#[command(
    name = "countersign",
    version,
    long_version = version::LONG,
    before_long_help = examples(),
    after_help = EXIT_CODES,
    disable_help_subcommand = true,
    propagate_version = true
)]
struct Program {}

const EXAMPLES: &str = "\
Examples:
  countersign serve                        serve timestamps on 127.0.0.1:9527
  countersign connect 127.0.0.1:9527       send messages to the server
  printf 'hello\\n' | countersign connect 127.0.0.1:9527
  countersign check-config garden.toml     check a configuration file
  countersign keygen garden                add a key to the key file
  countersign keys list                    list the keys
  countersign load 127.0.0.1:9527 -z 10s   measure the server
  countersign ping 127.0.0.1:9527          check whether the server works
  countersign proxy --help                 tunnel the connections of other programs";

/// The examples, without those of verbs that aren't part of this build.
fn examples() -> String {
    let is_here = |line: &&str| {
        let named = line.rsplit_once("countersign ").and_then(|(_, rest)| rest.split(' ').next());
        named.is_none_or(|name| verb(name).is_some())
    };
    EXAMPLES.lines().filter(is_here).collect::<Vec<_>>().join("\n")
}

const EXIT_CODES: &str = "\
Exit codes: 0 success, 1 failure, 2 wrong usage, 65 bad key file or report, 66 file not found,
69 cannot bind or connect, 74 cannot write output, 76 protocol violation, 77 refused,
78 bad configuration or key not found, 130 interrupted by Ctrl-C.
Every option can also be set in the environment, as COUNTERSIGN_ and its name.";

/// A verb by its name, and what runs it with its arguments.
struct Verb<A>(&'static str, fn(A, Claimed, &Origins) -> Result<(), Failure>);

/// The verbs of this build: each belongs to a feature.
const VERBS: &[&dyn Runs] = &[
    #[cfg(feature = "serve")]
    &Verb("serve", serve::ServeArgs::run),
    #[cfg(feature = "serve")]
    &Verb("check-config", |it: check_config::CheckConfigArgs, _, origins| it.run(origins)),
    #[cfg(feature = "conformance")]
    &Verb("conformance", |it: conformance::ConformanceArgs, _, _| it.run()),
    #[cfg(feature = "connect")]
    &Verb("connect", |it: connect::ConnectArgs, signals, _| it.run(signals)),
    #[cfg(feature = "keys")]
    &Verb("keygen", |it: keygen::KeygenArgs, _, _| it.run()),
    #[cfg(feature = "keys")]
    &Verb("keys", |it: keys::KeysArgs, _, _| it.run()),
    #[cfg(feature = "load")]
    &Verb("load", |it: load::LoadArgs, signals, _| it.run(signals)),
    #[cfg(feature = "ping")]
    &Verb("ping", |it: ping::PingArgs, _, origins| it.run(origins, served)),
    #[cfg(feature = "proxy")]
    &Verb("proxy", |it: proxy::ProxyArgs, signals, _| it.run(signals)),
    #[cfg(feature = "status")]
    &Verb("status", |it: status::StatusArgs, signals, _| it.run(signals)),
];

/// What a verb does, whatever its arguments.
trait Runs: Sync {
    fn name(&self) -> &'static str;

    /// The verb with its options.
    fn command(&self) -> Command;

    /// Makes what runs the verb with these arguments.
    fn read(&self, matches: &ArgMatches) -> Result<Run, clap::Error>;
}

/// Runs a verb whose arguments are read.
type Run = Box<dyn FnOnce(Claimed, &Origins) -> Result<(), Failure>>;

impl<A: Args + 'static> Runs for Verb<A> {
    fn name(&self) -> &'static str {
        self.0
    }

    fn command(&self) -> Command {
        A::augment_args(Command::new(self.0))
    }

    fn read(&self, matches: &ArgMatches) -> Result<Run, clap::Error> {
        let (args, run) = (A::from_arg_matches(matches)?, self.1);
        Ok(Box::new(move |signals, origins| run(args, signals, origins)))
    }
}

/// Runs the program, with the arguments and the environment of this process.
pub fn main() -> ExitCode {
    // Before anything else: a signal may come at any time.
    let signals = signals::claim();
    let argv: Vec<OsString> = std::env::args_os().collect();
    let mut origins = Origins::default();
    let command = command_of(&argv);
    let read = environment::parse(&command, &argv).and_then(|matches| {
        origins = environment::origins(&command, &matches);
        read(&matches)
    });
    // Building it takes more than most verbs use.
    drop(command);
    let verdict = match read {
        Ok(run) => signals.map_err(Failure::from).and_then(|signals| run(signals, &origins)),
        Err(error) => print_usage(error),
    };
    // Decided before anything more is written. A failed write only counts if nothing else has
    // failed.
    match verdict.and_then(|()| stdout().verdict()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report(&failure, &origins),
    }
}

/// What runs the verb that these arguments name.
fn read(matches: &ArgMatches) -> Result<Run, clap::Error> {
    let verb = matches.subcommand().and_then(|(name, own)| Some((verb(name)?, own)));
    let (verb, own) = verb.ok_or_else(|| clap::Error::new(ErrorKind::MissingSubcommand))?;
    verb.read(own)
}

/// The verb of this name.
fn verb(name: &str) -> Option<&'static dyn Runs> {
    VERBS.iter().copied().find(|verb| verb.name() == name)
}

/// Help and the version, which are results, or why the arguments can't be used.
fn print_usage(mut error: clap::Error) -> Result<(), Failure> {
    let stream = if error.use_stderr() { stderr() } else { stdout() };
    // Arguments are quoted in it as they were typed.
    let escaped = error.context().filter_map(|(kind, value)| match value {
        ContextValue::String(typed) => Some((kind, Escaped(typed).to_string())),
        _ => None,
    });
    for (kind, typed) in escaped.collect::<Vec<_>>() {
        error.insert(kind, ContextValue::String(typed));
    }
    let text = error.render();
    let plain = escape::lines(&text.to_string());
    let is_safe = plain.trim_end() == text.to_string().trim_end();
    stream.write(if is_safe && stream.is_coloured() { coloured(&text) } else { plain });
    if error.use_stderr() { Err(Failure::new(Kind::Usage, "").quiet()) } else { Ok(()) }
}

/// The text with its colours, where this build has them.
fn coloured(text: &StyledStr) -> String {
    #[cfg(feature = "terminal")]
    let text = text.ansi();
    text.to_string()
}

/// What the server of another command line serves.
#[cfg(feature = "ping")]
fn served(argv: &[OsString]) -> Result<ping::Served, Failure> {
    let command = command_of(argv);
    let matches = environment::parse(&command, argv).map_err(environment::usage)?;
    let origins = environment::origins(&command, &matches);
    match matches.subcommand() {
        Some(("serve", own)) => {
            let serve: serve::ServeArgs = typed(own)?;
            serve.listeners(&origins).map(ping::Served::Listeners)
        }
        Some(("proxy", own)) => {
            let proxy: proxy::ProxyArgs = typed(own)?;
            proxy.front().map(|(listen, front)| ping::Served::Proxy(listen, front))
        }
        _ => Err(Failure::new(Kind::Usage, "only `serve` and `proxy` can be pinged")),
    }
}

/// The arguments of a verb on another command line.
#[cfg(feature = "ping")]
fn typed<A: Args>(matches: &ArgMatches) -> Result<A, Failure> {
    A::from_arg_matches(matches).map_err(environment::usage)
}

/// The program without its verbs.
fn program() -> Command {
    let program = Program::augment_args(Command::new("countersign"));
    program.subcommand_required(true).arg_required_else_help(true)
}

/// The options of the whole program.
fn command() -> Command {
    let all = program().subcommands(VERBS.iter().map(|verb| verb.command()));
    environment::reading(all, &|_| true)
}

/// The options of the verb of a command line, or of the whole program if it begins with none. The
/// options of all verbs take memory that is never given back.
fn command_of(argv: &[OsString]) -> Command {
    let verb = argv.get(1).and_then(|name| name.to_str()).and_then(verb);
    let verb = verb.map(|verb| program().subcommand(verb.command()));
    verb.map_or_else(command, |program| environment::reading(program, &|_| true))
}

/// Each failure in one line with the remedy, and the variables that it is about.
fn report(failure: &Failure, origins: &Origins) -> ExitCode {
    let text = failure.to_string();
    if !failure.is_quiet() {
        for line in failure.lines() {
            stderr().line(format_args!("countersign: {line}"));
        }
        for assignment in origins.behind(&text).iter().filter(|it| !text.contains(*it)) {
            stderr().line(format_args!("countersign: {assignment}"));
        }
    }
    failure.code()
}
