//! A listener: its configuration, and what it has done so far.

pub(crate) mod config;
mod expiry;
pub(super) mod key_table;
pub(super) mod socket;
pub(super) mod socket_file;

use std::sync::{Arc, OnceLock};

use countersign_proto::{KeyRing, ServerConfig};

use crate::address::Address;
use crate::contract::access::Access;
use crate::contract::limits::Limits;
use crate::contract::listener_id::ListenerId;
use crate::contract::networks::Networks;
use crate::reactor::instant::Instant;
use crate::server::listener::expiry::Expiry;
use crate::server::listener::key_table::KeyTable;
use crate::server::throttle::Throttle;
use crate::server::unauthenticated::Unauthenticated;
use crate::stats::counters::Counters;
use crate::stats::listener::{ListenerInfo, ListenerStats};

/// The tables are allocated at start for at most this many connections, and grow beyond that.
pub(super) const ROOM_MAX: usize = 1 << 16;

/// One listener of a server: its protocol, limits and counters.
///
/// Listeners share the loop and the service; each has its own keys, limits and counters.
#[derive(Debug)]
pub struct Listener {
    /// Its place among the engine's listeners, which the engine sets.
    pub(super) id: ListenerId,
    pub(super) name: String,
    addresses: Vec<Address>,
    /// How many sockets listen for it.
    pub(super) sockets: usize,
    pub(super) config: Arc<ServerConfig>,
    pub(super) limits: Limits,
    pub(super) access: Access,
    /// The load balancers that all connections come through; empty if clients connect directly.
    pub(super) proxies: Networks,
    pub(super) unauthenticated: Unauthenticated,
    pub(super) throttle: Throttle,
    pub(super) counters: Counters,
    /// The connections that each key has authenticated.
    pub(super) keys: KeyTable,
    /// The constant part of its stats, made when it is first requested with this ring.
    info: OnceLock<Arc<ListenerInfo>>,
    /// When the next key of the ring expires.
    pub(super) expiry: Expiry,
    /// The number of its open connections.
    pub(super) open: usize,
    /// The bytes that its connections keep together.
    pub(super) held: usize,
}

impl Listener {
    /// A listener for an [`Engine`](crate::engine::Engine), without connections. A
    /// [`Server`](crate::Server) makes its own of each [`ListenerConfig`](crate::ListenerConfig).
    #[must_use]
    pub fn new(config: impl Into<Arc<ServerConfig>>, limits: Limits) -> Self {
        let (config, limits) = (config.into(), limits.coherent());
        Self {
            id: ListenerId::FIRST,
            name: String::new(),
            addresses: Vec::new(),
            access: Access::default(),
            proxies: Networks::new(),
            sockets: 1,
            // The engine makes these tables, by limits that may be others until then.
            unauthenticated: Unauthenticated::new(0),
            throttle: Throttle::new(0),
            counters: Counters::default(),
            keys: KeyTable::of(config.keys()),
            info: OnceLock::new(),
            expiry: Expiry::of(config.keys()),
            open: 0,
            held: 0,
            config,
            limits,
        }
    }

    /// Sets the name, for logs and metrics.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The same with the id that an engine has given it, and with its tables.
    pub(super) fn identified(self, id: ListenerId) -> Self {
        let room = self.limits.unauthenticated.min(ROOM_MAX);
        let throttle = throttle(&self.config, &self.limits);
        Self { id, unauthenticated: Unauthenticated::new(room), throttle, ..self }
    }

    /// The same with other limits, before the first connection.
    pub(super) fn within(self, limits: Limits) -> Self {
        Self { limits: limits.coherent(), ..self }
    }

    /// The same with one socket for each of these addresses. Without a name, it is named after the
    /// first.
    pub(super) fn at(mut self, addresses: Vec<Address>) -> Self {
        if let Some(first) = addresses.first().filter(|_| self.name.is_empty()) {
            self.name = first.to_string();
        }
        self.sockets = addresses.len();
        self.addresses = addresses;
        self
    }

    /// Sets how many sockets listen for it. The default is one.
    #[must_use]
    pub fn with_sockets(mut self, count: usize) -> Self {
        self.sockets = count;
        self
    }

    /// Sets the access lists: which addresses may connect. By default all may.
    #[must_use]
    pub fn with_access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// Sets the load balancers that all connections must come through: see
    /// [`ListenerConfig::with_proxies`](crate::ListenerConfig::with_proxies).
    #[must_use]
    pub fn with_proxies(mut self, from: Networks) -> Self {
        self.proxies = from;
        self
    }

    /// The id, with which a server replaces its keys, limits or access lists.
    #[must_use]
    pub fn id(&self) -> ListenerId {
        self.id
    }

    /// The name; the first address, if none was given.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// The protocol.
    #[must_use]
    pub fn config(&self) -> &Arc<ServerConfig> {
        &self.config
    }

    /// The limits in force.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What it has done since it began.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What it has done since it began and what it does now. The engine adds the connections.
    pub(super) fn stats(&self, now: Instant) -> ListenerStats {
        let keys = self.config.keys();
        let info = self.info.get_or_init(|| {
            let addresses = self.addresses.iter().map(ToString::to_string).collect();
            Arc::new(ListenerInfo::new(&self.name, addresses, keys))
        });
        let mut stats = ListenerStats::new(Arc::clone(info));
        stats.counters = self.counters.clone();
        stats.connections_max = self.limits.connections;
        stats.buffered = self.held;
        stats.buffered_max = self.limits.buffered_max;
        stats.throttled = self.throttle.count(now, &self.limits);
        let keys = keys.into_iter().flat_map(KeyRing::keys);
        stats.keys = keys.map(|key| self.keys.counters(key.number())).collect();
        stats
    }

    /// The bytes that its connections keep now of unfinished messages and unsent replies.
    #[must_use]
    pub fn bytes_buffered(&self) -> usize {
        self.held
    }

    /// Replaces the limits, which apply to new connections. Everything is kept, except the table of
    /// failed proofs if its size changes.
    pub(super) fn replace_limits(&mut self, limits: Limits) {
        let before = std::mem::replace(&mut self.limits, limits.coherent());
        if remembered(&self.config, &before) != remembered(&self.config, &self.limits) {
            self.throttle = throttle(&self.config, &self.limits);
        }
    }

    /// Replaces the keys, which apply to new connections.
    pub(super) fn replace_keys(&mut self, keys: KeyRing) {
        self.config = Arc::new(self.config.with_keys(keys));
        self.config.keys().into_iter().for_each(|ring| self.keys.replace(ring));
        self.info.take();
        self.expiry = Expiry::of(self.config.keys());
    }

    /// Whether all connections come through a load balancer.
    pub(super) fn is_by_balancers(&self) -> bool {
        !self.proxies.is_empty()
    }

    /// Whether a new connection needs another to be evicted.
    pub(super) fn is_full(&self) -> bool {
        self.open >= self.limits.connections
            || self.unauthenticated.count() >= self.limits.unauthenticated
    }
}

fn throttle(config: &ServerConfig, limits: &Limits) -> Throttle {
    Throttle::new(remembered(config, limits))
}

/// How many networks' failures are stored: none if there are no proofs, or if no failure counts.
fn remembered(config: &ServerConfig, limits: &Limits) -> usize {
    let counts = config.dialect().authenticates() && !limits.failure_decay.is_zero();
    if counts { limits.failure_networks } else { 0 }
}
