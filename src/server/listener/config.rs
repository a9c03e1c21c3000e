//! What a listener is given before it listens.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use crate::address::ToAddresses;
use crate::clock;
use crate::contract::access::Access;
use crate::contract::limits::Limits;
use crate::contract::networks::Networks;
use crate::proto::keys::KeyRing;
use crate::proto::protocol::Protocol;
use crate::server::listener::Listener;
use crate::server::listener::socket::{self, BoundSocket, Options};
use crate::unix_time::since_epoch;

/// What one listener of a [`Server`](crate::Server) is given: what it speaks, within which limits,
/// and any number of addresses.
///
/// Each has keys, limits and counters of its own; all share the loop and the service.
///
/// ```
/// use countersign::services::Timestamp;
/// use countersign::{Key, KeyRing, KeyRingExt as _, Limits, ListenerConfig, Protocol, Server};
///
/// let keys = KeyRing::from_key(Key::new("garden", b"sixteen bytes or more")?)?;
/// let few = Limits { connections: 100, ..Limits::default() };
/// let listeners = [
///     ListenerConfig::new(keys).with_name("garden").bind("127.0.0.1:0")?.bind("127.0.0.1:0")?,
///     ListenerConfig::new(Protocol::open()).with_name("open").with_limits(few).bind("127.0.0.1:0")?,
/// ];
/// let server = Server::new(listeners, Timestamp::local())?;
/// assert_eq!(server.addresses().len(), 3);
/// assert_eq!(server.listeners()[1].limits().connections, 100);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ListenerConfig {
    /// What it is to become.
    listener: Listener,
    options: Options,
    bound: Vec<BoundSocket>,
}

impl ListenerConfig {
    /// A listener with the default [`Limits`] that speaks this; a [`KeyRing`] alone
    /// stands for the dialect `countersign/1`.
    #[must_use]
    pub fn new(protocol: impl Into<Protocol>) -> Self {
        let listener = Listener::new(protocol, Limits::default());
        Self { listener, options: Options::default(), bound: Vec::new() }
    }

    /// Under a name, for logs and metrics; without one, it goes by its first address.
    #[must_use]
    pub fn with_name(self, name: impl Into<String>) -> Self {
        Self { listener: self.listener.with_name(name), ..self }
    }

    /// With other limits than the default ones.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { listener: self.listener.within(limits), ..self }
    }

    /// For those alone who may connect by where they come from; at first everybody may. Who may
    /// not is hung up on at once and in silence ([`Refusal::Denied`](crate::Refusal::Denied)).
    #[must_use]
    pub fn with_access(self, access: Access) -> Self {
        Self { listener: self.listener.with_access(access), ..self }
    }

    /// For those who come by these balancers, which say whose connection it is by a header of the
    /// PROXY protocol, version 1 or 2. With an empty list, as at first, everybody comes by
    /// themselves, and such a header is a stranger's.
    ///
    /// The header is required, and nothing is written before it is whole
    /// ([`Refusal::ProxyHeader`](crate::Refusal::ProxyHeader)). It names the address that counts:
    /// for the limits of an address, the delay of those who guess, [`with_access`](Self::with_access) and
    /// [`Peer::address`](crate::Peer::address). Where it names none, the balancer's own does. Who
    /// comes from elsewhere is hung up on ([`Refusal::Denied`](crate::Refusal::Denied)).
    #[must_use]
    pub fn with_proxies(self, from: Networks) -> Self {
        Self { listener: self.listener.with_proxies(from), ..self }
    }

    /// Who may connect to the Unix sockets that are bound after this, as the mode of their files:
    /// whoever may write. At first it is `0o600`, the owner alone.
    #[must_use]
    pub fn with_unix_mode(mut self, mode: u32) -> Self {
        self.options.unix_mode = mode;
        self
    }

    /// Whether other sockets of ours may listen at the IP addresses that are bound after this, and
    /// the system deals the newcomers out among them (`SO_REUSEPORT`). At first they may not.
    #[must_use]
    pub fn with_reuse_port(mut self, reuses: bool) -> Self {
        self.options.reuse_port = reuses;
        self
    }

    /// How long nothing is heard of a peer over TCP until the system asks whether it is still there
    /// (`SO_KEEPALIVE`); never with `None`. At first it is a minute.
    #[must_use]
    pub fn with_keepalive(mut self, after: Option<Duration>) -> Self {
        self.options.keepalive = after;
        self
    }

    /// How long what was sent over TCP may lack its acknowledgement until the system gives the
    /// connection up (`TCP_USER_TIMEOUT`, on Linux). At first it is [`Limits::write_timeout`].
    #[must_use]
    pub fn with_user_timeout(mut self, after: Duration) -> Self {
        self.options.user_timeout = Some(after);
        self
    }

    /// Whether `[::]`, where it is bound after this, is IPv6 alone. At first it takes IPv4 too,
    /// unless this listener is bound to an IPv4 address at the same port, before or after it.
    ///
    /// Another listener at such an address would find the port taken, so set it then.
    #[must_use]
    pub fn with_ipv6_only(mut self, is_ipv6_only: bool) -> Self {
        self.options.ipv6_only = is_ipv6_only;
        self
    }

    /// Listens at all addresses of a name; port 0 is any free one, and `unix:/path` a Unix socket.
    ///
    /// An address that no interface of this machine has is left out, as long as another one can be
    /// bound: [`Server::addresses`](crate::Server::addresses) are those that are. With port 0, all
    /// addresses get the same port.
    ///
    /// What a dead server has left at the path is replaced, but no file of another kind and no
    /// socket that somebody listens at. When the server stops, it removes its file.
    ///
    /// # Errors
    ///
    /// An address can't be bound.
    pub fn bind(mut self, address: impl ToAddresses) -> io::Result<Self> {
        socket::bind(&address.to_addresses()?, &self.options, &mut self.bound)?;
        Ok(self)
    }

    /// Listens with a socket that is bound and listens already: a
    /// [`TcpListener`](std::net::TcpListener) of std's or a
    /// [`UnixListener`](std::os::unix::net::UnixListener). Its options are set as those of
    /// [`bind`](Self::bind) are: not blocking, and over TCP `TCP_NODELAY` and keepalive. The file
    /// of a Unix socket is its maker's to remove.
    #[must_use]
    pub fn with_socket(mut self, socket: impl Into<OwnedFd>) -> Self {
        self.bound.push(BoundSocket::from(socket.into()));
        self
    }

    /// Duplicates of the sockets that listen so far, for [`socket`](Self::with_socket) of another
    /// server's listener: whoever accepts first has the newcomer. The files of Unix sockets stay
    /// this one's to remove.
    ///
    /// # Errors
    ///
    /// There is no descriptor left.
    pub fn share(&self) -> io::Result<Vec<OwnedFd>> {
        self.bound.iter().map(|bound| bound.socket.try_clone().map(OwnedFd::from)).collect()
    }

    /// The listener that it becomes, and a socket for each of its addresses.
    pub(in crate::server) fn open(self) -> io::Result<(Listener, Vec<BoundSocket>)> {
        let Self { mut listener, options, bound } = self;
        listener.protocol.set_time(since_epoch(clock::wall()));
        listener.protocol.keys().into_iter().for_each(KeyRing::note_listener);
        let usable = listener.protocol.check_server();
        usable.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let limits = listener.limits();
        let prepared = bound.iter().map(|bound| socket::prepare(&bound.socket, &options, limits));
        let addresses = prepared.collect::<io::Result<Vec<_>>>()?;
        Ok((listener.at(addresses), bound))
    }
}
