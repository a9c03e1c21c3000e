//! `countersign serve`: a server in the foreground.

mod banner;
mod builtin;
mod limits;
mod listener;
mod prepared;
mod reload;
mod runtime;
mod status;
mod update;
mod worker;
mod workers;

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use countersign::Server;
use countersign::stats::Counters;
use countersign_serve::ServedService;
use log::info;

use super::admin::{Admin, Aggregate};
use super::args::listener::ListenerArgs;
use super::args::origins::Origins;
use super::args::process::{ConfigArgs, ProcessArgs};
use super::config::{Config, Settings};
use super::exit::Failure;
use super::logging::{self, Format, Guard};
use super::output::announce;
use super::ports::Ipv4Ports;
use super::reload::{Reloader, Wake};
use super::signals::Claimed;
use super::system;
use super::systemd::{ListenFds, SdNotify};
use banner::Banner;
pub(crate) use listener::MissingRing;
pub(crate) use prepared::{PreparedListener, bound_of};
use runtime::Runtime;
use worker::{Mailbox, Worker};
use workers::Workers;

/// Serve clients that hold a key
///
/// Without --keys, the server uses the key file in the user's configuration directory, and creates
/// it with one fresh key if it does not exist. SIGINT and SIGTERM stop the server gracefully: it
/// answers the messages that have arrived. A second signal stops it at once. SIGHUP reloads the
/// configuration and the keys. SIGUSR1 logs a status report.
#[derive(Debug, Args)]
#[command(before_long_help = EXAMPLES, next_display_order = DISPLAY_ORDER)]
pub(crate) struct ServeArgs {
    /// A configuration file with any of these options, and with one or more listeners; see
    /// `countersign check-config`
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: ConfigArgs,
}

/// Help tells of the listener first.
const DISPLAY_ORDER: usize = 100;

const EXAMPLES: &str = "\
Examples:
  countersign serve
  countersign serve --bind 0.0.0.0:9527 --bind '[::]:9527' --service echo
  countersign serve --bind unix:/run/garden.sock --unix-mode 0660
  countersign serve --dialect open --framing chunks --once
  countersign serve --dialect multiprocessing --bind 127.0.0.1:9528
  countersign serve --keys /etc/countersign/keys --log-format json
  countersign serve --admin 127.0.0.1:9529
  countersign serve --config /etc/countersign/garden.toml";

impl ServeArgs {
    /// The listeners of this command line.
    pub(crate) fn listeners(self, origins: &Origins) -> Result<Vec<ListenerArgs>, Failure> {
        Ok(Config::new(self.config, self.settings, origins).read()?.listeners)
    }

    pub(crate) fn run(self, signals: Claimed, origins: &Origins) -> Result<(), Failure> {
        // Before there is a second thread, and before a file of ours can have one of the numbers.
        let passed = ListenFds::take()?;
        let config = Config::new(self.config, self.settings, origins);
        let settings = config.read()?;
        let log = logging::begin(settings.process.logging);
        let listeners = PreparedListener::all(
            settings.listeners.clone(),
            settings.process.workers,
            MissingRing::Create,
        )?;
        serve((config, settings), &listeners, passed, &log, signals)
    }
}

fn serve(
    (config, settings): (Config, Settings),
    listeners: &[PreparedListener],
    mut passed: ListenFds,
    log: &Guard,
    signals: Claimed,
) -> Result<(), Failure> {
    let ProcessArgs { workers, busy_poll, close_revoked, fault_seed, logging, .. } =
        settings.process;
    let began = system::monotonic();
    let passed_to_admin = passed.named("admin");
    let binds = listeners.iter().flat_map(|prepared| &prepared.args.bind).map(String::as_str);
    let ports = Ipv4Ports::of(binds.chain(settings.process.admin.address()));
    let mut servers = prepared::servers(listeners, (workers, fault_seed), passed, &ports)?;
    for server in &mut servers {
        server.set_busy_poll(busy_poll);
        server.set_close_expired(close_revoked);
    }
    let mailboxes: Vec<_> = servers.iter().map(Mailbox::to).collect();
    let mut first = servers.remove(0);
    // Before anything is printed: a program that reads it may also stop the server.
    let (signals, woken) = signals.watch()?;
    first.wake_on(woken)?;
    let wake = |mailbox: &Arc<Mailbox>| -> Wake {
        let handle = mailbox.handle().clone();
        Arc::new(move || drop(handle.wake()))
    };
    let loops = mailboxes.iter().map(wake).collect();
    let labels = listeners.iter().map(|prepared| prepared.args.labels()).collect();
    let started = system::wall();
    let aggregate = Arc::new(Aggregate::new(loops, labels, (started, began)));
    let admin = settings.process.admin.listen(Arc::clone(&aggregate), passed_to_admin, &ports)?;
    let banner = Banner::new(listeners, &first, workers, admin.as_ref());
    introduce(&banner, log, logging.format, &first, admin.as_ref());
    listener::warn_of_faults(&settings.listeners);
    let published = admin.as_ref().map(|admin| {
        aggregate.set_admin_memory(admin.memory_max());
        Arc::clone(&aggregate)
    });
    let others = servers.into_iter().zip(mailboxes.iter().skip(1).cloned()).collect();
    let others = Workers::begin(others, &first.handle(), published.as_ref())?;
    let number = (workers > 1).then_some(0);
    let first = Worker::new(first, Arc::clone(&mailboxes[0]), number, published.as_ref());
    let runtime = Runtime {
        first,
        others,
        mailboxes,
        signals,
        config,
        settings: Arc::new(settings),
        reloader: Reloader::new(started),
        manager: SdNotify::ready(),
        aggregate,
        began,
        is_stopping: false,
    };
    // The pages are served until the last connection is closed.
    let _pages = admin.map(Admin::begin).transpose()?;
    let Counters { accepted, messages, .. } = runtime.run()?;
    info!("stopped; {accepted} connections, {messages} messages");
    Ok(())
}

/// Prints the banner on stderr, and the addresses on stdout. If nothing reads them, the server
/// still runs.
fn introduce(
    banner: &Banner,
    log: &Guard,
    format: Format,
    server: &Server<ServedService>,
    admin: Option<&Admin>,
) {
    match format {
        Format::Text => log.write(banner.text()),
        Format::Json => banner.log(),
    }
    for address in server.addresses() {
        announce(format_args!("listening on {address}"));
    }
    for address in admin.map(Admin::addresses).unwrap_or_default() {
        announce(format_args!("admin on {address}"));
    }
}
