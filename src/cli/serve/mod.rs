//! `countersign serve`: a server in the foreground.

mod bounds;
mod listening;
mod offer;
mod screen;
mod worker;

use std::io::{self, Write as _};
use std::time::Duration;

use clap::Args;
use countersign::{Key, Listener, Server};
use log::info;

use super::exit::Failure;
use super::logging::{self, Format, Logging};
use super::signals::Signals;
pub(crate) use bounds::{DESCRIPTORS_BESIDE, raise_descriptors};
use listening::{Listening, cannot_listen};
use offer::Offered;
use screen::Screen;
use worker::{Stop, Worker};

/// Serve those who hold a key
///
/// Without --keys, the ring in the user's configuration directory is used, and made with one fresh
/// key if it isn't there. SIGINT and SIGTERM stop gracefully: what has arrived is answered. A
/// second one stops at once.
#[derive(Debug, Args)]
#[command(before_long_help = EXAMPLES, next_display_order = AFTER_THE_LISTENER)]
pub(crate) struct Serve {
    /// Look for input for so long before sleeping: quicker answers, at the price of a busy core
    #[arg(long, value_name = "TIME", env = "COUNTERSIGN_BUSY_POLL", default_value = "0s",
          value_parser = humantime::parse_duration)]
    busy_poll: Duration,
    #[command(flatten)]
    logging: Logging,
    // Behind all others, because its headings hold for what follows.
    #[command(flatten)]
    listening: Listening,
}

/// Help tells of the listener first.
const AFTER_THE_LISTENER: usize = 100;

const EXAMPLES: &str = "\
Examples:
  countersign serve
  countersign serve --bind 0.0.0.0:9527 --bind '[::]:9527' --service echo
  countersign serve --bind unix:/run/garden.sock --unix-mode 0660
  countersign serve --dialect open --framing chunks --once
  countersign serve --dialect multiprocessing --bind 127.0.0.1:9528
  countersign serve --keys /etc/countersign/keys --log-format json";

impl Serve {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let _log = logging::begin(self.logging);
        let Self { busy_poll, logging, listening } = self;
        let offered = Offered::new(vec![listening.served()]);
        let (ring, made) = listening.ring()?;
        let protocol = listening.protocol(ring)?;
        let limits = listening.bounds.limits(listening.spoken.message_max)?;
        let mut listener = Listener::new(protocol).limits(limits).unix_mode(listening.unix_mode);
        for address in &listening.bind {
            listener = listener.bind(address).map_err(|error| cannot_listen(address, &error))?;
        }
        let mut server = Server::new([listener], offered)?;
        server.set_busy_poll(busy_poll);
        // Before anybody hears that it listens: who hears of it may also stop it.
        let (signals, woken) = Signals::heed()?;
        server.wake_on(woken)?;
        introduce(&listening, logging.format, &server, made.as_ref())?;
        let server = Worker::new(server).with(Stop::at(signals)).run()?;
        let counters = server.counters();
        info!("stopped; {} connections, {} messages", counters.accepted, counters.messages);
        Ok(())
    }
}

/// The first screen on stderr, and on stdout where the server listens.
fn introduce(
    listening: &Listening,
    format: Format,
    server: &Server<Offered>,
    made: Option<&Key>,
) -> io::Result<()> {
    let screen = Screen::new(listening.what(), &listening.spoken, server, made)?;
    // Where nobody reads what it says, it serves all the same.
    match format {
        Format::Text => drop(io::stderr().write_all(screen.text().as_bytes())),
        Format::Json => screen.log(),
    }
    let mut stdout = io::stdout();
    for address in server.addresses() {
        let _ = writeln!(stdout, "listening on {address}");
    }
    Ok(())
}
