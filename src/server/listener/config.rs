//! The configuration of a listener, and the sockets that it is bound to.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use countersign_proto::{KeyRing, ServerConfig};

use crate::address::ToAddresses;
use crate::clock;
use crate::contract::access::Access;
use crate::contract::limits::Limits;
use crate::contract::networks::Networks;
use crate::server::bind_error::BindError;
use crate::server::listener::Listener;
use crate::server::listener::socket::{self, BoundSocket, Options};
use crate::unix_time::since_epoch;

/// The configuration of one listener of a [`Server`](crate::Server): its protocol and limits, and
/// the sockets that it accepts connections from.
///
/// Each listener has its own keys, limits and counters; all share the loop and the service.
///
/// ```
/// use countersign::services::Timestamp;
/// use countersign::{Key, KeyRing, KeyRingExt as _, Limits, ListenerConfig, ServerConfig, Server};
///
/// let keys = KeyRing::from_key(Key::new("garden", b"sixteen bytes or more")?)?;
/// let few = Limits { connections: 100, ..Limits::default() };
/// let garden = ListenerConfig::new(keys).with_name("garden");
/// let open = ListenerConfig::new(ServerConfig::open()).with_name("open").with_limits(few);
/// let listeners = [
///     garden.bind("127.0.0.1:0")?.bind("127.0.0.1:0")?,
///     open.bind("127.0.0.1:0")?,
/// ];
/// let server = Server::new(listeners, Timestamp::local())?;
/// assert_eq!(server.addresses().len(), 3);
/// assert_eq!(server.listeners()[1].limits().connections, 100);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ListenerConfig {
    /// The listener that it becomes.
    listener: Listener,
    options: Options,
    bound: Vec<BoundSocket>,
}

impl ListenerConfig {
    /// A listener with the default [`Limits`] and no socket yet. A [`KeyRing`] by itself
    /// means the dialect `countersign/1`.
    #[must_use]
    pub fn new(config: impl Into<Arc<ServerConfig>>) -> Self {
        let listener = Listener::new(config, Limits::default());
        Self { listener, options: Options::default(), bound: Vec::new() }
    }

    /// Sets the name, for logs and metrics. The default is the first address.
    #[must_use]
    pub fn with_name(self, name: impl Into<String>) -> Self {
        Self { listener: self.listener.with_name(name), ..self }
    }

