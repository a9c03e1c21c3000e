//! Stopping and waking a server from another thread.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use mio::Waker;

/// What another thread has asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Order {
    Run,
    Drain,
    Halt,
}

impl Order {
    const ALL: [Self; 3] = [Self::Run, Self::Drain, Self::Halt];
}

/// Stops or wakes a [`Server`](crate::Server) from another thread.
#[derive(Debug, Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// The gravest [`Order`] so far.
    order: AtomicU8,
    waker: Waker,
}

impl Handle {
    pub(super) fn new(waker: Waker) -> Self {
        Self { shared: Arc::new(Shared { order: AtomicU8::new(Order::Run as u8), waker }) }
    }

    /// Stops gracefully: nobody is let in any more, what has arrived is answered, and
    /// [`Server::run`](crate::Server::run) returns once every connection is closed, at the latest
    /// after [`Limits::drain_timeout`](crate::Limits::drain_timeout).
    ///
    /// # Errors
    ///
    /// The loop could not be woken; it stops when it next wakes by itself.
    pub fn stop(&self) -> io::Result<()> {
        self.order(Order::Drain)
    }

    /// Stops at once: every connection is closed as it is.
    ///
    /// # Errors
    ///
    /// As for [`stop`](Self::stop).
    pub fn stop_now(&self) -> io::Result<()> {
        self.order(Order::Halt)
    }

    /// Has [`Server::turn`](crate::Server::turn) return.
    ///
    /// # Errors
    ///
    /// The loop could not be woken.
    pub fn wake(&self) -> io::Result<()> {
        self.shared.waker.wake()
    }

    fn order(&self, order: Order) -> io::Result<()> {
        self.shared.order.fetch_max(order as u8, Ordering::Release);
        self.wake()
    }

    pub(super) fn given(&self) -> Order {
        let given = self.shared.order.load(Ordering::Acquire);
        Order::ALL.into_iter().find(|order| *order as u8 == given).unwrap_or(Order::Run)
    }
}
