//! `countersign ping`: whether a server serves, in every dialect.

mod target;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use countersign::engine::Dial;
use countersign::{Client, ClientError, Dialect, ToAddresses as _};
use countersign_load::ProxyVersion;

use super::args::origins::{Origins, Source};
use super::args::protocol::{ProtocolArgs, SERVER};
use super::args::proxy_version::versions;
use super::exit::{Failure, Kind};
use super::output::{stderr, stdout};
use super::{system, units};
pub(crate) use target::Served;
use target::{Check, Target};

/// Check whether a server works
///
/// Each ping is a new connection. In countersign/1 and multiprocessing, a ping succeeds when both
/// ends have proved that they hold the key. In raw, hex and open, the server proves nothing, so
/// ping sends a message and waits for the reply. Exit code 0 means that every ping was answered.
///
/// With --config or --pid, every listener is pinged with its own addresses, dialect, keys and
/// audience, and a listener behind a load balancer is sent a PROXY header. Options that set these
/// things can't be combined with --config or --pid.
#[derive(Debug, Args)]
#[command(before_long_help = EXAMPLES)]
pub(crate) struct PingArgs {
    /// Address of the server: HOST:PORT, HOST, PORT or unix:/PATH [default: 127.0.0.1:9527]
    address: Option<String>,
    /// Ping all listeners of `serve --config FILE`; ADDRESS overrides it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Ping all listeners of the process with this id, according to its command line; ADDRESS
    /// overrides it
    #[arg(long, value_name = "N", value_parser = units::count::<u32>(1..=PID_MAX))]
    pid: Option<u32>,
    /// Send a PROXY header first, as the health check of a load balancer does [default: v2]
    #[arg(long, value_name = "VERSION", value_parser = versions(), num_args = 0..=1,
          require_equals = true, default_missing_value = "v2", hide_default_value = true)]
    proxy_header: Option<ProxyVersion>,
    /// Id of the key to authenticate with [default: the first key for the dialect]
    #[arg(long, value_name = "ID")]
    key: Option<String>,
    /// Number of pings
    #[arg(short = 'c', long, value_name = "N", default_value = "1",
          value_parser = units::count::<u64>(1..=1_000_000_000))]
    count: u64,
    /// Pause between pings; 0s means none
    #[arg(short = 'i', long, value_name = "TIME", default_value = "1s",
          value_parser = units::time(units::ANY_TIME))]
    interval: Duration,
    /// Time limit for one ping
    #[arg(long, value_name = "TIME", default_value = "2s",
          value_parser = units::time(units::SOME_TIME))]
    timeout: Duration,
    /// Send this text and wait for the reply, in any dialect [default: `ping`, in raw, hex and
    /// open]
    #[arg(long, value_name = "TEXT")]
    message: Option<String>,
    /// Send no message: in raw, hex and open, check only that the connection stays open for a
    /// moment
    #[arg(long, conflicts_with = "message")]
    no_message: bool,
    /// Print nothing; only set the exit code
    #[arg(short = 'q', long)]
    quiet: bool,
    #[command(flatten)]
    protocol: ProtocolArgs,
}

const EXAMPLES: &str = "\
Examples:
  countersign ping 127.0.0.1:9527
  countersign ping 127.0.0.1:9527 --quiet --timeout 1s
  countersign ping 127.0.0.1:9527 --dialect open --message hello -c 3
  countersign ping 127.0.0.1:9527 --dialect raw --no-message
  countersign ping unix:/run/garden.sock
  countersign ping --config /etc/countersign/countersign.toml
  countersign ping --pid 1 --quiet";

/// Linux has no greater number for a process.
const PID_MAX: u64 = 1 << 22;

/// How long a connection without messages must stay open.
const STAY_TIME: Duration = Duration::from_millis(250);

/// The options that say how to ping what --config or --pid names. The others say what it is,
/// which is known then.
const HOW: [&str; 5] = ["key", "count", "interval", "timeout", "quiet"];

impl PingArgs {
    pub(crate) fn run(
        self,
        origins: &Origins,
        served: impl Fn(&[OsString]) -> Result<Served, Failure>,
    ) -> Result<(), Failure> {
        let done = self.targets(origins, served).and_then(|targets| self.pings(&targets));
        if self.quiet { done.map_err(Failure::quiet) } else { done }
    }

