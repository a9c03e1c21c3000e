//! The options of `countersign load`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{ArgGroup, Args, ValueEnum};
use countersign::config::SessionConfig;
use countersign_load::Disconnect;

use super::clients::ClientArgs;
use super::find::FindArgs;
use super::messages::MessageArgs;
use super::progress::ProgressArgs;
use super::results::{Output, ResultArgs};
use super::saved::SavedVerb;
use super::server_metrics::ServerMetricsArgs;
use super::stages::StageArgs;
use super::threshold::{RATE_MAX, Threshold};
use crate::args::protocol::{ProtocolArgs, SERVER};
use crate::units;

/// More clients than one process has descriptors for.
const CLIENTS_MAX: u64 = 1_000_000;

/// More messages than any run sends.
const COUNT_MAX: u64 = 1_000_000_000_000;

/// More than any machine has cores for.
const THREADS_MAX: u64 = 1_024;

/// Each client has room for this many messages.
const PIPELINE_MAX: u64 = 10_000;

/// Measure a server with many clients
///
/// Every reply is checked. Without -q it is a closed loop: a client sends the next message when it
/// has received the reply. With -q it is an open loop: messages are due at a fixed rate, and
/// latency is measured from when they were due, so that stalls of the server show.
#[derive(Debug, Args)]
#[command(before_long_help = EXAMPLES, after_help = EXITS, disable_help_subcommand = true,
          args_conflicts_with_subcommands = true, subcommand_negates_reqs = true,
          subcommand_value_name = "merge|compare", subcommand_help_heading = "Saved reports",
          group = ArgGroup::new("open").args(["rate", "stages", "find"]).multiple(true))]
