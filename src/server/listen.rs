//! Listening sockets, with what every connection inherits from them.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, TcpKeepalive, Type};

use crate::address::{Address, ToAddresses};
use crate::contract::limits::Limits;
use crate::server::socket_file::SocketFile;
use crate::words;

/// How many connections the system may keep for us. It lowers the number to its own limit.
const BACKLOG: i32 = 4096;

/// The longest `TCP_USER_TIMEOUT` that the system takes: milliseconds in a signed number.
#[cfg(target_os = "linux")]
const USER_TIMEOUT_MAX: Duration = Duration::from_millis(i32::MAX as u64);

/// A socket that listens.
#[derive(Debug)]
pub(super) struct Bound {
    /// The file that we have made for it. It goes before the socket does: as long as somebody
    /// listens, nobody puts another in its place.
    pub(super) file: Option<SocketFile>,
    pub(super) socket: Socket,
}

impl Bound {
    fn is_at(&self, ip: Ipv4Addr, port: u16) -> bool {
        let address = self.socket.local_addr().ok().and_then(|address| address.as_socket());
        address == Some(SocketAddr::from((ip, port)))
    }
}

impl From<OwnedFd> for Bound {
    fn from(descriptor: OwnedFd) -> Self {
        Self { file: None, socket: descriptor.into() }
    }
}

/// The options of sockets that listen.
#[derive(Debug, Clone)]
pub(super) struct Options {
    /// The mode of a Unix socket's file.
    pub(super) unix_mode: u32,
    /// Others may listen at the same IP address.
    pub(super) reuse_port: bool,
    /// When nothing was heard of a peer for so long, the system asks whether it is still there.
    pub(super) keepalive: Option<Duration>,
    /// When what was sent was not acknowledged for so long, the system gives up; by the limits, if
    /// it is none.
    pub(super) user_timeout: Option<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            // Its owner alone may connect.
            unix_mode: 0o600,
            reuse_port: false,
            keepalive: Some(Duration::from_secs(60)),
            user_timeout: None,
        }
    }
}

/// Listens at the first of the addresses that can be bound, beside others.
pub(super) fn bind(
    addresses: impl ToAddresses,
    options: &Options,
    others: &[Bound],
) -> io::Result<Bound> {
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses.to_addresses()? {
        let bound = match address {
            Address::Ip(ip) => listen(ip, options.reuse_port, others),
            Address::Unix(_) => listen_unix(&address, options.unix_mode),
        };
        match bound {
            Ok(bound) => return Ok(bound),
            Err(error) => failure = explained(&address, &error),
        }
    }
    Err(failure)
}

fn listen(ip: SocketAddr, reuse_port: bool, others: &[Bound]) -> io::Result<Bound> {
    let address = SockAddr::from(ip);
    let socket = Socket::new(address.domain(), Type::STREAM, None)?;
    // By itself :: is IPv4 too, for which there is no room beside 0.0.0.0.
    let is_ipv4_taken = others.iter().any(|other| other.is_at(Ipv4Addr::UNSPECIFIED, ip.port()));
    if ip.ip() == Ipv6Addr::UNSPECIFIED && is_ipv4_taken {
        socket.set_only_v6(true)?;
    }
    // A server that has just ended must not keep its successor from the port.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(reuse_port)?;
    socket.bind(&address)?;
    socket.listen(BACKLOG)?;
    Ok(Bound { file: None, socket })
}

/// Nobody can connect before it listens, so until then the file's mode is nobody's door.
fn listen_unix(address: &Address, mode: u32) -> io::Result<Bound> {
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
    Ok(Bound { file, socket })
}

/// Sets what accepted sockets inherit on Linux, so that it costs no call for each. Says where it
/// listens.
pub(super) fn prepare(socket: &Socket, options: &Options, limits: &Limits) -> io::Result<Address> {
    let stranger = || io::Error::new(io::ErrorKind::InvalidInput, "this is no stream socket");
    let address = Address::from_system(&socket.local_addr()?).ok_or_else(stranger)?;
    socket.set_nonblocking(true)?;
    if address.ip().is_some() {
        socket.set_tcp_nodelay(true)?;
        // Urgent data is a byte of the stream like any other, or it would be lost to its message.
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
fn explained(address: &Address, error: &io::Error) -> io::Error {
    use io::ErrorKind::{AddrInUse, AddrNotAvailable, AlreadyExists, NotFound, PermissionDenied};
    let is_ip = address.ip().is_some();
    let remedy = match error.kind() {
        AddrInUse if is_ip => "; another program listens there, stop it or take another port",
        AddrInUse => "; another program listens there, stop it or take another path",
        AlreadyExists => "; move it away, or take another path",
        NotFound => "; make the directory first",
        PermissionDenied if is_ip => "; ports below 1024 are the administrator's",
        PermissionDenied => "; the directory, or what lies there, is another user's",
        AddrNotAvailable if is_ip => "; no interface of this machine has the address",
        _ => "",
    };
    io::Error::new(error.kind(), format!("cannot bind {address}: {}{remedy}", words::of(error)))
}
