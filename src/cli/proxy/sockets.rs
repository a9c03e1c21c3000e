//! Sockets with what all of ours have: they never block, delay nothing, and find out who vanished.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use socket2::{Domain, SockRef, Socket, TcpKeepalive, Type};

/// How many connections the system may keep for us. It lowers the number to its own limit.
const BACKLOG: i32 = 4096;

/// When nothing was heard of a peer for so long, the system asks whether it is still there.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// All addresses of a name, of which there is one at least.
pub(super) fn resolve(name: &str) -> io::Result<Vec<SocketAddr>> {
    let addresses: Vec<_> = name.to_socket_addrs()?.collect();
    let nowhere = || io::Error::new(io::ErrorKind::InvalidInput, "the name has no address");
    if addresses.is_empty() { Err(nowhere()) } else { Ok(addresses) }
}

/// Listens at the first of a name's addresses that can be bound.
pub(super) fn listen(name: &str) -> io::Result<TcpListener> {
    let mut failure = None;
    for address in resolve(name)? {
        match bind(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => failure = Some(error),
        }
    }
    Err(failure.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()))
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = stream(address)?;
    // A proxy that has just ended must not keep its successor from the port.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(TcpListener::from_std(socket.into()))
}

/// Begins to connect. What comes of it, an event tells.
pub(super) fn dial(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = stream(address)?;
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
        _ => Ok(TcpStream::from_std(socket.into())),
    }
}

/// A socket whose options those that it accepts inherit, on Linux.
fn stream(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE))?;
    Ok(socket)
}

/// Whether a socket that was dialled is connected by now.
pub(super) fn is_connected(socket: &TcpStream) -> io::Result<bool> {
    if let Some(error) = socket.take_error()? {
        return Err(error);
    }
    match socket.peer_addr() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}

/// Hangs up so that nobody takes the stream for whole: its other end sees a reset.
pub(super) fn reset(socket: TcpStream) {
    // Where it can't be set, the socket is as broken as it was to be.
    let _ = SockRef::from(&socket).set_linger(Some(Duration::ZERO));
}