    fn targets(
        &self,
        origins: &Origins,
        served: impl Fn(&[OsString]) -> Result<Served, Failure>,
    ) -> Result<Vec<Target>, Failure> {
        let address = match (&self.address, self.pid, &self.config) {
            (Some(address), ..) => address,
            (_, Some(pid), _) => {
                refuse_beside("pid", origins)?;
                return Target::all_of(served(&target::argv_of(pid)?)?);
            }
            (_, _, Some(file)) => {
                refuse_beside("config", origins)?;
                let serve = ["countersign", "serve", "--config"].map(OsString::from);
                return Target::all_of(served(&[&serve[..], &[file.into()]].concat())?);
            }
            _ => SERVER,
        };
        let check = Check::of(&self.protocol, self.message.clone(), self.no_message);
        let mut target = Target::new(address.to_owned(), &self.protocol, check)?;
        target.header = self.proxy_header;
        Ok(vec![target])
    }

    fn pings(&self, targets: &[Target]) -> Result<(), Failure> {
        let mut verdict = Ok(());
        for number in 0..self.count {
            if number > 0 {
                system::sleep(self.interval);
            }
            for target in targets {
                verdict = verdict.and(self.ping(target)?.map_err(Failure::quiet));
            }
        }
        verdict
    }

    /// One ping, and the line about it.
    fn ping(&self, target: &Target) -> Result<Result<(), Failure>, Failure> {
        let config = match &self.key {
            Some(id) => Arc::new(target.config.to_builder().with_key(id).build()?),
            None => Arc::clone(&target.config),
        };
        let what = match config.signing_key(system::unix_time())? {
            Some(key) => format!("{}, key {}", config.dialect(), key.id()),
            None => config.dialect().to_string(),
        };
        let began = system::monotonic();
        let target = &Target { config, ..target.clone() };
        Ok(match self.check(target) {
            Ok(checked) => {
                let millis = began.elapsed().as_secs_f64() * 1e3;
                if !self.quiet {
                    let address = &target.address;
                    stdout().line(format_args!("{address}: {what}: {checked}{millis:.2} ms"));
                }
                Ok(())
            }
            Err(error) => {
                let failure = Failure::client(&target.address, &error);
                if !self.quiet {
                    stderr().line(format_args!("countersign: {failure}"));
                }
                Err(failure)
            }
        })
    }

    /// Goes as far as the target requires. Returns what was left out.
    fn check(&self, target: &Target) -> Result<&'static str, ClientError> {
        let mut client = self.connect(target)?;
        client.set_timeout(Some(self.timeout));
        if let Check::Answer(message) | Check::Proof(Some(message)) = &target.check {
            client.ask(message.as_bytes())?;
        }
        match target.check {
            Check::Proof(_) => {
                client.finish()?;
                // The server's close record shows that it has accepted our proof too. In
                // multiprocessing the handshake has shown that, and a server that has accepted us
                // may keep the connection open.
                let has_said = target.config.dialect() == Dialect::Multiprocessing;
                while !has_said && client.receive()?.is_some() {}
                Ok("")
            }
            Check::Answer(_) => Ok(""),
            Check::Handshake => {
                // It doesn't matter here whether the target accepts this.
                let _ = client.finish();
                Ok("target not checked: ")
            }
            Check::Verdict => {
                client.finish()?;
                client.receive()?;
                Ok(match target.config.dialect() {
                    Dialect::Open => "connected, nothing else was checked: ",
                    _ => "proof sent, its result is unknown: ",
                })
            }
            Check::Stay => {
                client.set_timeout(Some(STAY_TIME.min(self.timeout)));
                match client.receive() {
                    Err(ClientError::Timeout) => Ok("connected, nothing else was checked: "),
                    Ok(Some(_)) => Ok("connected and received data, nothing else was checked: "),
                    Ok(None) => Err(ClientError::Closed),
                    Err(error) => Err(error),
                }
            }
        }
    }

    fn connect(&self, target: &Target) -> Result<Client, ClientError> {
        let config = Arc::clone(&target.config);
        let Some(version) = target.header else {
            return Client::connect_within(&*target.address, config, self.timeout);
        };
        let began = system::monotonic();
        let addresses = target.address.to_addresses()?;
        let (mut stream, address) = Dial::new(addresses, began, self.timeout).wait()?;
        let mut header = Vec::new();
        version.write(None, &mut header);
        stream.write_all(&header)?;
        let left = self.timeout.saturating_sub(began.elapsed());
        Client::over(stream, address, config, left)
    }
}

/// Refuses options that were typed beside --config or --pid and would do nothing. A variable
/// may be set for others.
fn refuse_beside(source: &str, origins: &Origins) -> Result<(), Failure> {
    let typed = origins.names().filter(|name| *origins.source(name) == Source::CommandLine);
    let idle = typed.filter(|name| *name != source && !HOW.contains(name));
    let idle: Vec<String> = idle.map(|name| format!("--{name}")).collect();
    if idle.is_empty() {
        return Ok(());
    }
    let text = format!(
        "--{source} already says what to ping and how; remove {}, or use an ADDRESS instead of \
         --{source}",
        idle.join(", ")
    );
    Err(Failure::new(Kind::Usage, text))
}
