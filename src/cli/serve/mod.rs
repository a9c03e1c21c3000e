//! `countersign serve`: a server in the foreground.

mod bounds;
mod listening;
mod offer;
mod ready;
mod screen;
mod sources;
mod worker;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use countersign::Server;
use log::info;

use super::config::{File, Wanted};
use super::exit::Failure;
use super::logging::{self, Format, Logging};
use super::signals::Signals;
pub(crate) use bounds::{DESCRIPTORS_BESIDE, raise_descriptors};
pub(crate) use listening::{Listening, Missing};
use offer::Offered;
pub(crate) use ready::{Ready, bound_of};
use screen::Screen;
use worker::{Stop, Worker};

/// Serve those who hold a key
///
/// Without --keys, the ring in the user's configuration directory is used, and made with one fresh
/// key if it isn't there. SIGINT and SIGTERM stop gracefully: what has arrived is answered. A
/// second one stops at once.
#[derive(Debug, Args)]
#[command(before_long_help = EXAMPLES, next_display_order = BEHIND_THE_LISTENER)]
pub(crate) struct Serve {
    /// A file with any of these options, and with several listeners; see `countersign check-config`
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_CONFIG")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
}

/// What can be set: on the command line, in the environment and in a file.
#[derive(Debug, Args)]
pub(crate) struct Settings {
    #[command(flatten)]
    pub(crate) process: Process,
    // Behind all others, because its headings hold for what follows.
    #[command(flatten)]
    pub(crate) listening: Listening,
}

/// What holds for the whole process.
#[derive(Debug, Clone, Args)]
pub(crate) struct Process {
    /// Look for input for so long before sleeping: quicker answers, at the price of a busy core
    #[arg(long, value_name = "TIME", env = "COUNTERSIGN_BUSY_POLL", default_value = "0s",
          value_parser = humantime::parse_duration)]
    busy_poll: Duration,
    #[command(flatten)]
    pub(crate) logging: Logging,
}

/// Help tells of the listener first.
const BEHIND_THE_LISTENER: usize = 100;

const EXAMPLES: &str = "\
Examples:
  countersign serve
  countersign serve --bind 0.0.0.0:9527 --bind '[::]:9527' --service echo
  countersign serve --bind unix:/run/garden.sock --unix-mode 0660
  countersign serve --dialect open --framing chunks --once
  countersign serve --dialect multiprocessing --bind 127.0.0.1:9528
  countersign serve --keys /etc/countersign/keys --log-format json
  countersign serve --config /etc/countersign/garden.toml";

impl Serve {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let Self { config, settings } = self;
        let file = config.map(|path| File::new(path, "serve"));
        let Wanted { process, listeners } = match &file {
            Some(file) => file.read()?,
            None => Wanted::from(settings),
        };
        let _log = logging::begin(process.logging);
        let listeners = Ready::all(listeners, Missing::IsMade)?;
        serve(&process, &listeners)
    }
}

fn serve(process: &Process, listeners: &[Ready]) -> Result<(), Failure> {
    let mut server = ready::server(listeners)?;
    server.set_busy_poll(process.busy_poll);
    // Before anybody hears that it listens: who hears of it may also stop it.
    let (signals, woken) = Signals::heed()?;
    server.wake_on(woken)?;
    introduce(listeners, process.logging.format, &server)?;
    let server = Worker::new(server).with(Stop::at(signals)).run()?;
    let counters = server.counters();
    info!("stopped; {} connections, {} messages", counters.accepted, counters.messages);
    Ok(())
}

/// The first screen on stderr, and on stdout where the server listens.
fn introduce(listeners: &[Ready], format: Format, server: &Server<Offered>) -> io::Result<()> {
    let screen = Screen::new(listeners, server);
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