pub(crate) struct LoadArgs {
    #[command(subcommand)]
    pub(super) verb: Option<SavedVerb>,
    /// Address of the server: HOST:PORT, HOST, PORT or unix:/PATH
    #[arg(default_value = SERVER)]
    pub(super) address: String,
    /// Number of clients
    #[arg(short = 'c', long, value_name = "N", default_value = "50",
          value_parser = units::count::<u64>(1..=CLIENTS_MAX))]
    pub(super) connections: u64,
    /// Number of threads, each with its share of the clients
    ///
    /// One thread fills a server that has one core. Use more for a server with several workers, if
    /// the report says that the load generator was the limit.
    #[arg(long, value_name = "N", default_value = "1",
          value_parser = units::count::<u64>(1..=THREADS_MAX))]
    pub(super) threads: u64,
    /// Stop after N messages were answered or have failed
    #[arg(short = 'n', long, value_name = "N", value_parser = units::count::<u64>(1..=COUNT_MAX))]
    pub(super) count: Option<u64>,
    /// Stop after this time; with --find, how long the rate is held [default: 10s, without -n]
    #[arg(short = 'z', long, value_name = "TIME", value_parser = units::time(units::SOME_TIME))]
    pub(super) duration: Option<Duration>,
    /// Messages that each client can have in flight
    #[arg(short = 'P', long, value_name = "DEPTH", default_value = "1",
          value_parser = units::count::<u64>(1..=PIPELINE_MAX))]
    pub(super) pipeline: u64,
    /// Messages per second, of all clients together; with --find, the first rate
    #[arg(short = 'q', long, value_name = "RATE", value_parser = units::count::<u64>(1..=RATE_MAX))]
    pub(super) rate: Option<u64>,
    /// With -q, --stages or --find: how the messages are spaced
    #[arg(long, value_name = "NAME", default_value = "constant", value_enum, requires = "open")]
    pub(super) arrival: ArrivalKind,
    /// With --arrival burst: messages per burst
    #[arg(long, value_name = "N", default_value = "10", requires = "arrival",
          value_parser = units::count::<u32>(1..=RATE_MAX))]
    pub(super) burst: u32,
    #[command(flatten)]
    pub(super) stages: StageArgs,
    /// Size of a message, in bytes
    #[arg(long, value_name = "SIZE", default_value = "32",
          value_parser = units::size(1..=SessionConfig::MESSAGE_MAX))]
    pub(super) size: usize,
    /// Open a new connection for each message
    #[arg(long)]
    pub(super) reconnect: bool,
    /// Number of additional clients that authenticate and send nothing
    #[arg(long, value_name = "N", default_value = "0",
          value_parser = units::count::<u64>(0..=CLIENTS_MAX))]
    pub(super) idle: u64,
    /// Time at the start that is not measured
    #[arg(long, value_name = "TIME", default_value = "0s",
          value_parser = units::time(units::ANY_TIME))]
    pub(super) warmup: Duration,
    /// How clients close connections: with FIN, which keeps the local port in use for a while, or
    /// with RST
    #[arg(long, value_name = "HOW", default_value = "fin",
          value_parser = PossibleValuesParser::new(["fin", "rst"]).map(disconnect))]
    pub(super) close: Disconnect,
    /// Source addresses of the clients, in turn; for more connections than one address has ports
    #[arg(long, value_name = "IP", value_delimiter = ',')]
    pub(super) source: Vec<IpAddr>,
    /// Maximum number of new connections per second
    #[arg(long, value_name = "RATE", value_parser = units::count::<u64>(1..=RATE_MAX))]
    pub(super) connect_rate: Option<u64>,
    /// Time limit for connecting and the handshake
    #[arg(long, value_name = "TIME", default_value = "5s",
          value_parser = units::time(units::SOME_TIME))]
    pub(super) connect_timeout: Duration,
    /// Time limit for a reply; 0s means no limit
    ///
    /// It is measured from when the message is sent. If a reply takes longer, the client closes the
    /// connection, and the messages that it waits for count as failed. Without a limit, a load that
    /// only -n ends may never end.
    #[arg(long, value_name = "TIME", default_value = "10s",
          value_parser = units::time(units::ANY_TIME))]
    pub(super) reply_timeout: Duration,
    /// Id of the key to authenticate with [default: the first key for the dialect]
    #[arg(long, value_name = "ID")]
    pub(super) key: Option<String>,
    /// Format of the report
    #[arg(long, value_name = "FORMAT", default_value = "text", value_enum)]
    pub(super) output: Output,
    /// File to write the report to [default: stdout]
    #[arg(short = 'o', long, value_name = "FILE")]
    pub(super) output_file: Option<PathBuf>,
    /// Exit with 1 if this condition holds; can be repeated
    ///
    /// A condition is a figure, < or >, and a value, such as 'p99>5ms', 'errors>0.1%' or
    /// 'rate<10k'. p50, p99.9, mean and max take a time, errors and success a share, rate a number.
    /// The figures cover all messages that were due: if 1 % of them were never answered, p99 is
    /// above any time.
    #[arg(long, value_name = "CONDITION", value_delimiter = ',')]
    pub(super) fail_if: Vec<Threshold>,
    #[command(flatten)]
    pub(super) messages: MessageArgs,
    #[command(flatten)]
    pub(super) clients: ClientArgs,
    #[command(flatten)]
    pub(super) results: ResultArgs,
    #[command(flatten)]
    pub(super) server: ServerMetricsArgs,
    #[command(flatten)]
    pub(super) find: FindArgs,
    #[command(flatten)]
    pub(super) progress: ProgressArgs,
    #[command(flatten)]
    pub(super) protocol: ProtocolArgs,
}

const EXAMPLES: &str = "\
Examples:
  countersign load 127.0.0.1:9527 -c 50 -z 10s          as fast as the server answers
  countersign load 127.0.0.1:9527 -c 50 -P 16 -n 1m     with 16 messages in flight each
  countersign load 127.0.0.1:9527 --reconnect -c 64     connections per second
  countersign load 127.0.0.1:9527 -q 10k -z 30s         10,000 messages per second, open loop
  countersign load 127.0.0.1:9527 --find 'p99<5ms'      the highest rate for the server
  countersign load 127.0.0.1:9527 --stages 9s@1k..5k    a rate that rises
  countersign load unix:/run/garden.sock -z 10s         over a Unix socket
  countersign load 127.0.0.1:9527 -q 1k --fail-if 'p99>5ms' --fail-if 'errors>0'
  countersign load 127.0.0.1:9527 -z 30s --output json -o before.json
  countersign load compare before.json after.json       whether a change made a difference";

const EXITS: &str = "\
Exit code 1 if a --fail-if condition holds, or if --find finds no rate. If nothing was answered:
77 if the server refused most connections, 76 if most replies were wrong, 69 otherwise.";

/// When messages of an open loop are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ArrivalKind {
    /// At equal intervals
    Constant,
    /// At random intervals, as from many independent users
    Poisson,
    /// Several at once
    Burst,
}

fn disconnect(name: String) -> Disconnect {
    if name == "rst" { Disconnect::Rst } else { Disconnect::Fin }
}
