//! `countersign proxy`: carries the connections of other programs.

mod daemon;
mod limits;
mod tunnel;

use std::io;
use std::net::TcpListener;
use std::sync::Arc;

use clap::Args;
use clap::builder::PossibleValue;
use countersign::{BindError, ClientConfig, ListenerConfig, ServerConfig, ToAddresses as _};
use countersign_relay::{PAIRS_MAX, Relay, RelayRole, RelayTarget, Route};
use log::{info, warn};

use super::admin::{Admin, Aggregate, Labels, StatsPublisher};
use super::args::admin::AdminArgs;
use super::args::choice::NamedValueParser;
use super::exit::{Failure, Kind};
use super::logging::{self, Logging};
use super::output::announce;
use super::ports::Ipv4Ports;
use super::signals::Claimed;
use super::{ports, system, units};
use daemon::Daemon;
use limits::RelayLimitArgs;
use tunnel::Tunnel;

/// Tunnel the connections of other programs through countersign/1
///
/// One proxy runs beside the client and one beside the server, and both hold the same key. Each
/// proves to the other that it holds the key. Nobody between them can change, repeat, drop or
/// truncate data unnoticed, but anyone on the path can read it, unless both have --records sealed.
/// There is no fallback to less protection.
///
/// SIGINT and SIGTERM stop the proxy gracefully: it accepts no new connections, and open ones
/// continue until they end or --drain-timeout passes. A second signal stops it at once. SIGHUP
/// reloads the keys. SIGUSR1 logs a status report.
#[derive(Debug, Args)]
#[command(before_long_help = EXAMPLES)]
pub(crate) struct ProxyArgs {
    /// Which end of the tunnel this is
    #[arg(long, value_name = "ROLE", value_parser = NamedValueParser(roles))]
    role: RelayRole,
    /// Address to listen on, as HOST:PORT; a name stands for all its addresses; port 0 means any
    /// free port
    #[arg(long, value_name = "ADDR")]
    listen: String,
    /// Address to connect to, as HOST:PORT; a name is resolved for each connection
    #[arg(long, value_name = "ADDR")]
    target: String,
    #[command(flatten)]
    admin: AdminArgs,
    #[command(flatten)]
    logging: Logging,
    // Behind all others, because their headings hold for what follows.
    #[command(flatten)]
    tunnel: Tunnel,
    #[command(flatten)]
    limits: RelayLimitArgs,
}

const EXAMPLES: &str = "\
Examples:
  countersign proxy --role server --listen 0.0.0.0:9528 --target 127.0.0.1:5432
  countersign proxy --role client --listen 127.0.0.1:5432 --target db.example:9528
  countersign proxy --role client --listen 127.0.0.1:5432 --target db.example:9528 --key garden";

fn roles() -> Vec<(RelayRole, PossibleValue)> {
    let client = "Accepts plain connections at --listen, and connects to --target in countersign/1";
    let server = "Accepts countersign/1 at --listen, and connects to --target in plain TCP";
    [(RelayRole::Client, client), (RelayRole::Server, server)]
        .map(|(role, help)| (role, PossibleValue::new(role.name()).help(help)))
        .into()
}

/// How the pages label a proxy in this role.
fn labels(role: RelayRole, is_sealed: bool) -> Labels {
    let service = match role {
        RelayRole::Client => "proxy beside clients",
        RelayRole::Server => "proxy beside a server",
    };
    Labels {
        dialect: "countersign/1",
        framing: if is_sealed { "sealed records" } else { "records" },
        service,
    }
}

/// The form of a proxy's addresses. It uses no Unix sockets, in which a truncated stream would look
/// complete.
const FORM: &str = "HOST:PORT";

