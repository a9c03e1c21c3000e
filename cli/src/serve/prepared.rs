//! Listeners whose keys are read and whose options are valid: they only have to be bound.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix;
use std::sync::Arc;

use countersign::{
    Address, BindError, Dialect, Key, KeyRing, Limits, ListenerConfig, Mac, Server, ServerConfig,
    ToAddresses as _,
};
use countersign_serve::{ListenerService, ServedService};

use super::builtin;
use super::limits;
use super::listener::{CreatedRing, MissingRing};
use super::update::ListenerUpdate;
use crate::args::listener::ListenerArgs;
use crate::exit::Failure;
use crate::ports::{self, Ipv4Ports};
use crate::systemd::ListenFds;
use crate::{system, units};

/// The descriptors of a worker other than the first, apart from its sockets: its poll and the like.
const WORKER_DESCRIPTORS: usize = 4;

/// A listener that can be bound.
#[derive(Debug)]
pub(crate) struct PreparedListener {
    pub(super) args: ListenerArgs,
    config: Arc<ServerConfig>,
    pub(super) limits: Limits,
    /// What is served and protocol, in words.
    pub(crate) serves: String,
    /// Where the keys are and which of them serve; none where the dialect needs none.
    pub(crate) keys: Option<String>,
}

impl PreparedListener {
    /// Prepares all listeners for this many workers, or returns all errors.
    pub(crate) fn all(
        listeners: Vec<ListenerArgs>,
        workers: usize,
        missing: MissingRing,
    ) -> Result<Vec<Self>, Failure> {
        let sockets: usize = listeners.iter().map(|args| args.bind.len()).sum();
        let beside = (workers - 1) * (WORKER_DESCRIPTORS + sockets);
        let limits = limits::limits(&listeners, beside)?;
        let (mut prepared, mut failures) = (Vec::new(), Vec::new());
        for (args, limits) in listeners.into_iter().zip(limits) {
            let (location, origins) = (args.location.clone(), args.origins.clone());
            match Self::new(args, limits, missing) {
                Ok(each) => prepared.push(each),
                Err(failure) => {
                    let failure = location.iter().fold(failure, Failure::at);
                    let behind = origins.behind(&failure.to_string());
                    failures.push(failure.and_lines(behind));
                }
            }
        }
        Failure::together(failures).map_or(Ok(prepared), Err)
    }

    fn new(args: ListenerArgs, limits: Limits, missing: MissingRing) -> Result<Self, Failure> {
        let (ring, made) = args.ring(missing)?;
        let config = Arc::new(args.server_config(ring)?);
        let serves = serves(&args);
        let keys = keys(&args, config.keys(), made.as_ref())?;
        Ok(Self { args, config, limits, serves, keys })
    }

    /// The errors of its addresses.
    pub(crate) fn unresolved(&self) -> impl Iterator<Item = Failure> {
        self.args.bind.iter().filter_map(|address| {
            let resolved = address.to_addresses().map_err(BindError::from);
            let usable = resolved.and_then(|all| match all.first() {
                // No socket may have such a path.
                Some(first @ Address::Unix(path)) if first.file().is_some() => {
                    let checked = unix::net::SocketAddr::from_pathname(path);
                    checked.map(drop).map_err(|error| BindError::Address(first.clone(), error))
                }
                _ => Ok(()),
            });
            usable.err().map(|error| self.cannot_bind(address, &error))
        })
    }

    fn cannot_bind(&self, address: &str, error: &BindError) -> Failure {
        let failure = ports::cannot_bind(address, error, ports::ANY);
        self.args.of_bind().into_iter().fold(failure, Failure::at)
    }

    /// The listener of one of this many workers, not yet bound.
    fn listener(&self, workers: usize) -> ListenerConfig {
        let limits = self.limits.divided(workers);
        self.args.listener(Arc::clone(&self.config), limits).with_reuse_port(workers > 1)
    }

