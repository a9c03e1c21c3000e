//! `countersign load`: many clients that measure a server.

mod output;
mod parameters;
mod threshold;
mod verdict;

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Args, ValueEnum};
use countersign_load::{Arrival, Disconnect, Load, LoadError, Plan, Report};
use indicatif::{ProgressBar, ProgressStyle};

use super::args::protocol::{MESSAGE_MAX_CAP, ProtocolArgs, SERVER};
use super::exit::{Failure, Kind};
use super::output::{stderr, stdout};
use super::signals::Claimed;
use super::{system, units};
use output::Output;
use parameters::Parameters;
use threshold::Threshold;

/// More clients than one process has descriptors for.
const CLIENTS_MAX: u64 = 1_000_000;

/// More messages than anybody waits for.
const COUNT_MAX: u64 = 1_000_000_000_000;

/// Each client has room for this many messages.
const PIPELINE_MAX: u64 = 10_000;

/// One a nanosecond.
const RATE_MAX: u64 = 1_000_000_000;

/// The steps of the progress bar.
const STEPS: u64 = 1000;

/// Measure a server with many clients
///
/// Every reply is checked. Without -q it is a closed loop: a client sends the next message when it
/// has received the reply. With -q it is an open loop: messages are due at a fixed rate, and
/// latency is measured from when they were due, so that stalls of the server show.
#[derive(Debug, Args)]
#[command(before_long_help = EXAMPLES, after_help = EXITS)]
pub(crate) struct LoadArgs {
    /// Address of the server: HOST:PORT, HOST, PORT or unix:/PATH
    #[arg(default_value = SERVER)]
    address: String,
    /// Number of clients
    #[arg(short = 'c', long, value_name = "N", default_value = "50",
          value_parser = units::count::<u64>(1..=CLIENTS_MAX))]
    connections: u64,
    /// Stop after N messages were answered or have failed
    #[arg(short = 'n', long, value_name = "N", value_parser = units::count::<u64>(1..=COUNT_MAX))]
    count: Option<u64>,
    /// Stop after this time [default: 10s, without -n]
    #[arg(short = 'z', long, value_name = "TIME", value_parser = units::time(units::SOME_TIME))]
    duration: Option<Duration>,
    /// Messages that each client can have in flight
    #[arg(short = 'P', long, value_name = "DEPTH", default_value = "1",
          value_parser = units::count::<u64>(1..=PIPELINE_MAX))]
    pipeline: u64,
    /// Messages per second, of all clients together
    #[arg(short = 'q', long, value_name = "RATE", value_parser = units::count::<u64>(1..=RATE_MAX))]
    rate: Option<u64>,
    /// With -q: how the messages are spaced
    #[arg(long, value_name = "NAME", default_value = "constant", value_enum)]
    arrival: Spacing,
    /// With --arrival burst: messages per burst
    #[arg(long, value_name = "N", default_value = "10",
          value_parser = units::count::<u32>(1..=RATE_MAX))]
    burst: u32,
    /// Size of a message, in bytes
    #[arg(long, value_name = "SIZE", default_value = "32",
          value_parser = units::size(1..=MESSAGE_MAX_CAP))]
    size: usize,
    /// Open a new connection for each message
    #[arg(long)]
    reconnect: bool,
    /// Number of additional clients that authenticate and send nothing
    #[arg(long, value_name = "N", default_value = "0",
          value_parser = units::count::<u64>(0..=CLIENTS_MAX))]
    idle: u64,
    /// Time at the start that is not measured
    #[arg(long, value_name = "TIME", default_value = "0s",
          value_parser = units::time(units::ANY_TIME))]
    warmup: Duration,
    /// How clients close connections: with FIN, which keeps the local port in use for a while, or
    /// with RST
    #[arg(long, value_name = "HOW", default_value = "fin",
          value_parser = PossibleValuesParser::new(["fin", "rst"]).map(disconnect))]
    close: Disconnect,
    /// Source addresses of the clients, in turn; for more connections than one address has ports
    #[arg(long, value_name = "IP", value_delimiter = ',')]
    source: Vec<IpAddr>,
    /// Maximum number of new connections per second
    #[arg(long, value_name = "RATE", value_parser = units::count::<u64>(1..=RATE_MAX))]
    connect_rate: Option<u64>,
    /// Time limit for connecting and the handshake
    #[arg(long, value_name = "TIME", default_value = "5s",
          value_parser = units::time(units::SOME_TIME))]
    connect_timeout: Duration,
    /// Time limit for a reply; 0s means no limit [default: 10s with -n alone]
    ///
    /// It is measured from when the message is sent. If a reply takes longer, the client closes the
    /// connection, and the messages that it waits for count as failed. If -z ends the load, there
    /// is no limit unless you set one: a late reply is measured, and a reply that is missing at the
    /// end counts as never answered.
    #[arg(long, value_name = "TIME", value_parser = units::time(units::ANY_TIME))]
    reply_timeout: Option<Duration>,
    /// Id of the key to authenticate with [default: the first key for the dialect]
    #[arg(long, value_name = "ID")]
    key: Option<String>,
    /// Format of the report
    #[arg(long, value_name = "FORMAT", default_value = "text", value_enum)]
    output: Output,
    /// File to write the report to [default: stdout]
    #[arg(short = 'o', long, value_name = "FILE")]
    output_file: Option<PathBuf>,
    /// Exit with 1 if this condition holds; can be repeated
    ///
    /// A condition is a figure, < or >, and a value, such as 'p99>5ms', 'errors>0.1%' or
    /// 'rate<10k'. p50, p99.9, mean and max take a time, errors and success a share, rate a number.
    /// The figures cover all messages that were due: if 1 % of them were never answered, p99 is
    /// above any time.
    #[arg(long, value_name = "CONDITION", value_delimiter = ',')]
    fail_if: Vec<Threshold>,
    #[command(flatten)]
    protocol: ProtocolArgs,
}

