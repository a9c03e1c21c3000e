//! `countersign conformance`: whether an implementation does what the protocol's page says.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};
use countersign::{Framing, Protection, ToAddresses as _};
use countersign_conformance::{
    Cases, Feature, ListenerKind, Subject, TestKeys, TestTarget, TestedEnd, Totals, json, list,
    run, tap,
};

use crate::args::choice::NamedValueParser;
use crate::args::protocol::{audience, framings, protections};
use crate::exit::{Failure, Kind, chain};
use crate::output::stdout;
use crate::{system, units};

/// Test an implementation of countersign/1 against its page
///
/// Every sentence of the page that demands something is a case with a number. For a server, this
/// plays the client, and for a client the server: well, and badly. A case that fails says what was
/// sent, what was expected and what came in its place, with the paragraph of the page and a likely
/// cause.
///
/// The server must echo: it returns each message. The client must send each line of its input as a
/// message, print each reply as a line, and exit with 0 at the end of its input, or with another
/// code if the connection has failed. Its command is run by `sh -c` once for each case, with the
/// address and the key file as its last arguments. If it contains a $, no arguments are added: it
/// has $1 and $2 for them, or COUNTERSIGN_ADDRESS and COUNTERSIGN_KEYS.
#[derive(Debug, Args)]
#[command(before_long_help = EXAMPLES)]
pub(crate) struct ConformanceArgs {
    /// Test the server at this address: HOST:PORT, HOST, PORT or unix:/PATH
    #[arg(long, value_name = "ADDR", required_unless_present_any = ["client", "list"],
          conflicts_with = "client")]
    server: Option<String>,
    /// Test the client that this command runs
    #[arg(long, value_name = "CMD")]
    client: Option<String>,
    /// The key file of the implementation
    #[arg(long, value_name = "FILE", required_unless_present = "list")]
    keys: Option<PathBuf>,
    /// Protection of each message, as the implementation is configured
    #[arg(long, value_name = "WHEN", default_value = "required",
          value_parser = NamedValueParser(protections))]
    records: Protection,
    /// How the implementation delimits messages without records
    #[arg(long, value_name = "NAME", default_value = "lines",
          value_parser = NamedValueParser(plain_framings))]
    framing: Framing,
    /// What the server is: usual, shared-port (countersign/1 and raw), once or verify-only
    #[arg(long, value_name = "KIND", default_value = "usual", conflicts_with = "client")]
    listener: ListenerKind,
    /// Audience of the implementation [default: none]
    #[arg(long, value_name = "NAME", value_parser = audience)]
    audience: Option<String>,
    /// Skip the cases for what the implementation does without
    #[arg(long, value_name = "FEATURE", value_delimiter = ',', value_parser = feature_names())]
    without: Vec<String>,
    /// Run only the cases whose id begins so: CS1-7.4, CS1-7.4-S03; can be repeated
    #[arg(long, value_name = "ID")]
    case: Vec<String>,
    /// Time limit of the implementation for the handshake
    #[arg(long, value_name = "TIME", default_value = "5s",
          value_parser = units::time(units::SOME_TIME))]
    handshake_timeout: Duration,
    /// How long to wait for what must come, before a case fails
    #[arg(long, value_name = "TIME", default_value = "5s",
          value_parser = units::time(units::SOME_TIME))]
    timeout: Duration,
    /// How long nothing may come, where nothing may come
    #[arg(long, value_name = "TIME", default_value = "200ms",
          value_parser = units::time(units::SOME_TIME))]
    quiet_time: Duration,
    /// Number of cases to run at a time
    #[arg(short = 'j', long, value_name = "N", default_value = "8",
          value_parser = units::count::<usize>(1..=1000))]
    jobs: usize,
    /// Format of the results
    #[arg(long, value_name = "FORMAT", default_value = "tap", value_enum)]
    output: FormatArg,
    /// List the cases, and run none
    #[arg(long)]
    list: bool,
}

