//! Listening sockets, with what every connection inherits from them.

use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, TcpKeepalive, Type};

use crate::address::{Address, AddressError};
use crate::contract::limits::Limits;
use crate::os_error;
use crate::server::bind_error::BindError;
use crate::server::listener::socket_file::SocketFile;

/// How many connections the system may queue. It lowers the number to its own limit.
const BACKLOG: i32 = 4096;

/// The longest `TCP_USER_TIMEOUT` that the system takes: milliseconds in a signed number.
#[cfg(target_os = "linux")]
const USER_TIMEOUT_MAX: Duration = Duration::from_millis(i32::MAX as u64);

/// How often to retry binding several addresses to one free port, if the port is in use at one of
/// them.
const PORT_TRIES: usize = 16;

/// A listening socket.
#[derive(Debug)]
pub(in crate::server) struct BoundSocket {
    /// The file that was created for it. It is removed before the socket is closed: while somebody
    /// listens, no other server replaces the file.
    pub(in crate::server) file: Option<SocketFile>,
    pub(in crate::server) socket: Socket,
    /// Its port, if it is bound to `[::]` for IPv4 too.
    wildcard: Option<u16>,
}

impl BoundSocket {
    fn ip(&self) -> Option<SocketAddr> {
        self.socket.local_addr().ok()?.as_socket()
    }

    fn is_ipv4_at(&self, port: u16) -> bool {
        self.ip().is_some_and(|ip| ip.is_ipv4() && ip.port() == port)
    }
}

impl From<OwnedFd> for BoundSocket {
    fn from(descriptor: OwnedFd) -> Self {
        Self { file: None, socket: descriptor.into(), wildcard: None }
    }
}

/// The options of sockets that listen.
#[derive(Debug, Clone)]
pub(in crate::server) struct Options {
    /// The mode of a Unix socket's file.
    pub(in crate::server) unix_mode: u32,
    /// `[::]` accepts IPv6 only.
    pub(in crate::server) ipv6_only: bool,
    /// Others may listen at the same IP address.
    pub(in crate::server) reuse_port: bool,
    /// After this time without data, the system probes whether the peer is still there.
    pub(in crate::server) keepalive: Option<Duration>,
    /// After this time without acknowledgement, the system closes the connection. The default is
    /// taken from the limits.
    pub(in crate::server) user_timeout: Option<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            // Only its owner may connect.
            unix_mode: 0o600,
            ipv6_only: false,
            reuse_port: false,
            keepalive: Some(Duration::from_secs(60)),
            user_timeout: None,
        }
    }
}

/// Listens at all of the addresses, beside those that are bound already.
pub(in crate::server) fn bind(
    addresses: &[Address],
    options: &Options,
    bound: &mut Vec<BoundSocket>,
) -> Result<(), BindError> {
    let before = bound.len();
    let is_any_port = addresses.iter().filter_map(Address::ip).any(|ip| ip.port() == 0);
    let tries = if is_any_port { PORT_TRIES } else { 1 };
    for _ in 1..tries {
        match bind_all(addresses, options, bound) {
            Err(BindError::Address(_, error)) if error.kind() == io::ErrorKind::AddrInUse => {
                bound.truncate(before);
            }
            done => return done,
        }
    }
    bind_all(addresses, options, bound)
}

fn bind_all(
    addresses: &[Address],
    options: &Options,
    bound: &mut Vec<BoundSocket>,
) -> Result<(), BindError> {
    let before = bound.len();
    let mut port = None;
    let mut absent = None;
    for address in addresses {
        let one = match address {
            Address::Ip(ip) => {
                let mut ip = *ip;
                if ip.port() == 0 {
                    ip.set_port(port.unwrap_or(0));
                }
                listen(ip, options, bound)
            }
            Address::Unix(_) => listen_unix(address, options.unix_mode),
        };
        match one {
            Ok(one) => {
                port = port.or(one.ip().map(|ip| ip.port()));
                bound.push(one);
            }
            Err(error) if is_absent(&error) => absent = Some(explained(address, &error)),
            Err(error) => return Err(explained(address, &error)),
        }
    }
    match absent {
        Some(error) if bound.len() == before => Err(error),
        Some(error) => {
            suppressed(&error);
            Ok(())
        }
        None if bound.len() == before => Err(BindError::Lookup(AddressError::Empty)),
        None => Ok(()),
    }
}

/// Whether this machine lacks the address, or its whole family.
fn is_absent(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable
        || error.raw_os_error() == Some(libc::EAFNOSUPPORT)
}

/// Logs an address of a name that could not be bound, though others are.
fn suppressed(error: &BindError) {
    #[cfg(feature = "log")]
    log::warn!("{}; the other addresses of the name are bound", os_error::chain(error));
    #[cfg(not(feature = "log"))]
    let _ = error;
}

fn listen(
    ip: SocketAddr,
    options: &Options,
    bound: &mut Vec<BoundSocket>,
) -> io::Result<BoundSocket> {
    let is_wildcard = ip.ip() == Ipv6Addr::UNSPECIFIED;
    let is_ipv6_only = options.ipv6_only || bound.iter().any(|one| one.is_ipv4_at(ip.port()));
    if ip.is_ipv4() {
        release_ipv4(ip.port(), options, bound)?;
    }
    let socket = open(ip, options, is_wildcard && is_ipv6_only)?;
    let wildcard = (is_wildcard && !is_ipv6_only).then(|| socket.local_addr());
    let wildcard = wildcard.transpose()?.and_then(|address| address.as_socket());
    Ok(BoundSocket { file: None, socket, wildcard: wildcard.map(|address| address.port()) })
}

