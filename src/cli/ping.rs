//! `countersign ping`: whether a server serves, in every dialect.

use std::time::Duration;

use clap::Args;
use clap::builder::FalseyValueParser;
use countersign::{Client, ClientError, Dialect, Protocol};

use super::exit::Failure;
use super::options::{SERVER, STAMP_AND_FRAME, Spoken};
use super::output::{stderr, stdout};
use super::{system, units};

/// Check whether a server serves
///
/// Each ping is a connection of its own, which goes as far as something is proved: in countersign/1
/// and in multiprocessing both ends prove that they hold the key. In raw, hex and open the server
/// proves nothing, so a message is sent and its answer awaited. Exit code 0 says that every ping
/// was answered.
#[derive(Debug, Args)]
#[command(before_long_help = EXAMPLES)]
pub(crate) struct Ping {
    /// Where the server listens: HOST:PORT, HOST, PORT or unix:/PATH
    #[arg(default_value = SERVER)]
    address: String,
    /// Sign with the key of this id [default: the first that serves the dialect]
    #[arg(long, value_name = "ID", env = "COUNTERSIGN_KEY")]
    key: Option<String>,
    /// How many times
    #[arg(short = 'c', long, value_name = "N", env = "COUNTERSIGN_COUNT", default_value = "1",
          value_parser = units::count::<u64>(1..=1_000_000_000))]
    count: u64,
    /// From the end of one ping until the next begins; 0s is at once
    #[arg(short = 'i', long, value_name = "TIME", env = "COUNTERSIGN_INTERVAL",
          default_value = "1s", value_parser = units::time(units::ANY_TIME))]
    interval: Duration,
    /// How long one ping may take
    #[arg(long, value_name = "TIME", env = "COUNTERSIGN_TIMEOUT", default_value = "2s",
          value_parser = units::time(units::SOME_TIME))]
    timeout: Duration,
    /// Send this and await the answer, in any dialect [default: `ping`, in raw, hex and open]
    #[arg(long, value_name = "TEXT", env = "COUNTERSIGN_MESSAGE")]
    message: Option<String>,
    /// Send no message: in raw, hex and open it is enough that the connection stays for a moment
    #[arg(long, env = "COUNTERSIGN_NO_MESSAGE", value_parser = FalseyValueParser::new(),
          conflicts_with = "message")]
    no_message: bool,
    /// Print nothing; the exit code says it
    #[arg(short = 'q', long, env = "COUNTERSIGN_QUIET", value_parser = FalseyValueParser::new())]
    quiet: bool,
    #[command(flatten)]
    spoken: Spoken,
}

const EXAMPLES: &str = "\
Examples:
  countersign ping 127.0.0.1:9527
  countersign ping 127.0.0.1:9527 --quiet --timeout 1s
  countersign ping 127.0.0.1:9527 --dialect open --message hello -c 3
  countersign ping 127.0.0.1:9527 --dialect raw --no-message
  countersign ping unix:/run/garden.sock";

/// What is sent where a message is needed and none was given.
const MESSAGE: &str = "ping";

/// How long a connection must stay that nothing is said on.
const MOMENT: Duration = Duration::from_millis(250);

impl Ping {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let done = self.pings();
        if self.quiet { done.map_err(Failure::quiet) } else { done }
    }

    fn pings(&self) -> Result<(), Failure> {
        let protocol = self.spoken.protocol(self.spoken.ring()?)?;
        // The reply to the longest message is longer still.
        let mut protocol = protocol.with_message_max(self.spoken.message_max + STAMP_AND_FRAME);
        if let Some(id) = &self.key {
            protocol = protocol.with_key(id);
        }
        let what = match protocol.signing_key()? {
            Some(key) => format!("{}, key {}", self.spoken.dialect(), key.id()),
            None => self.spoken.dialect().to_string(),
        };
        let mut failed = Ok(());
        for number in 0..self.count {
            if number > 0 {
                system::sleep(self.interval);
            }
            let began = system::monotonic();
            match self.ping(&protocol) {
                Ok(checked) => {
                    let millis = began.elapsed().as_secs_f64() * 1e3;
                    self.say(&format!("{}: {what}: {checked}{millis:.2} ms", self.address));
                }
                Err(error) => {
                    let failure = Failure::client(&self.address, &error);
                    if !self.quiet {
                        stderr().line(format_args!("countersign: {failure}"));
                    }
                    failed = failed.and(Err(failure.quiet()));
                }
            }
        }
        failed
    }

    /// Goes as far as something is proved. Says what was left out.
    fn ping(&self, protocol: &Protocol) -> Result<&'static str, ClientError> {
        let mut client = Client::connect_within(&*self.address, protocol.clone(), self.timeout)?;
        client.set_timeout(Some(self.timeout));
        if let Some(message) = self.message() {
            client.ask(message.as_bytes())?;
        }
        match self.spoken.dialect() {
            // Whether the server takes our proof too, it says at the latest with its good-bye.
            Dialect::Countersign | Dialect::Multiprocessing => {
                client.finish()?;
                while client.receive()?.is_some() {}
                Ok("")
            }
            _ if self.message().is_some() => Ok(""),
            _ if self.spoken.verify_only => {
                client.finish()?;
                client.receive()?;
                Ok("the proof was sent, the verdict stays there: ")
            }
            _ => {
                client.set_timeout(Some(MOMENT.min(self.timeout)));
                match client.receive() {
                    Err(ClientError::Timeout) => Ok("connected, nothing more is known: "),
                    Ok(Some(_)) => Ok("connected and greeted, nothing more is known: "),
                    Ok(None) => Err(ClientError::Closed),
                    Err(error) => Err(error),
                }
            }
        }
    }

    /// What is sent.
    fn message(&self) -> Option<&str> {
        let proves =
            matches!(self.spoken.dialect(), Dialect::Countersign | Dialect::Multiprocessing);
        let needed = (!proves && !self.no_message && !self.spoken.verify_only).then_some(MESSAGE);
        self.message.as_deref().or(needed)
    }

    fn say(&self, line: &str) {
        if !self.quiet {
            stdout().line(line);
        }
    }
}