    /// The first worker's, with the sockets that were passed for it, or else at all its addresses.
    fn bound(
        &self,
        workers: usize,
        passed: Vec<OwnedFd>,
        ports: &Ipv4Ports,
    ) -> Result<ListenerConfig, Failure> {
        if !passed.is_empty() {
            return Ok(self.with_sockets(workers, passed));
        }
        if workers > 1 {
            self.probe(ports)?;
        }
        self.args.bind.iter().try_fold(self.listener(workers), |listener, address| {
            ports.bind(listener, address).map_err(|error| self.cannot_bind(address, &error))
        })
    }

    /// A worker's listener, on sockets that listen already.
    fn with_sockets(&self, workers: usize, sockets: Vec<OwnedFd>) -> ListenerConfig {
        sockets.into_iter().fold(self.listener(workers), ListenerConfig::with_socket)
    }

    /// With shared ports, the system would admit this server beside another one of the same user,
    /// unnoticed. So its ports are first bound exclusively, and released.
    fn probe(&self, ports: &Ipv4Ports) -> Result<(), Failure> {
        let is_port = |address: &&String| !address.starts_with("unix:");
        for address in self.args.bind.iter().filter(is_port) {
            let probe = ports.bind(ListenerConfig::new(ServerConfig::open()), address);
            probe.map_err(|error| self.cannot_bind(address, &error))?;
        }
        Ok(())
    }

    /// The listener of a worker other than the first, which has these addresses and sockets.
    fn of_other_worker(
        &self,
        workers: usize,
        addresses: &[Address],
        sockets: Vec<OwnedFd>,
        ports: &Ipv4Ports,
    ) -> Result<ListenerConfig, Failure> {
        let mut both = addresses.iter().zip(sockets);
        both.try_fold(self.listener(workers), |listener, (address, socket)| match address {
            Address::Ip(_) => {
                let bound = ports.bind(listener, address);
                bound.map_err(|error| self.cannot_bind(&address.to_string(), &error))
            }
            // Only one socket can be at a path.
            _ => Ok(listener.with_socket(socket)),
        })
    }

    /// The parts that a running server can replace, for one of this many workers.
    pub(super) fn update(&self, workers: usize) -> ListenerUpdate {
        ListenerUpdate {
            keys: self.config.keys().cloned(),
            limits: self.limits.divided(workers),
            access: self.args.access.access(),
            faults: self.args.faults.faults(workers),
        }
    }

    /// All of it in one line.
    pub(crate) fn shown(&self, workers: usize) -> Result<String, Failure> {
        let Self { args, serves, keys, limits, .. } = self;
        let addresses = args.bind.join(", ");
        let name = args.name.as_ref().unwrap_or(&args.bind[0]);
        let keys = keys.as_deref().unwrap_or("none");
        let memory = units::shown(memory([self], workers)?);
        let most = limits.connections;
        let faults = args.faults.shown().map(|faults| format!("; injects faults: {faults}"));
        let faults = faults.unwrap_or_default();
        Ok(format!(
            "{name}: {addresses}; {serves}; keys {keys}; at most {memory}, with {most} connections\
             {faults}"
        ))
    }
}

/// Builds a server for each worker. All listen at the same addresses.
pub(super) fn servers(
    listeners: &[PreparedListener],
    (workers, fault_seed): (usize, u64),
    passed: ListenFds,
    ports: &Ipv4Ports,
) -> Result<Vec<Server<ServedService>>, Failure> {
    let served: Vec<_> = listeners.iter().map(|prepared| prepared.args.served()).collect();
    if served.contains(&ListenerService::Local) {
        builtin::warn_of_unknown_zone();
    }
    let faults = listeners.iter().map(|prepared| prepared.args.faults.faults(workers));
    let faults: Vec<_> = faults.collect();
    let service = |worker| builtin::service(served.clone(), faults.clone(), (fault_seed, worker));
    let names: Vec<_> = listeners.iter().map(|prepared| prepared.args.name.as_deref()).collect();
    let passed = passed.share(&names)?;
    let was_passed: Vec<bool> = passed.iter().map(|sockets| !sockets.is_empty()).collect();
    let bound = listeners.iter().zip(passed);
    let bound = bound.map(|(prepared, passed)| prepared.bound(workers, passed, ports));
    let bound = bound.collect::<Result<Vec<_>, _>>()?;
    let share = |_| bound.iter().map(ListenerConfig::share).collect::<io::Result<Vec<_>>>();
    let shared = (1..workers).map(share).collect::<io::Result<Vec<_>>>()?;
    let first = Server::new(bound, service(0))?;
    let mut servers = Vec::with_capacity(workers);
    for sockets in shared {
        let all = listeners.iter().zip(first.listeners()).zip(sockets).zip(&was_passed);
        let beside = all
            .map(|(((prepared, listener), sockets), was_passed)| match was_passed {
                true => Ok(prepared.with_sockets(workers, sockets)),
                false => prepared.of_other_worker(workers, listener.addresses(), sockets, ports),
            })
            .collect::<Result<Vec<_>, _>>()?;
        servers.push(Server::new(beside, service(servers.len() + 1))?);
    }
    servers.insert(0, first);
    Ok(servers)
}

