//! The program: one file a verb. It uses the library's public interface alone.

mod admin;
mod check_config;
mod config;
mod connect;
mod escape;
mod exit;
mod keygen;
mod keys;
mod load;
mod logging;
mod options;
#[cfg(test)]
mod pages;
mod ping;
mod proxy;
mod ring;
mod serve;
mod signals;
mod status;
mod system;
mod systemd;
mod units;
mod version;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Command, CommandFactory as _, Parser, Subcommand};

use exit::Failure;

/// Lets only those who know the key talk to your service.
#[derive(Debug, Parser)]
#[command(
    name = "countersign",
    version,
    long_version = version::LONG,
    before_long_help = EXAMPLES,
    after_help = EXIT_CODES,
    disable_help_subcommand = true,
    propagate_version = true
)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

const EXAMPLES: &str = "\
Examples:
  countersign serve                        serve time stamps on 127.0.0.1:9527
  countersign connect 127.0.0.1:9527       talk to it
  printf 'hello\\n' | countersign connect 127.0.0.1:9527
  countersign check-config garden.toml     see whether a configuration is in order
  countersign keygen garden                add a key to the ring
  countersign keys list                    see what is on it
  countersign load 127.0.0.1:9527 -z 10s   measure it
  countersign ping 127.0.0.1:9527          see whether it serves
  countersign proxy --help                 carry the connections of other programs";

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 failed, 2 wrong usage, 65 bad key file, 66 no such file of keys or
configuration, 69 cannot bind or connect, 76 protocol violated, 77 refused, 78 bad
configuration or no such key on the ring.
Every option is also read from the environment, as COUNTERSIGN_ and its name.";

#[derive(Debug, Subcommand)]
enum Verb {
    Serve(serve::Serve),
    CheckConfig(check_config::CheckConfig),
    Connect(connect::Connect),
    Keygen(keygen::Keygen),
    Keys(keys::Keys),
    Load(load::Load),
    Ping(ping::Ping),
    Proxy(proxy::Proxy),
    Status(status::Status),
}

pub(crate) fn main() -> ExitCode {
    let done = match Arguments::parse().verb {
        Verb::Serve(serve) => serve.run(),
        Verb::CheckConfig(check) => check.run(),
        Verb::Connect(connect) => connect.run(),
        Verb::Keygen(keygen) => keygen.run(),
        Verb::Keys(keys) => keys.run(),
        Verb::Load(load) => load.run(),
        Verb::Ping(ping) => ping.run(),
        Verb::Proxy(proxy) => proxy.run(),
        Verb::Status(status) => status.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report(&failure),
    }
}

/// The options of the whole program.
fn command() -> Command {
    Arguments::command()
}

/// Each failure in one line with the remedy; whoever closed our output early needs none.
fn report(failure: &Failure) -> ExitCode {
    for line in failure.lines().filter(|_| !failure.is_quiet()) {
        let _ = writeln!(std::io::stderr(), "countersign: {line}");
    }
    failure.code()
}
