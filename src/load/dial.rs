//! Dialling without waiting for it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use mio::net::TcpStream;
use socket2::{SockRef, Socket, Type};

use crate::address::Address;
use crate::load::plan::HangUp;

/// Begins to connect. What comes of it, an event tells. The type is a descriptor and the calls that
/// all streams have in common.
pub(super) fn dial(to: &Address, from: Option<IpAddr>) -> io::Result<TcpStream> {
    let system = to.to_system()?;
    let socket = Socket::new(system.domain(), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    if to.ip().is_some() {
        socket.set_tcp_nodelay(true)?;
    }
    if let Some(from) = from {
        socket.bind(&SocketAddr::new(from, 0).into())?;
    }
    match socket.connect(&system) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
        Err(error) => return Err(error),
    }
    Ok(TcpStream::from_std(socket.into()))
}

/// Hangs up.
pub(super) fn hang_up(stream: TcpStream, how: HangUp) {
    if how == HangUp::Rst {
        // Where it can't be set, the peer sees a good-bye instead.
        let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    }
}