const EXAMPLES: &str = "\
Examples:
  countersign conformance --server 127.0.0.1:9527 --keys keys
  countersign conformance --client ./client --keys keys
  countersign conformance --server 127.0.0.1:9527 --keys keys --records sealed --output json
  countersign conformance --server 127.0.0.1:9527 --keys keys --case CS1-2.6
  countersign conformance --list";

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FormatArg {
    /// The Test Anything Protocol: a line for each case, and the details of those that fail
    Tap,
    /// One document
    Json,
}

impl ConformanceArgs {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let ends: &[TestedEnd] = match (&self.server, &self.client) {
            (Some(_), _) => &[TestedEnd::Server],
            (_, Some(_)) => &[TestedEnd::Client],
            _ => &[TestedEnd::Server, TestedEnd::Client],
        };
        for end in ends {
            let cases = Cases::of(*end).map_err(|error| Failure::new(Kind::General, error))?;
            let cases = cases.only(&self.case);
            if cases.list.is_empty() {
                return Err(Failure::new(Kind::Usage, "no case has such an id; see --list"));
            }
            if self.list {
                stdout().write(list(&cases));
            } else {
                self.judge(&cases)?;
            }
        }
        Ok(())
    }

    fn judge(&self, cases: &Cases) -> Result<(), Failure> {
        let subject = self.subject()?;
        let outcomes = run(cases, &subject, &self.target(&subject)?, self.jobs);
        stdout().write(match self.output {
            FormatArg::Tap => tap(cases, &outcomes),
            FormatArg::Json => json(cases, &outcomes),
        });
        match Totals::of(&outcomes) {
            Totals { failed: 0, .. } => Ok(()),
            Totals { failed: 1, .. } => Err(Failure::new(Kind::General, "1 case failed")),
            Totals { failed, .. } => {
                Err(Failure::new(Kind::General, format!("{failed} cases failed")))
            }
        }
    }

    fn subject(&self) -> Result<Subject, Failure> {
        let path = self.keys.clone().unwrap_or_default();
        let keys = TestKeys::from_file(&path, system::unix_time())?;
        if !keys.is_usable() {
            let text = format!("{}: no key for countersign/1 is valid now", path.display());
            return Err(Failure::new(Kind::Configuration, text));
        }
        Ok(Subject {
            keys,
            audience: self.audience.clone().unwrap_or_default(),
            protection: self.records,
            framing: self.framing,
            listener: self.listener,
            absent: Feature::ALL
                .into_iter()
                .filter(|feature| self.without.iter().any(|name| name == feature.name()))
                .collect(),
            timeout: self.timeout,
            quiet_time: self.quiet_time,
            handshake_timeout: self.handshake_timeout,
        })
    }

    /// Where the implementation is. A server must be there, else each case would wait for it.
    fn target(&self, subject: &Subject) -> Result<TestTarget, Failure> {
        if let Some(command) = &self.client {
            let keys = self.keys.clone().unwrap_or_default();
            return Ok(TestTarget::Client(command.clone(), keys));
        }
        let server = self.server.clone().unwrap_or_default();
        let fault = |why: String| {
            Failure::new(Kind::Unavailable, format!("cannot connect to {server}: {why}"))
        };
        let addresses = server.to_addresses().map_err(|error| fault(chain(&error)))?;
        let mut last = None;
        for address in addresses {
            match countersign_conformance::probe(&address, subject.timeout) {
                Ok(()) => return Ok(TestTarget::Server(address)),
                Err(error) => last = Some(error),
            }
        }
        Err(fault(last.map_or_else(String::new, |error| crate::exit::describe(&error))))
    }
}

/// The framings without records.
fn plain_framings() -> Vec<(Framing, PossibleValue)> {
    framings().into_iter().filter(|(framing, _)| *framing != Framing::Chunks).collect()
}

fn feature_names() -> Vec<&'static str> {
    Feature::ALL.map(Feature::name).to_vec()
}
