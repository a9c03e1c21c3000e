//! The system's network, through mio.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Poll, Token};

use crate::chance::Pool;
use crate::contract::peer::PeerId;
use crate::server::net::Net;

/// The system's network, through mio.
#[derive(Debug)]
pub(super) struct MioNet {
    pub(super) poll: Poll,
    pub(super) listeners: Vec<TcpListener>,
    pool: Pool,
}

impl MioNet {
    pub(super) fn new(poll: Poll, listeners: Vec<TcpListener>) -> Self {
        Self { poll, listeners, pool: Pool::default() }
    }
}

impl Net for MioNet {
    type Socket = TcpStream;

    fn accept(&mut self, listener: usize) -> io::Result<(TcpStream, SocketAddr)> {
        let listener = self.listeners.get(listener).ok_or(io::ErrorKind::WouldBlock)?;
        listener.accept()
    }

    fn watch(&mut self, socket: &mut TcpStream, PeerId(name): PeerId) -> io::Result<()> {
        self.poll.registry().register(socket, Token(name), Interest::READABLE | Interest::WRITABLE)
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

    fn random(&mut self, into: &mut [u8]) -> io::Result<()> {
        self.pool.take(into)
    }
}