/// By default `[::]` accepts IPv4 too, so that no IPv4 address can be bound at its port. This
/// option of a bound socket can't be changed, so the socket is bound again.
fn release_ipv4(port: u16, options: &Options, bound: &mut Vec<BoundSocket>) -> io::Result<()> {
    let takes_both = |one: &BoundSocket| port != 0 && one.wildcard == Some(port);
    let Some(at) = bound.iter().position(takes_both) else { return Ok(()) };
    drop(bound.remove(at));
    let socket = open((Ipv6Addr::UNSPECIFIED, port).into(), options, true)?;
    bound.insert(at, BoundSocket { file: None, socket, wildcard: None });
    Ok(())
}

fn open(ip: SocketAddr, options: &Options, is_ipv6_only: bool) -> io::Result<Socket> {
    let address = SockAddr::from(ip);
    let socket = Socket::new(address.domain(), Type::STREAM, None)?;
    if is_ipv6_only {
        socket.set_only_v6(true)?;
    }
    // A server that has just ended must not keep its successor from the port.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(options.reuse_port)?;
    socket.bind(&address)?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

/// No client can connect before the socket listens, so the mode of the file can change until then.
fn listen_unix(address: &Address, mode: u32) -> io::Result<BoundSocket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    let system = address.to_system()?;
    let file = match address.file() {
        Some(path) => Some(SocketFile::bind(&socket, path, &system, mode)?),
        None => {
            socket.bind(&system)?;
            None
        }
    };
    socket.listen(BACKLOG)?;
    Ok(BoundSocket { file, socket, wildcard: None })
}

/// Sets the options that accepted sockets inherit on Linux, which saves a call for each. Returns
/// where it listens.
pub(in crate::server) fn prepare(
    socket: &Socket,
    options: &Options,
    limits: &Limits,
) -> Result<Address, BindError> {
    set_options(socket, options, limits).map_err(BindError::Socket)
}

fn set_options(socket: &Socket, options: &Options, limits: &Limits) -> io::Result<Address> {
    let stranger = || io::Error::new(io::ErrorKind::InvalidInput, "not a stream socket");
    let address = Address::from_system(&socket.local_addr()?).ok_or_else(stranger)?;
    socket.set_nonblocking(true)?;
    if address.ip().is_some() {
        socket.set_tcp_nodelay(true)?;
        // Urgent data is read in line; otherwise its byte would be missing from the message.
        socket.set_out_of_band_inline(true)?;
        match options.keepalive {
            Some(time) => socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(time))?,
            None => socket.set_keepalive(false)?,
        }
        #[cfg(target_os = "linux")]
        {
            let timeout = options.user_timeout.unwrap_or(limits.write_timeout);
            socket.set_tcp_user_timeout(Some(timeout.min(USER_TIMEOUT_MAX)))?;
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = limits;
    Ok(address)
}

/// Names the address, and the remedy where there is one.
fn explained(address: &Address, error: &io::Error) -> BindError {
    use io::ErrorKind::{AddrInUse, AddrNotAvailable, AlreadyExists, NotFound, PermissionDenied};
    let is_ip = address.ip().is_some();
    let remedy = match error.kind() {
        AddrInUse if is_ip => {
            "; another program or another listener uses the port; stop it or use another port"
        }
        AddrInUse => "; another program listens there; stop it or use another path",
        AlreadyExists => "; move it away, or use another path",
        NotFound => "; create the directory first",
        PermissionDenied if is_ip => "; ports below 1024 need root or CAP_NET_BIND_SERVICE",
        PermissionDenied => "; the directory or the file belongs to another user",
        AddrNotAvailable if is_ip => "; no interface of this machine has the address",
        _ => "",
    };
    let why = os_error::describe(error);
    BindError::Address(address.clone(), io::Error::new(error.kind(), format!("{why}{remedy}")))
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;
    use std::io::ErrorKind;

    use super::*;

    #[test]
    fn an_address_that_cannot_be_bound_is_told_with_the_remedy() {
        let ip = Address::Ip(([127, 0, 0, 1], 80).into());
        let path = Address::Unix("/run/s".into());
        let cases = [
            (&ip, ErrorKind::AddrInUse, "another program or another listener uses the port"),
            (&path, ErrorKind::AddrInUse, "another program listens there"),
            (&path, ErrorKind::AlreadyExists, "move it away"),
            (&path, ErrorKind::NotFound, "create the directory first"),
            (&ip, ErrorKind::PermissionDenied, "ports below 1024 need root"),
            (&path, ErrorKind::PermissionDenied, "belongs to another user"),
            (&ip, ErrorKind::AddrNotAvailable, "no interface of this machine has the address"),
        ];
        let cause = |address: &Address, kind: ErrorKind| {
            let error = explained(address, &io::Error::from(kind));
            assert_eq!(error.io_error().map(io::Error::kind), Some(kind));
            error.source().map(ToString::to_string).unwrap()
        };
        for (address, kind, remedy) in cases {
            let text = cause(address, kind);
            assert!(text.contains("; ") && text.contains(remedy), "{text}");
        }
        for (address, kind) in [(&ip, ErrorKind::TimedOut), (&path, ErrorKind::AddrNotAvailable)] {
            let text = cause(address, kind);
            assert!(!text.contains(';'), "{text}");
        }
    }
}
