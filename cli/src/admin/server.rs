//! The server of the pages.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use countersign::{Address, Dialect, Framing, Limits, ListenerConfig, Server, ServerConfig};

use super::aggregate::Aggregate;
use super::connections::CONNECTIONS_MAX;
use super::routes::{PAGE_MAX, REPLY_MAX, Routes};
use super::thread::AdminThread;
use super::{cannot_bind, is_private};
use crate::args::admin::AdminArgs;
use crate::exit::Failure;
use crate::http;
use crate::ports::Ipv4Ports;

/// Connections at one time. One turn may accept as many again before any is evicted.
const CONNECTIONS: usize = 2 * CONNECTIONS_MAX;

/// How long a connection may be open, whatever it does.
const AGE_MAX: Duration = Duration::from_secs(10);

/// How long a connection may be without a byte in either direction.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);

/// The bytes that unread pages may take together.
const BUFFERED_MAX: usize = 2 << 20;

/// The memory of its service: the heads of requests, two pages that are cached, and two that are
/// being made, in buffers that grow by doubling.
const SERVICE: usize = 2 * CONNECTIONS * http::HEAD_MAX + 6 * PAGE_MAX;

/// The server of the pages, which listens but doesn't serve yet.
pub(crate) struct Admin {
    server: Server<Routes>,
}

impl AdminArgs {
    /// Binds the server of the pages, if it was asked for or sockets were passed for it.
    pub(crate) fn listen(
        &self,
        aggregate: Arc<Aggregate>,
        passed: Vec<OwnedFd>,
        ports: &Ipv4Ports,
    ) -> Result<Option<Admin>, Failure> {
        let config = ServerConfig::builder(Dialect::Open).with_framing(Framing::Chunks).build()?;
        let listener = ListenerConfig::new(config)
            .with_name("admin")
            .with_limits(limits())
            .with_unix_mode(self.admin_unix_mode);
        let (listener, ips) = if passed.is_empty() {
            let Some((address, addresses)) = self.resolved()? else { return Ok(None) };
            let ips = addresses.iter().map(Address::ip).collect();
            let bound = ports.bind(listener, addresses);
            (bound.map_err(|error| cannot_bind(address, &error))?, ips)
        } else {
            let ips = passed.iter().map(ip).collect::<io::Result<Vec<_>>>()?;
            if let Some(exposed) = ips.iter().flatten().find(|ip| !is_private(Some(**ip))) {
                let given = format!("the socket admin that was passed, at {exposed}");
                self.check_exposed(&given)?;
            }
            (passed.into_iter().fold(listener, ListenerConfig::with_socket), ips)
        };
        // A web page in a browser can't reach a Unix socket.
        let is_guarded = ips.iter().all(|ip| ip.is_some() && is_private(*ip));
        let server = Server::new([listener], Routes::new(aggregate, is_guarded))?;
        Ok(Some(Admin { server }))
    }
}

/// The address of a socket, unless that is a path.
fn ip(socket: &OwnedFd) -> io::Result<Option<SocketAddr>> {
    // This works for any socket, and fails for a Unix socket.
    Ok(TcpListener::from(socket.try_clone()?).local_addr().ok())
}

fn limits() -> Limits {
    Limits {
        connections: CONNECTIONS,
        unauthenticated: CONNECTIONS,
        unauthenticated_per_address: CONNECTIONS,
        handshake_timeout: IDLE_TIMEOUT,
        idle_timeout: IDLE_TIMEOUT,
        message_timeout: IDLE_TIMEOUT,
        write_timeout: IDLE_TIMEOUT,
        session_age_max: Some(AGE_MAX),
        drain_timeout: Duration::from_secs(1),
        reply_max: REPLY_MAX,
        buffered_max: BUFFERED_MAX,
        ..Limits::default()
    }
}

impl Admin {
    /// Serves the pages from now on.
    pub(crate) fn begin(self) -> io::Result<AdminThread> {
        AdminThread::begin(self.server)
    }

    pub(crate) fn addresses(&self) -> Vec<Address> {
        self.server.addresses()
    }

    /// The most memory that it can take, in bytes.
    pub(crate) fn memory_max(&self) -> usize {
        self.server.memory_max().total + SERVICE
    }
}
