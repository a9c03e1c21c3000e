//! Stopping and waking a server from another thread.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use mio::Waker;

/// What the server was told to do, in order of severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Command {
    Run,
    Drain,
    Stop,
}

impl Command {
    const ALL: [Self; 3] = [Self::Run, Self::Drain, Self::Stop];
}

/// Stops or wakes a [`Server`](crate::Server) from another thread.
#[derive(Debug, Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// The most severe [`Command`] so far.
    command: AtomicU8,
    waker: Waker,
}

impl Handle {
    pub(super) fn new(waker: Waker) -> Self {
        Self { shared: Arc::new(Shared { command: AtomicU8::new(Command::Run as u8), waker }) }
    }

    /// Stops gracefully: the server accepts no more connections, answers what has arrived, and
    /// [`Server::run`](crate::Server::run) returns once every connection is closed, at the latest
    /// after [`Limits::drain_timeout`](crate::Limits::drain_timeout).
    ///
    /// # Errors
    ///
    /// The loop could not be woken; it drains when it next wakes by itself.
    pub fn drain(&self) -> io::Result<()> {
        self.tell(Command::Drain)
    }

    /// Stops at once: unsent output is lost.
    ///
    /// # Errors
    ///
    /// As for [`drain`](Self::drain).
    pub fn stop(&self) -> io::Result<()> {
        self.tell(Command::Stop)
    }

    /// Makes [`Server::turn`](crate::Server::turn) return.
    ///
    /// # Errors
    ///
    /// The loop could not be woken.
    pub fn wake(&self) -> io::Result<()> {
        self.shared.waker.wake()
    }

    fn tell(&self, command: Command) -> io::Result<()> {
        self.shared.command.fetch_max(command as u8, Ordering::Release);
        self.wake()
    }

    /// The most severe command so far.
    pub(super) fn command(&self) -> Command {
        let command = self.shared.command.load(Ordering::Acquire);
        Command::ALL.into_iter().find(|each| *each as u8 == command).unwrap_or(Command::Run)
    }
}
