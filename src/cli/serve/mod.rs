//! `countersign serve`: a server in the foreground.

mod bounds;
mod screen;

use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use clap::Args;
use clap::builder::{FalseyValueParser, PossibleValue};
use countersign::services::{Discard, Echo, Timestamp};
use countersign::{Close, Key, KeyRing, Peer, Reply, Server, Service};
use log::{info, warn};

use super::exit::{Failure, Kind};
use super::logging::{self, Format, Logging};
use super::options::{Choice, Spoken};
use super::ring::Purpose;
use super::signals::Signals;
use super::{ring, units};
use bounds::Bounds;
pub(crate) use bounds::{DESCRIPTORS_BESIDE, raise_descriptors};
use screen::Screen;

/// Serve those who hold a key
///
/// Without --keys, the ring in the user's configuration directory is used, and made with one fresh
/// key if it isn't there. SIGINT and SIGTERM stop gracefully: what has arrived is answered. A
/// second one stops at once.
#[derive(Debug, Args)]
#[command(before_long_help = EXAMPLES)]
pub(crate) struct Serve {
    /// Where to listen: HOST:PORT or unix:/PATH; may be given more than once, and port 0 is any
    /// free one
    #[arg(
        long,
        value_name = "ADDR",
        env = "COUNTERSIGN_BIND",
        default_value = "127.0.0.1:9527",
        value_delimiter = ','
    )]
    bind: Vec<String>,
    /// The mode of the files of Unix sockets: who may write, may connect
    #[arg(long, value_name = "MODE", env = "COUNTERSIGN_UNIX_MODE", default_value = "0600",
          value_parser = units::mode)]
    unix_mode: u32,
    /// What is served
    #[arg(long, value_name = "NAME", env = "COUNTERSIGN_SERVICE", default_value = "timestamp",
          value_parser = Choice(offers))]
    service: Offer,
    /// Stamp in UTC instead of local time
    #[arg(long, env = "COUNTERSIGN_UTC", value_parser = FalseyValueParser::new())]
    utc: bool,
    /// Look for input for so long before sleeping: quicker answers, at the price of a busy core
    #[arg(long, value_name = "TIME", env = "COUNTERSIGN_BUSY_POLL", default_value = "0s",
          value_parser = humantime::parse_duration)]
    busy_poll: Duration,
    #[command(flatten)]
    logging: Logging,
    // Behind all others, because their headings hold for what follows.
    #[command(flatten)]
    spoken: Spoken,
    #[command(flatten)]
    bounds: Bounds,
}

const EXAMPLES: &str = "\
Examples:
  countersign serve
  countersign serve --bind 0.0.0.0:9527 --bind '[::]:9527' --service echo
  countersign serve --bind unix:/run/garden.sock --unix-mode 0660
  countersign serve --dialect open --framing chunks --once
  countersign serve --dialect multiprocessing --bind 127.0.0.1:9528
  countersign serve --keys /etc/countersign/keys --log-format json";

/// The services that the program brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Offer {
    Timestamp,
    Echo,
    Discard,
}

impl Offer {
    fn name(self) -> &'static str {
        match self {
            Self::Timestamp => "timestamp",
            Self::Echo => "echo",
            Self::Discard => "discard",
        }
    }
}

fn offers() -> Vec<(Offer, PossibleValue)> {
    let offer = |offer: Offer, help| (offer, PossibleValue::new(offer.name()).help(help));
    vec![
        offer(Offer::Timestamp, "each message comes back with the time in front"),
        offer(Offer::Echo, "each message comes back"),
        offer(Offer::Discard, "each message is dropped"),
    ]
}

