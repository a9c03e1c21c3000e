//! Accepting: at which listening socket next, and when.
//!
//! The poll reports a waiting connection once, so the acceptor remembers each socket as ready until
//! an accept finds nothing there.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use countersign::reactor::acceptor::AcceptFailure;
use mio::net::{TcpListener, TcpStream};

use super::sockets;

/// How long accepting pauses when descriptors have run out.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts from the listening sockets in turn, and pauses when the system runs out of descriptors.
#[derive(Debug)]
pub(super) struct Acceptor {
    /// Empty once no connection is accepted any more.
    sockets: Vec<ListeningSocket>,
    /// The socket that is tried first: sockets take turns, however many wait at another.
    next: usize,
    /// The system has run out of something: accepting pauses until then.
    paused_until: Option<Instant>,
}

/// A socket that listens.
#[derive(Debug)]
struct ListeningSocket {
    socket: TcpListener,
    /// A connection may be waiting there.
    is_ready: bool,
    /// The connections that wait may be older than the socket's options, and so lack them.
    is_fresh: bool,
}

/// What came of an accept.
#[derive(Debug)]
pub(super) enum Accepted {
    Connection(TcpStream, SocketAddr),
    Empty,
    /// The connection was aborted before it was accepted; another may wait.
    Aborted,
    /// The system has run out of something. Trying at once would spin.
    Paused(io::Error),
}

impl Acceptor {
    /// All sockets count as ready: connections may have arrived before the poll watched them.
    pub(super) fn new(sockets: Vec<TcpListener>) -> Self {
        let each = |socket| ListeningSocket { socket, is_ready: true, is_fresh: true };
        Self { sockets: sockets.into_iter().map(each).collect(), next: 0, paused_until: None }
    }

    /// A connection may be waiting at the socket of this number.
    pub(super) fn ready(&mut self, number: usize) {
        if let Some(listener) = self.sockets.get_mut(number) {
            listener.is_ready = true;
        }
    }

    /// When the next accept is due; the loop knows whether there is room.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        let waiting = self.sockets.iter().any(|listener| listener.is_ready);
        waiting.then(|| self.paused_until.unwrap_or(now))
    }

    pub(super) fn accept(&mut self, now: Instant) -> Accepted {
        self.paused_until = None;
        for _ in 0..self.sockets.len() {
            let number = self.next % self.sockets.len();
            self.next = number + 1;
            let listener = &mut self.sockets[number];
            if !listener.is_ready {
                continue;
            }
            match listener.accept() {
                Ok(accepted) => return accepted,
                Err(error) => match AcceptFailure::of(&error) {
                    AcceptFailure::Nobody => {
                        (listener.is_ready, listener.is_fresh) = (false, false);
                    }
                    AcceptFailure::Retry => return Accepted::Aborted,
                    // A proxy goes on with what is open, even without its listener.
                    _ => {
                        self.paused_until = Some(now + PAUSE);
                        return Accepted::Paused(error);
                    }
                },
            }
        }
        Accepted::Empty
    }

    /// Accepts no more connections. The system refuses them, and a successor can take the port.
    pub(super) fn close(&mut self) {
        self.sockets.clear();
    }
}

impl ListeningSocket {
    fn accept(&self) -> io::Result<Accepted> {
        let (socket, address) = self.socket.accept()?;
        // Some systems refuse this where the peer has gone already.
        if self.is_fresh && sockets::prepare(socket.as_fd()).is_err() {
            return Ok(Accepted::Aborted);
        }
        Ok(Accepted::Connection(socket, sockets::canonical(address)))
    }
}