const EXAMPLES: &str = "\
Examples:
  countersign load 127.0.0.1:9527 -c 50 -z 10s          as fast as the server answers
  countersign load 127.0.0.1:9527 -c 50 -P 16 -n 1m     with 16 messages in flight each
  countersign load 127.0.0.1:9527 --reconnect -c 64     connections per second
  countersign load 127.0.0.1:9527 -q 10k -z 30s         10,000 messages per second, open loop
  countersign load unix:/run/garden.sock -z 10s         over a Unix socket
  countersign load 127.0.0.1:9527 -q 1k --fail-if 'p99>5ms' --fail-if 'errors>0'";

const EXITS: &str = "\
Exit code 1 if a --fail-if condition holds. If nothing was answered: 77 if the server refused
most connections, 76 if most replies were wrong, 69 otherwise.";

/// When messages of an open loop are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Spacing {
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

impl LoadArgs {
    pub(crate) fn run(self, signals: Claimed) -> Result<(), Failure> {
        let mut protocol = self.protocol.client_protocol()?;
        if let Some(id) = &self.key {
            protocol = protocol.with_key(id);
        }
        protocol.signing_key()?;
        let plan = self.plan();
        system::raise_descriptors((plan.connections + plan.idle) as u64)?;
        let unusable = |error: LoadError| {
            let kind = match &error {
                LoadError::Plan(_) | LoadError::NoUsableKey(_) => Kind::Usage,
                LoadError::Io(error) if error.kind() == io::ErrorKind::InvalidInput => Kind::Usage,
                _ => Kind::Unavailable,
            };
            let text = error.to_string();
            let text = text.split(" (os error ").next().unwrap_or_default();
            Failure::new(kind, format!("{}: {text}", self.address))
        };
        let mut parameters = Parameters::of(&self, &plan);
        let load = Load::new(&self.address, protocol, plan).map_err(unusable)?;
        // A run may take hours: that its report can't be written has to show before.
        let file = self.output_file.as_deref().map(create).transpose()?;
        let (report, interrupted) = self.watched(load, signals)?;
        parameters.learn(&report, interrupted);
        let verdict = verdict::verdict(&self.address, &report, &self.fail_if);
        let written = self.write(file, &self.output.write(&report, &parameters));
        match (verdict, written) {
            (Err(verdict), Err(written)) => Err(verdict.and(&written.to_string())),
            (verdict, written) => verdict.and(written),
        }
    }

