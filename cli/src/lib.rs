//! What the program `countersign` does: see `countersign --help`.
//!
//! One file or folder for each verb. It uses only the public interface of the libraries.

mod admin;
mod args;
mod check_config;
mod config;
mod connect;
mod escape;
mod exit;
mod http;
mod keygen;
mod keys;
mod load;
mod logging;
mod output;
mod ping;
mod ports;
mod proxy;
mod reload;
mod ring;
mod serve;
mod signals;
mod status;
mod system;
mod systemd;
#[cfg(test)]
mod tests;
mod units;
mod version;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ContextValue;
use clap::{Args, Command, FromArgMatches as _, Subcommand};

use args::environment;
use args::origins::Origins;
use escape::Escaped;
use exit::{Failure, Kind};
use output::{stderr, stdout};
use ping::Served;
use signals::Claimed;

/// A small authentication server: only clients that hold a shared key reach your service.
#[derive(Debug, Args)]
#[command(
    name = "countersign",
    version,
    long_version = version::LONG,
    before_long_help = EXAMPLES,
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

const EXIT_CODES: &str = "\
Exit codes: 0 success, 1 failure, 2 wrong usage, 65 bad key file or report, 66 file not found,
69 cannot bind or connect, 74 cannot write output, 76 protocol violation, 77 refused,
78 bad configuration or key not found, 130 interrupted by Ctrl-C.
Every option can also be set in the environment, as COUNTERSIGN_ and its name.";

#[derive(Debug, Subcommand)]
enum Verb {
    Serve(serve::ServeArgs),
    CheckConfig(check_config::CheckConfigArgs),
    Connect(connect::ConnectArgs),
    Keygen(keygen::KeygenArgs),
    Keys(keys::KeysArgs),
    Load(Box<load::LoadArgs>),
    Ping(ping::PingArgs),
    Proxy(proxy::ProxyArgs),
    Status(status::StatusArgs),
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
        Verb::from_arg_matches(&matches)
    });
    // Building it takes more than most verbs use.
    drop(command);
    let verdict = match read {
        Ok(verb) => signals.map_err(Failure::from).and_then(|signals| verb.run(signals, &origins)),
        Err(error) => print_usage(error),
    };
    // Decided before anything more is written. A failed write only counts if nothing else has
    // failed.
    match verdict.and_then(|()| stdout().verdict()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report(&failure, &origins),
    }
}

impl Verb {
    /// The options of one verb.
    fn options(name: &str) -> Option<Command> {
        let augment = match name {
            "serve" => serve::ServeArgs::augment_args,
            "check-config" => check_config::CheckConfigArgs::augment_args,
            "connect" => connect::ConnectArgs::augment_args,
            "keygen" => keygen::KeygenArgs::augment_args,
            "keys" => keys::KeysArgs::augment_args,
            "load" => load::LoadArgs::augment_args,
            "ping" => ping::PingArgs::augment_args,
            "proxy" => proxy::ProxyArgs::augment_args,
            "status" => status::StatusArgs::augment_args,
            _ => return None,
        };
        Some(augment(Command::new(name.to_owned())))
    }

    fn run(self, signals: Claimed, origins: &Origins) -> Result<(), Failure> {
        match self {
            Self::Serve(serve) => serve.run(signals, origins),
            Self::CheckConfig(check) => check.run(origins),
            Self::Connect(connect) => connect.run(signals),
            Self::Keygen(keygen) => keygen.run(),
            Self::Keys(keys) => keys.run(),
            Self::Load(load) => load.run(signals),
            Self::Ping(ping) => ping.run(origins, served),
            Self::Proxy(proxy) => proxy.run(signals),
            Self::Status(status) => status.run(signals),
        }
    }
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
    stream.write(if is_safe && stream.is_coloured() { text.ansi().to_string() } else { plain });
    if error.use_stderr() { Err(Failure::new(Kind::Usage, "").quiet()) } else { Ok(()) }
}

/// What the server of another command line serves.
fn served(argv: &[OsString]) -> Result<Served, Failure> {
    let command = command_of(argv);
    let matches = environment::parse(&command, argv).map_err(environment::usage)?;
    match Verb::from_arg_matches(&matches).map_err(environment::usage)? {
        Verb::Serve(serve) => {
            let origins = environment::origins(&command, &matches);
            serve.listeners(&origins).map(Served::Listeners)
        }
        Verb::Proxy(proxy) => proxy.front().map(|(listen, front)| Served::Proxy(listen, front)),
        _ => Err(Failure::new(Kind::Usage, "only `serve` and `proxy` can be pinged")),
    }
}

/// The program without its verbs.
fn program() -> Command {
    let program = Program::augment_args(Command::new("countersign"));
    program.subcommand_required(true).arg_required_else_help(true)
}

/// The options of the whole program.
fn command() -> Command {
    environment::reading(Verb::augment_subcommands(program()), &|_| true)
}

/// The options of the verb of a command line, or of the whole program if it begins with none. The
/// options of all verbs take memory that is never given back.
fn command_of(argv: &[OsString]) -> Command {
    let verb = argv.get(1).and_then(|verb| verb.to_str()).and_then(Verb::options);
    let verb = verb.map(|verb| program().subcommand(verb));
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
