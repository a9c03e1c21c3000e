//! The ends of a connection: why it can't be begun, and how it is closed.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use crate::error::LoadError;
use crate::failure::FailureKind;
use crate::plan::Disconnect;

/// Whether clients can come from an address: it is one of this machine.
pub(super) fn check_source(source: IpAddr) -> Result<(), LoadError> {
    let address = SocketAddr::new(source, 0);
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.bind(&address.into()).map_err(|error| match error.kind() {
        io::ErrorKind::AddrNotAvailable => LoadError::Source(source),
        _ => error.into(),
    })
}

/// What went wrong with connecting.
pub(super) fn why(error: &io::Error) -> FailureKind {
    if error.kind() == io::ErrorKind::TimedOut {
        return FailureKind::ConnectTimeout;
    }
    match error.raw_os_error() {
        Some(libc::ECONNREFUSED) => FailureKind::NobodyListens,
        Some(libc::ENOENT | libc::ENOTDIR) => FailureKind::NoSocket,
        Some(libc::EACCES | libc::EPERM) => FailureKind::PermissionDenied,
        Some(libc::ENETUNREACH | libc::EHOSTUNREACH | libc::ENETDOWN | libc::EHOSTDOWN) => {
            FailureKind::Unreachable
        }
        Some(libc::EADDRNOTAVAIL | libc::EADDRINUSE) => FailureKind::NoPort,
        // The server, or what stands before it, has answered, and then broken the connection.
        Some(libc::ECONNRESET | libc::ECONNABORTED) => FailureKind::Reset,
        Some(libc::EMFILE | libc::ENFILE) => FailureKind::NoDescriptor,
        _ => FailureKind::Connect,
    }
}

/// Hangs up.
pub(super) fn disconnect(stream: TcpStream, how: Disconnect) {
    if how == Disconnect::Rst {
        // If it can't be set, the peer sees the end of the stream instead.
        let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reset_while_connecting_is_called_one() {
        let failure = |number| why(&io::Error::from_raw_os_error(number));
        assert_eq!(failure(libc::ECONNRESET), FailureKind::Reset);
        assert_eq!(failure(libc::ECONNABORTED), FailureKind::Reset);
        assert_eq!(failure(libc::ECONNREFUSED), FailureKind::NobodyListens);
        assert_eq!(failure(libc::EINVAL), FailureKind::Connect);
    }
}