/// The maximum memory of the listeners with this many workers, in bytes.
fn memory<'r>(
    listeners: impl IntoIterator<Item = &'r PreparedListener>,
    workers: usize,
) -> Result<usize, Failure> {
    let (mut unbound, mut faults) = (Vec::new(), Vec::new());
    for prepared in listeners {
        unbound.push(prepared.listener(workers));
        faults.push(prepared.args.faults.faults(workers));
    }
    let server = Server::new(unbound, builtin::service(Vec::new(), faults, (0, 0)))?;
    Ok(workers * server.memory_max().total)
}

/// The bound on memory in words.
pub(super) fn bound(listeners: &[PreparedListener], bytes: usize) -> String {
    let memory = units::shown(bytes);
    let connections: usize = listeners.iter().map(|prepared| prepared.limits.connections).sum();
    format!("at most {memory}, with {connections} connections, whatever peers do")
}

/// The same for a server that doesn't listen.
pub(crate) fn bound_of(listeners: &[PreparedListener], workers: usize) -> Result<String, Failure> {
    Ok(bound(listeners, memory(listeners, workers)?))
}

/// What is served and protocol, in words.
fn serves(args: &ListenerArgs) -> String {
    let protocol = &args.protocol;
    let mac = match protocol.dialect() {
        Dialect::Raw | Dialect::Hex => format!(" ({})", protocol.mac.name()),
        Dialect::Multiprocessing if protocol.rhel => " (sha256, and Red Hat's)".to_owned(),
        Dialect::Multiprocessing if protocol.mac != Mac::Sha256 => {
            format!(" (sha256 and {})", protocol.mac.name())
        }
        Dialect::Multiprocessing => " (sha256)".to_owned(),
        _ => String::new(),
    };
    let (what, dialect) = (args.what(), protocol.handshake());
    let (framing, longest) = (protocol.framing(), units::shown(protocol.message_max));
    let told_apart = match protocol.records() {
        Some(records) if protocol.may_be_plain() || protocol.dialects().count() > 1 => {
            format!("records {records}, framing {framing}")
        }
        // They have their own ends.
        Some(records) => format!("records {records}"),
        None => format!("framing {framing}"),
    };
    format!("{what}, dialect {dialect}{mac}, {told_apart}, messages up to {longest}")
}

fn keys(
    args: &ListenerArgs,
    ring: Option<&KeyRing>,
    made: Option<&CreatedRing>,
) -> Result<Option<String>, Failure> {
    let protocol = &args.protocol;
    if !protocol.dialect().authenticates() {
        return Ok(None);
    }
    let (path, Some(ring)) = (protocol.ring_path()?, ring) else { return Ok(None) };
    let path = path.display();
    let now = system::unix_time();
    let serves =
        |key: &&Key| key.is_valid_at(now) && protocol.dialects().any(|each| key.serves(each));
    let ids = ring.keys().filter(serves).map(Key::id).collect::<Vec<_>>().join(", ");
    Ok(Some(match made {
        Some(CreatedRing::Now(print)) => format!("{path} (new, with the key {ids} {print})"),
        Some(CreatedRing::Later) => format!("{path} (does not exist yet; serve creates it)"),
        None => format!("{path} ({ids})"),
    }))
}
