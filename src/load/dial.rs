//! Dialling without waiting for it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use mio::net::TcpStream;
use socket2::{SockRef, Socket, Type};

use crate::address::Address;
use crate::load::failure::Failure;
use crate::load::plan::HangUp;

/// Begins to connect. What comes of it, an event tells. The type is a descriptor and the calls that
/// all streams have in common.
pub(super) fn dial(to: &Address, from: Option<IpAddr>) -> Result<TcpStream, Failure> {
    let failed = |error: io::Error| why(&error);
    let system = to.to_system().map_err(failed)?;
    let socket = Socket::new(system.domain(), Type::STREAM, None).map_err(failed)?;
    socket.set_nonblocking(true).map_err(failed)?;
    if to.ip().is_some() {
        socket.set_tcp_nodelay(true).map_err(failed)?;
    }
    if let Some(from) = from {
        // Here the system means the address that it is given, and with connect a port of its own.
        socket.bind(&SocketAddr::new(from, 0).into()).map_err(|error| {
            match error.raw_os_error() {
                Some(libc::EADDRNOTAVAIL) => Failure::NoSuchSource,
                _ => why(&error),
            }
        })?;
    }
    match socket.connect(&system) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(why(&error)),
        _ => Ok(TcpStream::from_std(socket.into())),
    }
}

/// What went wrong with connecting.
pub(super) fn why(error: &io::Error) -> Failure {
    match error.raw_os_error() {
        Some(libc::ECONNREFUSED) => Failure::NobodyListens,
        Some(libc::ENOENT | libc::ENOTDIR) => Failure::NoSocket,
        Some(libc::EACCES | libc::EPERM) => Failure::PermissionDenied,
        Some(libc::ENETUNREACH | libc::EHOSTUNREACH | libc::ENETDOWN | libc::EHOSTDOWN) => {
            Failure::Unreachable
        }
        Some(libc::EADDRNOTAVAIL | libc::EADDRINUSE) => Failure::NoPort,
        Some(libc::EMFILE | libc::ENFILE) => Failure::NoDescriptor,
        Some(libc::EAGAIN) => Failure::QueueFull,
        Some(libc::ETIMEDOUT) => Failure::ConnectTimeout,
        _ => Failure::Connect,
    }
}

/// Hangs up.
pub(super) fn hang_up(stream: TcpStream, how: HangUp) {
    if how == HangUp::Rst {
        // Where it can't be set, the peer sees a good-bye instead.
        let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    }
}