    fn plan(&self) -> Plan {
        let many = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        Plan {
            connections: many(self.connections),
            idle: many(self.idle),
            reconnect: self.reconnect || self.protocol.once,
            depth: many(self.pipeline),
            size: self.size,
            count: self.count,
            duration: self.duration,
            warmup: self.warmup,
            arrival: match (self.rate.map(|rate| rate as f64), self.arrival) {
                (None, _) => Arrival::Closed,
                (Some(rate), Spacing::Constant) => Arrival::Constant(rate),
                (Some(rate), Spacing::Poisson) => Arrival::Poisson(rate),
                (Some(rate), Spacing::Burst) => Arrival::Burst(rate, self.burst),
            },
            connect_rate: self.connect_rate.map(|rate| rate as f64),
            connect_timeout: self.connect_timeout,
            reply_timeout: self.reply_timeout,
            disconnect: self.close,
            sources: self.source.clone(),
        }
    }

    /// Runs it, with a bar on a terminal. SIGINT and SIGTERM end it early, and the report is
    /// written.
    fn watched(&self, load: Load, signals: Claimed) -> io::Result<(Report, bool)> {
        let interrupted = signals.into_stop_flag()?;
        let (bar, length) = (bar(), self.plan().lasts().unwrap_or(Duration::MAX));
        let report = load.run(|report| {
            let settled = report.answered + report.failed();
            let of_count = share(settled.into(), self.count.unwrap_or(u64::MAX).into());
            let of_time = share(report.elapsed.as_millis(), length.as_millis());
            // Whichever comes first ends the load.
            bar.set_position(of_count.max(of_time));
            bar.set_message(format!("{:.0}/s, {} failed", report.per_second(), report.failed()));
            match interrupted.load(Ordering::Relaxed) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        bar.finish_and_clear();
        // From now on a signal finds nothing left to be ended early, and ends the program.
        Ok((report?, interrupted.swap(true, Ordering::Relaxed)))
    }

    /// Writes the report. If the file doesn't take it, it isn't lost.
    fn write(&self, file: Option<File>, report: &str) -> Result<(), Failure> {
        let (Some(mut file), Some(path)) = (file, &self.output_file) else {
            stdout().write(report);
            return Ok(());
        };
        let truncated = match file.metadata()?.is_file() {
            true => file.set_len(0),
            false => Ok(()),
        };
        truncated.and_then(|()| file.write_all(report.as_bytes())).map_err(|error| {
            stdout().write(report);
            let failure = Failure::unwritten(path.display(), &error);
            failure.and("the report is on stdout instead")
        })
    }
}

/// Opens the file of the report. What is in it stays until there is a report.
fn create(path: &Path) -> Result<File, Failure> {
    let opened = OpenOptions::new().write(true).create(true).truncate(false).open(path);
    opened.map_err(|error| Failure::unwritten(path.display(), &error))
}

/// How many steps of the progress bar a part is.
fn share(part: u128, whole: u128) -> u64 {
    let steps = part * u128::from(STEPS) / whole.max(1);
    u64::try_from(steps).unwrap_or(STEPS).min(STEPS)
}

fn bar() -> ProgressBar {
    if !stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{wide_bar} {percent}% {msg}");
    ProgressBar::new(STEPS).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