impl Serve {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let _log = logging::begin(self.logging);
        match self.service {
            Offer::Timestamp if self.utc => self.serve(Timestamp::utc()),
            Offer::Timestamp => {
                warn_of_unknown_zone();
                self.serve(Timestamp::local())
            }
            Offer::Echo => self.serve(Echo),
            Offer::Discard => self.serve(Discard),
        }
    }

    fn serve<S: Service>(&self, service: S) -> Result<(), Failure> {
        if self.spoken.verify_only { self.listen(Verdicts) } else { self.listen(service) }
    }

    fn listen<S: Service>(&self, service: S) -> Result<(), Failure> {
        let (ring, made) = self.ring()?;
        let serving = self.spoken.dialects().flat_map(|dialect| ring.serving(dialect));
        for key in serving.filter(|key| key.is_short()) {
            let id = key.id();
            warn!(key:% = id; "the key has fewer than 16 bytes: who sees a proof can guess it");
        }
        let protocol = self.spoken.protocol(ring)?;
        if self.spoken.may_be_plain() {
            warn!("where records are left out, whoever relays the handshake owns the connection");
        }
        protocol.check_server()?;
        let limits = self.bounds.limits(self.spoken.message_max)?;
        let mut builder =
            Server::builder(protocol, service).limits(limits).unix_mode(self.unix_mode);
        for address in &self.bind {
            builder = builder.bind(address).map_err(|error| cannot_listen(address, &error))?;
        }
        let mut server = builder.build()?;
        server.set_busy_poll(self.busy_poll);
        // Before anybody hears that it listens: who hears of it may also stop it.
        let (signals, woken) = Signals::heed()?;
        server.wake_on(woken)?;
        self.introduce(&server, made.as_ref())?;
        run(&mut server, &signals)?;
        let counters = server.counters();
        info!("stopped; {} connections, {} messages", counters.accepted, counters.messages);
        Ok(())
    }

    /// The keys, and the key that was made because there was none.
    fn ring(&self) -> Result<(KeyRing, Option<Key>), Failure> {
        let path = self.spoken.ring_path()?;
        let missing = self.spoken.dialect().authenticates() && self.spoken.keys.is_none();
        let made = match missing && !path.exists() {
            true => match ring::add(&path, "default", &Purpose::of(self.spoken.dialect())) {
                // Another server has begun in the same moment, and made it.
                Err(_) if path.exists() => None,
                made => Some(made?),
            },
            false => None,
        };
        Ok((self.spoken.ring()?, made))
    }

    /// The first screen on stderr, and on stdout where the server listens.
    fn introduce<S: Service>(&self, server: &Server<S>, made: Option<&Key>) -> io::Result<()> {
        let screen = Screen::new(self.what(), &self.spoken, server, made)?;
        // Where nobody reads what it says, it serves all the same.
        match self.logging.format {
            Format::Text => drop(io::stderr().write_all(screen.text().as_bytes())),
            Format::Json => screen.log(),
        }
        let mut stdout = io::stdout();
        for address in server.addresses() {
            let _ = writeln!(stdout, "listening on {address}");
        }
        Ok(())
    }

    fn what(&self) -> &'static str {
        if self.spoken.verify_only { "verdicts" } else { self.service.name() }
    }
}

fn cannot_listen(address: &str, error: &io::Error) -> Failure {
    let text = match error.to_string() {
        named if named.starts_with("cannot bind") => named,
        other => format!("cannot bind {address}: {other}; write HOST:PORT or unix:/PATH"),
    };
    Failure::new(Kind::Unavailable, text)
}

/// Serves until a signal drains it; the next one stops it at once.
fn run<S: Service>(server: &mut Server<S>, signals: &Signals) -> io::Result<()> {
    let handle = server.handle();
    let mut is_stopping = false;
    while !server.is_finished() {
        server.turn(None)?;
        if signals.come() {
            if std::mem::replace(&mut is_stopping, true) {
                handle.stop_now()
            } else {
                handle.stop()
            }?;
        }
    }
    Ok(())
}

/// Says who was verified, one line each on stdout.
#[derive(Debug)]
struct Verdicts;

impl Service for Verdicts {
    type State = ();

    fn open(&mut self, peer: &Peer<'_>, _reply: &mut Reply<'_>) {
        // Whoever reads the verdicts may have gone; the log has the refusals.
        let key = peer.key().unwrap_or("-");
        let _ = writeln!(io::stdout(), "verified {} key={key}", peer.address());
    }

    fn message(&mut self, (): &mut (), _message: &[u8], _reply: &mut Reply<'_>) {}

    fn close(&mut self, (): (), _why: Close) {}
}

/// chrono gives UTC for a zone that it can't find, and says nothing.
fn warn_of_unknown_zone() {
    let Ok(zone) = std::env::var("TZ") else { return };
    let name = zone.trim_start_matches(':');
    let posix = name.contains(|c: char| c.is_ascii_digit());
    let found = ["/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/etc/zoneinfo"]
        .iter()
        .any(|directory| Path::new(directory).join(name).is_file());
    if !(name.is_empty() || name == "UTC" || posix || found) {
        warn!("the time zone {name} in TZ isn't known here: stamps are in UTC");
    }
}
