//! Making a server: with one listener, or with many.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use countersign_proto::ServerConfig;

use crate::address::ToAddresses;
use crate::contract::listener_id::ListenerId;
use crate::contract::service::Service;
use crate::server::bind_error::BindError;
use crate::server::driver::Server;
use crate::server::listener::Listener;
use crate::server::listener::config::ListenerConfig;
use crate::server::listener::socket::BoundSocket;

/// Builds a [`Server`] with several listeners, and gives you the id of each before the service is
/// made, so that the service can know them.
///
/// ```
/// use countersign::services::Echo;
/// use countersign::{ListenerConfig, Limits, ServerConfig, ServerBuilder};
///
/// let mut builder = ServerBuilder::new();
/// let near = builder.listen(ListenerConfig::new(ServerConfig::open()).bind("127.0.0.1:0")?)?;
/// let far = builder.listen(ListenerConfig::new(ServerConfig::open()).bind("127.0.0.1:0")?)?;
/// let mut server = builder.serve(Echo)?;
/// server.replace_limits(far, Limits { connections: 10, ..Limits::default() })?;
/// assert_eq!(server.listeners()[near.index()].limits().connections, 10_000);
/// assert_eq!(server.listeners()[far.index()].limits().connections, 10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct ServerBuilder {
    listeners: Vec<(Listener, Vec<BoundSocket>)>,
}

impl ServerBuilder {
    /// A server without listeners.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a listener, and returns its id.
    ///
    /// # Errors
    ///
    /// The server has 256 listeners already, the dialect needs a key and none can be used, or the
    /// system refuses an option of a socket.
    pub fn listen(&mut self, config: ListenerConfig) -> Result<ListenerId, BindError> {
        let id = ListenerId::at(self.listeners.len())?;
        self.listeners.push(config.open()?);
        Ok(id)
    }

    /// Makes the server. It accepts connections from its first turn on.
    ///
    /// # Errors
    ///
    /// The system refuses what a loop needs.
    pub fn serve<S: Service>(self, service: S) -> Result<Server<S>, BindError> {
        Server::over(self.listeners, service)
    }
}

impl<S: Service> Server<S> {
    /// Listens at an address, such as `127.0.0.1:9527` or `unix:/run/garden.sock`, with the
    /// default [`Limits`](crate::Limits). A [`KeyRing`](crate::KeyRing) by itself means the dialect
    /// `countersign/1`.
    ///
    /// # Errors
    ///
    /// The address can't be bound, none of the keys can be used, or the system refuses what a loop
    /// needs.
    pub fn bind(
        address: impl ToAddresses,
        config: impl Into<Arc<ServerConfig>>,
        service: S,
    ) -> Result<Self, BindError> {
        Self::new([ListenerConfig::new(config).bind(address)?], service)
    }

    /// Listens with a socket that is already bound and listening, like
    /// [`ListenerConfig::with_socket`].
    ///
    /// # Errors
    ///
    /// As for [`bind`](Self::bind).
    pub fn from_std(
        socket: impl Into<OwnedFd>,
        config: impl Into<Arc<ServerConfig>>,
        service: S,
    ) -> Result<Self, BindError> {
        Self::new([ListenerConfig::new(config).with_socket(socket)], service)
    }

    /// Makes a server with any number of listeners. It accepts connections from its first turn on.
    /// [`Peer::listener`](crate::Peer::listener) tells the service which listener a peer connected
    /// to. A [`ServerBuilder`] returns the ids of the listeners before the service is made.
    ///
    /// # Errors
    ///
    /// There are more than 256 listeners, the dialect of one needs a key and none can be used, or
    /// the system refuses what a loop needs.
    pub fn new(
        configs: impl IntoIterator<Item = ListenerConfig>,
        service: S,
    ) -> Result<Self, BindError> {
        let mut builder = ServerBuilder::new();
        for config in configs {
            builder.listen(config)?;
        }
        builder.serve(service)
    }
}
