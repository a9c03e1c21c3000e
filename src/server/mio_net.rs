//! The system's network, through mio.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Poll, Token};
use rand::TryRng;
use rand::rngs::SysRng;

use crate::contract::peer::PeerId;
use crate::server::net::Net;

/// The random bytes that are fetched at once: 128 challenges, for one system call.
const POOL: usize = 4096;

/// The system's network, through mio.
#[derive(Debug)]
pub(super) struct MioNet {
    pub(super) poll: Poll,
    pub(super) listeners: Vec<TcpListener>,
    pool: Pool,
}

/// Random bytes of the system's, fetched in bulk; each is given out once.
struct Pool {
    bytes: Box<[u8; POOL]>,
    /// The bytes from here on have not been given out.
    next: usize,
}

impl MioNet {
    pub(super) fn new(poll: Poll, listeners: Vec<TcpListener>) -> Self {
        let pool = Pool { bytes: Box::new([0; POOL]), next: POOL };
        Self { poll, listeners, pool }
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

impl Pool {
    fn take(&mut self, into: &mut [u8]) -> io::Result<()> {
        if self.bytes.len() - self.next < into.len() {
            SysRng.try_fill_bytes(&mut self.bytes[..]).map_err(io::Error::other)?;
            self.next = 0;
        }
        let given = &mut self.bytes[self.next..][..into.len()];
        into.copy_from_slice(given);
        // What is given out is known to a peer; nothing may give it to a second one.
        given.fill(0);
        self.next += into.len();
        Ok(())
    }
}

impl std::fmt::Debug for Pool {
    /// What hasn't been given out yet is nobody's business.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("next", &self.next).finish_non_exhaustive()
    }
}
