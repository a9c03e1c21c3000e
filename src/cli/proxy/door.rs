//! The door: who waits to be let in, and whether to let them in now.
//!
//! The poll tells of a waiting connection once, so the door remembers it until an accept has said
//! that nobody waits.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use countersign::server::net::AcceptFailure;
use mio::net::{TcpListener, TcpStream};

use super::sockets;

/// How long the door stays shut for want of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// The sockets that listen, and whether somebody may be waiting there.
#[derive(Debug)]
pub(super) struct Door {
    /// Empty once nobody is let in any more.
    sockets: Vec<Listening>,
    /// The socket that is tried first: each has its turn, however many wait at another.
    next: usize,
    /// The system ran out of something: the door is shut until then.
    shut_until: Option<Instant>,
}

/// A socket that listens.
#[derive(Debug)]
struct Listening {
    socket: TcpListener,
    /// Somebody may be waiting.
    calling: bool,
    /// Those who wait may have come before the socket had its options, and so lack them.
    is_fresh: bool,
}

/// What came of an accept.
#[derive(Debug)]
pub(super) enum Accepted {
    Newcomer(TcpStream, SocketAddr),
    Nobody,
    /// That one has gone again; another may wait.
    Gone,
    /// The system has run out of something. Trying at once would spin.
    Paused(io::Error),
}

impl Door {
    /// Somebody may have called before we began to listen for it.
    pub(super) fn new(sockets: Vec<TcpListener>) -> Self {
        let each = |socket| Listening { socket, calling: true, is_fresh: true };
        Self { sockets: sockets.into_iter().map(each).collect(), next: 0, shut_until: None }
    }

    /// Somebody waits at the socket of this number, if it is still there.
    pub(super) fn call(&mut self, number: usize) {
        if let Some(listening) = self.sockets.get_mut(number) {
            listening.calling = true;
        }
    }

    /// When the next accept is due; the loop knows whether there is room.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        let waiting = self.sockets.iter().any(|listening| listening.calling);
        waiting.then(|| self.shut_until.unwrap_or(now))
    }

    pub(super) fn accept(&mut self, now: Instant) -> Accepted {
        self.shut_until = None;
        for _ in 0..self.sockets.len() {
            let number = self.next % self.sockets.len();
            self.next = number + 1;
            let listening = &mut self.sockets[number];
            if !listening.calling {
                continue;
            }
            match listening.accept() {
                Ok(accepted) => return accepted,
                Err(error) => match AcceptFailure::of(&error) {
                    AcceptFailure::Nobody => {
                        (listening.calling, listening.is_fresh) = (false, false);
                    }
                    AcceptFailure::Retry => return Accepted::Gone,
                    // A proxy goes on with what is open, even without its listener.
                    _ => {
                        self.shut_until = Some(now + PAUSE);
                        return Accepted::Paused(error);
                    }
                },
            }
        }
        Accepted::Nobody
    }

    /// Lets nobody in any more. The system turns newcomers away, and a successor can take the port.
    pub(super) fn close(&mut self) {
        self.sockets.clear();
    }
}

impl Listening {
    fn accept(&self) -> io::Result<Accepted> {
        let (socket, address) = self.socket.accept()?;
        // Some systems refuse this where the peer has gone already.
        if self.is_fresh && sockets::prepare(socket.as_fd()).is_err() {
            return Ok(Accepted::Gone);
        }
        Ok(Accepted::Newcomer(socket, sockets::canonical(address)))
    }
}