    /// Sets the limits. The default is [`Limits::default`].
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { listener: self.listener.within(limits), ..self }
    }

    /// Sets the access lists: which addresses may connect. By default all may. Other connections
    /// are closed at once, before anything is sent ([`Refusal::Denied`](crate::Refusal::Denied)).
    #[must_use]
    pub fn with_access(self, access: Access) -> Self {
        Self { listener: self.listener.with_access(access), ..self }
    }

    /// Sets the load balancers that all connections must come through. Each connection begins with
    /// a header of the PROXY protocol, version 1 or 2. With an empty list, which is the default,
    /// clients connect directly, and such a header is refused.
    ///
    /// Nothing is sent before the header is complete
    /// ([`Refusal::ProxyHeader`](crate::Refusal::ProxyHeader)). The address in it is the client's:
    /// the limits of an address, the throttle, [`with_access`](Self::with_access) and
    /// [`Peer::address`](crate::Peer::address) use it. If the header has no address, they use the
    /// balancer's. Connections from other addresses are closed
    /// ([`Refusal::Denied`](crate::Refusal::Denied)).
    #[must_use]
    pub fn with_proxies(self, from: Networks) -> Self {
        Self { listener: self.listener.with_proxies(from), ..self }
    }

    /// Sets the mode of the files of Unix sockets that are bound after this: who may write to the
    /// file may connect. The default is `0o600`, the owner alone.
    #[must_use]
    pub fn with_unix_mode(mut self, mode: u32) -> Self {
        self.options.unix_mode = mode;
        self
    }

    /// Sets whether other sockets of the same user may listen at the IP addresses that are bound
    /// after this, so that the system distributes new connections among them (`SO_REUSEPORT`). By
    /// default they may not.
    #[must_use]
    pub fn with_reuse_port(mut self, reuses: bool) -> Self {
        self.options.reuse_port = reuses;
        self
    }

    /// Sets how long a TCP connection may be silent until the system probes whether the peer is
    /// still there (`SO_KEEPALIVE`); `None` is never. The default is a minute.
    #[must_use]
    pub fn with_keepalive(mut self, after: Option<Duration>) -> Self {
        self.options.keepalive = after;
        self
    }

    /// Sets how long data sent over TCP may remain unacknowledged until the system closes the
    /// connection (`TCP_USER_TIMEOUT`, on Linux). The default is [`Limits::write_timeout`].
    #[must_use]
    pub fn with_user_timeout(mut self, after: Duration) -> Self {
        self.options.user_timeout = Some(after);
        self
    }

    /// Sets whether `[::]`, if it is bound after this, accepts IPv6 only. By default it accepts
    /// IPv4 too, unless this listener is bound to an IPv4 address at the same port, before or
    /// after it.
    ///
    /// Another listener at such an address would find the port in use, so set it then.
    #[must_use]
    pub fn with_ipv6_only(mut self, is_ipv6_only: bool) -> Self {
        self.options.ipv6_only = is_ipv6_only;
        self
    }

    /// Listens at all addresses of a name. Port 0 is any free port, and `unix:/path` a Unix socket.
    ///
    /// An address that no interface of this machine has is left out if another one of the name can
    /// be bound: [`Server::addresses`](crate::Server::addresses) returns those that are. With port
    /// 0, all addresses get the same port.
    ///
    /// A socket file that a dead server has left is replaced; files of other kinds, and a socket at
    /// which another process listens, are not. When the server stops, it removes its file.
    ///
    /// # Errors
    ///
    /// The name can't be resolved, or one of its addresses can't be bound.
    pub fn bind(mut self, address: impl ToAddresses) -> Result<Self, BindError> {
        let addresses = address.to_addresses()?;
        socket::bind(&addresses, &self.options, &mut self.bound)?;
        Ok(self)
    }

    /// Listens with a socket that is already bound and listening: a
    /// [`TcpListener`](std::net::TcpListener) or a
    /// [`UnixListener`](std::os::unix::net::UnixListener) of std, or a descriptor. The server sets
    /// its options as for [`bind`](Self::bind): non-blocking and, over TCP, `TCP_NODELAY` and
    /// keepalive. It does not remove the file of such a Unix socket.
    #[must_use]
    pub fn with_socket(mut self, socket: impl Into<OwnedFd>) -> Self {
        self.bound.push(BoundSocket::from(socket.into()));
        self
    }

    /// Duplicates the sockets that are bound so far, for [`with_socket`](Self::with_socket) of
    /// another server's listener: the server that accepts a connection first has it. This
    /// listener's server removes the files of Unix sockets.
    ///
    /// # Errors
    ///
    /// The process has no descriptor left.
    pub fn share(&self) -> io::Result<Vec<OwnedFd>> {
        self.bound.iter().map(|bound| bound.socket.try_clone().map(OwnedFd::from)).collect()
    }

    /// The listener, and a socket for each of its addresses.
    pub(in crate::server) fn open(self) -> Result<(Listener, Vec<BoundSocket>), BindError> {
        let Self { listener, options, bound } = self;
        listener.config.keys().into_iter().for_each(KeyRing::note_listener);
        listener.config.check_keys(since_epoch(clock::wall()))?;
        let limits = listener.limits();
        let prepared = bound.iter().map(|bound| socket::prepare(&bound.socket, &options, limits));
        let addresses = prepared.collect::<Result<Vec<_>, _>>()?;
        Ok((listener.at(addresses), bound))
    }
}
