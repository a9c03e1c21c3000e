//! Listening sockets, with what every connection inherits from them.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, TcpKeepalive, Type};

use crate::contract::limits::Limits;
use crate::words;

/// How many connections the system may keep for us. It lowers the number to its own limit.
const BACKLOG: i32 = 4096;

/// When nothing was heard of a peer for so long, the system asks whether it is still there.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// The longest `TCP_USER_TIMEOUT` that the system takes: milliseconds in a signed number.
#[cfg(target_os = "linux")]
const USER_TIMEOUT_MAX: Duration = Duration::from_millis(i32::MAX as u64);

/// Listens at the first of the addresses that can be bound.
pub(super) fn bind(addresses: impl ToSocketAddrs) -> io::Result<TcpListener> {
    let mut failure = io::Error::new(io::ErrorKind::InvalidInput, "the name has no address");
    for address in addresses.to_socket_addrs()? {
        match listen(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => failure = explained(address, &error),
        }
    }
    Err(failure)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // A server that has just ended must not keep its successor from the port.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Sets what accepted sockets inherit on Linux, so that it costs no call for each.
pub(super) fn prepare(listener: &TcpListener, limits: &Limits) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let socket = SockRef::from(listener);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE))?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(limits.write_timeout.min(USER_TIMEOUT_MAX)))?;
    #[cfg(not(target_os = "linux"))]
    let _ = limits;
    Ok(())
}

/// Names the address, and the remedy where there is one.
fn explained(address: SocketAddr, error: &io::Error) -> io::Error {
    let remedy = match error.kind() {
        io::ErrorKind::AddrInUse => "; another program listens there, stop it or take another port",
        io::ErrorKind::PermissionDenied => "; ports below 1024 are the administrator's",
        io::ErrorKind::AddrNotAvailable => "; no interface of this machine has the address",
        _ => "",
    };
    io::Error::new(error.kind(), format!("cannot bind {address}: {}{remedy}", words::of(error)))
}
