//! The system's network, through mio.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::time::Duration;

use mio::net::{TcpListener, TcpStream, UnixListener};
use mio::{Interest, Poll, Token};
use socket2::SockRef;

use crate::address::Address;
use crate::contract::peer::{PeerAddress, PeerId};
use crate::random::Pool;
use crate::server::listener::socket::BoundSocket;
use crate::server::listener::socket_file::SocketFile;
use crate::server::net::Net;

/// The system's network, through mio.
#[derive(Debug)]
pub(super) struct MioNet {
    pub(super) poll: Poll,
    pub(super) sockets: Vec<ListeningSocket>,
    pool: Pool,
}

impl MioNet {
    pub(super) fn new(poll: Poll, sockets: Vec<ListeningSocket>) -> Self {
        Self { poll, sockets, pool: Pool::default() }
    }
}

/// A listening socket that the poll watches.
#[derive(Debug)]
pub(super) enum ListeningSocket {
    Tcp(TcpListener),
    Unix {
        /// Removed before the socket is closed, as in [`BoundSocket`].
        _file: Option<SocketFile>,
        socket: UnixListener,
    },
}

impl ListeningSocket {
    /// Makes the poll watch a non-blocking socket that listens at this address.
    pub(super) fn watched(
        BoundSocket { file, socket, .. }: BoundSocket,
        address: &Address,
        poll: &Poll,
        token: Token,
    ) -> io::Result<Self> {
        let registry = poll.registry();
        Ok(match address {
            Address::Ip(_) => {
                let mut socket = TcpListener::from_std(socket.into());
                registry.register(&mut socket, token, Interest::READABLE)?;
                Self::Tcp(socket)
            }
            Address::Unix(_) => {
                let mut socket = UnixListener::from_std(socket.into());
                registry.register(&mut socket, token, Interest::READABLE)?;
                Self::Unix { _file: file, socket }
            }
        })
    }
}

/// The events of a connection. Linux reports urgent data, before which it stops a read.
fn interest() -> Interest {
    let both_ways = Interest::READABLE | Interest::WRITABLE;
    #[cfg(target_os = "linux")]
    let both_ways = both_ways | Interest::PRIORITY;
    both_ways
}

impl Net for MioNet {
    /// TCP or Unix: the type is a descriptor with the calls that all streams share.
    type Socket = TcpStream;

    fn accept(&mut self, socket: usize) -> io::Result<(TcpStream, PeerAddress)> {
        match self.sockets.get(socket).ok_or(io::ErrorKind::WouldBlock)? {
            ListeningSocket::Tcp(listener) => {
                listener.accept().map(|(stream, address)| (stream, address.into()))
            }
            ListeningSocket::Unix { socket, .. } => {
                let (stream, _) = socket.accept()?;
                let stream = TcpStream::from_std(OwnedFd::from(stream).into());
                Ok((stream, PeerAddress::Unix))
            }
        }
    }

    fn watch(&mut self, socket: &mut TcpStream, PeerId(token): PeerId) -> io::Result<()> {
        self.poll.registry().register(socket, Token(token.into()), interest())
    }

    fn read(&mut self, socket: &mut TcpStream, into: &mut [u8]) -> io::Result<usize> {
        socket.read(into)
    }

    fn write(&mut self, socket: &mut TcpStream, from: &[u8]) -> io::Result<usize> {
        socket.write(from)
    }

    fn shutdown(&mut self, socket: &mut TcpStream) -> io::Result<()> {
        socket.shutdown(Shutdown::Write)
    }

    #[cfg(target_os = "linux")]
    fn acknowledge(&mut self, socket: &mut TcpStream) {
        // If this fails, the acknowledgement only comes later.
        let _ = SockRef::from(&*socket).set_tcp_quickack(true);
    }

    fn reset(&mut self, socket: &mut TcpStream) {
        // If this fails, the connection is only closed.
        let _ = SockRef::from(&*socket).set_linger(Some(Duration::ZERO));
    }

    fn random(&mut self, into: &mut [u8]) -> io::Result<()> {
        self.pool.take(into)
    }
}