/// Listens at all addresses of a name.
fn listen(name: &str, ports: &Ipv4Ports) -> Result<Vec<TcpListener>, Failure> {
    let cannot_bind = |error: BindError| ports::cannot_bind(name, &error, FORM);
    let addresses = name.to_addresses().map_err(|error| cannot_bind(error.into()))?;
    if addresses.iter().any(|address| address.ip().is_none()) {
        let problem = "a proxy does not listen on Unix sockets";
        let text = format!("cannot bind {name}: {problem}; write {FORM}");
        return Err(Failure::new(Kind::Unavailable, text));
    }
    let listener = ports.bind(ListenerConfig::new(ServerConfig::open()), addresses);
    let sockets = listener.map_err(cannot_bind)?.share()?;
    Ok(sockets.into_iter().map(TcpListener::from).collect())
}

impl ProxyArgs {
    pub(crate) fn run(self, signals: Claimed) -> Result<(), Failure> {
        let _log = logging::begin(self.logging);
        let began = system::monotonic();
        let config = self.tunnel.config(self.role)?;
        let limits = self.limits.limits(self.room()?);
        let target = RelayTarget::new(&self.target).map_err(|error| self.no_target(&error))?;
        let ports = Ipv4Ports::of([&*self.listen].into_iter().chain(self.admin.address()));
        let listeners = listen(&self.listen, &ports)?;
        // Before anything is printed: a program that reads it may also stop the proxy.
        let (signals, woken) = signals.watch()?;
        let closes_revoked = self.tunnel.close_revoked;
        let route = Route { listeners, target, closes_revoked };
        let relay = Relay::new(route, config, limits, woken)?;
        let (loops, labels) =
            (vec![relay.waker()], vec![labels(self.role, self.tunnel.is_sealed())]);
        let started = system::wall();
        let aggregate = Arc::new(Aggregate::new(loops, labels, (started, began)));
        let admin = self.admin.listen(Arc::clone(&aggregate), Vec::new(), &ports)?;
        let from = relay.addresses().join(", ");
        match self.role {
            RelayRole::Client => info!("from plain {from} to countersign/1 at {}", self.target),
            RelayRole::Server => info!("from countersign/1 at {from} to plain {}", self.target),
        }
        let memory = units::shown(relay.memory_max());
        info!("at most {memory} of memory for connections, whatever peers do");
        for address in relay.addresses() {
            announce(format_args!("listening on {address}"));
        }
        for address in admin.as_ref().map(Admin::addresses).unwrap_or_default() {
            announce(format_args!("admin on {address}"));
        }
        let publisher = admin.as_ref().map(|admin| {
            aggregate.set_admin_memory(admin.memory_max());
            StatsPublisher::begin(&aggregate, 0, relay.stats())
        });
        // The pages are served until the last connection is closed.
        let _pages = admin.map(Admin::begin).transpose()?;
        let (stats, start) = ((publisher, aggregate), (started, began));
        Ok(Daemon::begin(relay, signals, self.tunnel, stats, start).run()?)
    }

    /// Where it listens, and what is spoken there.
    pub(crate) fn front(&self) -> Result<(String, ClientConfig), Failure> {
        let config = match self.role {
            RelayRole::Client => ClientConfig::open(),
            RelayRole::Server => self.tunnel.client()?,
        };
        Ok((self.listen.clone(), config))
    }

    /// The number of connections, of two sockets each, for which there are descriptors.
    fn room(&self) -> io::Result<usize> {
        let wanted = self.limits.max_connections;
        let given = system::raise_descriptors(2 * wanted as u64)?;
        let room = usize::try_from(given.saturating_sub(system::DESCRIPTORS_RESERVED) / 2);
        let room = room.unwrap_or(usize::MAX).clamp(1, wanted.min(PAIRS_MAX));
        if room < wanted {
            warn!("{given} descriptors allow for {room} connections; raise ulimit -n");
        }
        Ok(room)
    }

    fn no_target(&self, error: &io::Error) -> Failure {
        let why = ports::with_forms(&error.to_string(), FORM);
        Failure::new(Kind::Unavailable, format!("cannot find {}: {why}", self.target))
    }
}
