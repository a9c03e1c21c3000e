//! Sockets with what all of ours have: they never block, delay nothing, find out who
//! vanished, and reset their connections unless told otherwise.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};
use std::time::Duration;

use countersign::ToAddresses as _;
use log::warn;
use mio::net::{TcpListener, TcpStream};
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use socket2::{Domain, SockRef, Socket, TcpKeepalive, Type};

/// How many connections the system may keep for us. It lowers the number to its own limit.
const BACKLOG: i32 = 4096;

/// When nothing was heard of a peer for so long, the system asks whether it is still there.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// Listens at the first of a name's addresses that can be bound.
pub(super) fn listen(name: &str) -> io::Result<TcpListener> {
    let mut failure = None;
    let addresses = name.to_addresses()?;
    let several = addresses.len() > 1;
    for address in addresses {
        let Some(address) = address.ip() else {
            let text = "a proxy listens at no Unix socket";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        };
        match bind(address) {
            Ok(listener) => {
                if several {
                    warn!("{name} has several addresses; the proxy listens at {address} alone");
                }
                return Ok(listener);
            }
            Err(error) => failure = Some(error),
        }
    }
    Err(failure.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()))
}

/// The address of a peer. An IPv4 peer of a listener at `[::]` is called by its IPv4 address.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, address.port()),
        IpAddr::V6(_) => address,
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = stream(address)?;
    // A proxy that has just ended must not keep its successor from the port.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(TcpListener::from_std(socket.into()))
}

/// A socket that listens, whose options those that it accepts inherit on Linux.
fn stream(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    prepare(socket.as_fd())?;
    Ok(socket)
}

/// Gives a socket the options that all of ours have.
pub(super) fn prepare(socket: BorrowedFd<'_>) -> io::Result<()> {
    let socket = SockRef::from(&socket);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE))?;
    // Urgent data is a byte of the stream like any other, or it would be lost.
    socket.set_out_of_band_inline(true)?;
    // From the first moment on, because the system closes it if the process is killed.
    socket.set_linger(Some(Duration::ZERO))
}

/// Has the connection end in order when the socket is closed.
pub(super) fn complete(socket: &TcpStream) {
    // Where it can't be set, the connection is reset: no peer takes a part for the whole.
    let _ = SockRef::from(socket).set_linger(None);
}

/// Has a socket watched, once and for all. Linux tells of urgent data, before which a read stops.
pub(super) fn watch(socket: BorrowedFd<'_>, token: Token, registry: &Registry) -> io::Result<()> {
    let interest = Interest::READABLE | Interest::WRITABLE;
    #[cfg(target_os = "linux")]
    let interest = interest | Interest::PRIORITY;
    registry.register(&mut SourceFd(&socket.as_raw_fd()), token, interest)
}
