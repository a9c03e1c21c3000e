//! Stopping and waking a server from another thread.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use mio::Waker;

/// What the server was asked to do, from the mildest to the gravest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Request {
    Run,
    Drain,
    Stop,
}

impl Request {
    const ALL: [Self; 3] = [Self::Run, Self::Drain, Self::Stop];
}

/// Stops or wakes a [`Server`](crate::Server) from another thread.
#[derive(Debug, Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// The gravest [`Request`] so far.
    request: AtomicU8,
    waker: Waker,
}

impl Handle {
    pub(super) fn new(waker: Waker) -> Self {
        Self { shared: Arc::new(Shared { request: AtomicU8::new(Request::Run as u8), waker }) }
    }

    /// Stops gracefully: the server accepts no more connections, answers what has arrived, and
    /// [`Server::run`](crate::Server::run) returns once every connection is closed, at the latest
    /// after [`Limits::drain_timeout`](crate::Limits::drain_timeout).
    ///
    /// # Errors
    ///
    /// The loop could not be woken; it drains when it next wakes by itself.
    pub fn drain(&self) -> io::Result<()> {
        self.request(Request::Drain)
    }

    /// Stops at once: every connection is closed as it is.
    ///
    /// # Errors
    ///
    /// As for [`drain`](Self::drain).
    pub fn stop(&self) -> io::Result<()> {
        self.request(Request::Stop)
    }

    /// Has [`Server::turn`](crate::Server::turn) return.
    ///
    /// # Errors
    ///
    /// The loop could not be woken.
    pub fn wake(&self) -> io::Result<()> {
        self.shared.waker.wake()
    }

    fn request(&self, request: Request) -> io::Result<()> {
        self.shared.request.fetch_max(request as u8, Ordering::Release);
        self.wake()
    }

    /// The gravest request so far.
    pub(super) fn requested(&self) -> Request {
        let requested = self.shared.request.load(Ordering::Acquire);
        Request::ALL.into_iter().find(|each| *each as u8 == requested).unwrap_or(Request::Run)
    }
}
