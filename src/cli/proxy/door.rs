//! The door: who waits to be let in, and whether to let them in now.
//!
//! The poll tells of a waiting connection once, so the door remembers it until an accept has said
//! that nobody waits.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use countersign::server::net::AcceptFailure;
use mio::net::{TcpListener, TcpStream};

use super::sockets;

/// How long the door stays shut for want of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// A listener, and whether somebody may be waiting there.
#[derive(Debug)]
pub(super) struct Door {
    /// None once nobody is let in any more.
    listener: Option<TcpListener>,
    /// Somebody may be waiting.
    calling: bool,
    /// The system ran out of something: the door is shut until then.
    shut_until: Option<Instant>,
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
    pub(super) fn new(listener: TcpListener) -> Self {
        Self { listener: Some(listener), calling: true, shut_until: None }
    }

    pub(super) fn call(&mut self) {
        self.calling = true;
    }

    /// When the next accept is due; the loop knows whether there is room.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        let waiting = self.calling && self.listener.is_some();
        waiting.then(|| self.shut_until.unwrap_or(now))
    }

    pub(super) fn accept(&mut self, now: Instant) -> Accepted {
        let Some(listener) = &self.listener else { return Accepted::Nobody };
        self.shut_until = None;
        match listener.accept() {
            Ok((socket, address)) => Accepted::Newcomer(socket, sockets::canonical(address)),
            Err(error) => match AcceptFailure::of(&error) {
                AcceptFailure::Nobody => {
                    self.calling = false;
                    Accepted::Nobody
                }
                AcceptFailure::Retry => Accepted::Gone,
                // A proxy goes on with what is open, even without its listener.
                _ => {
                    self.shut_until = Some(now + PAUSE);
                    Accepted::Paused(error)
                }
            },
        }
    }

    /// Lets nobody in any more. The system turns newcomers away, and a successor can take the port.
    pub(super) fn close(&mut self) {
        self.listener = None;
    }
}
