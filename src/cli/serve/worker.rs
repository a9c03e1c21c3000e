//! One worker: a server on one thread, and whatever else has a turn on it.

use std::io;
use std::time::{Duration, Instant};

use countersign::Server;

use super::offer::Offered;
use crate::cli::signals::Signals;
use crate::cli::system;

/// What has a turn beside the server: signals, a timer, another server.
pub(super) trait Beside {
    /// When it wants its turn, should nothing wake the loop before.
    fn due(&self) -> Option<Instant> {
        None
    }

    /// After each turn of the server, also of those that this one didn't ask for: whether it has
    /// something to do is to be seen at a glance.
    fn turn(&mut self, server: &mut Server<Offered>) -> io::Result<()>;
}

/// A server on one thread, and what has a turn beside it.
pub(super) struct Worker {
    server: Server<Offered>,
    beside: Vec<Box<dyn Beside>>,
}

impl Worker {
    pub(super) fn new(server: Server<Offered>) -> Self {
        Self { server, beside: Vec::new() }
    }

    /// Gives this a turn too. What wakes it goes to [`Server::wake_on`].
    pub(super) fn with(mut self, beside: impl Beside + 'static) -> Self {
        self.beside.push(Box::new(beside));
        self
    }

    /// Serves until the server was stopped and its last connection is closed.
    pub(super) fn run(mut self) -> io::Result<Server<Offered>> {
        while !self.server.is_finished() {
            self.server.turn(self.wait())?;
            for beside in &mut self.beside {
                beside.turn(&mut self.server)?;
            }
        }
        Ok(self.server)
    }

    /// How long until the first of them wants its turn.
    fn wait(&self) -> Option<Duration> {
        // The clock is read only for those who ask for a time.
        let due = self.beside.iter().filter_map(|beside| beside.due()).min()?;
        Some(due.saturating_duration_since(system::monotonic()))
    }
}

/// The first signal drains, and the next one stops at once.
pub(super) struct Stop {
    signals: Signals,
    is_stopping: bool,
}

impl Stop {
    pub(super) fn at(signals: Signals) -> Self {
        Self { signals, is_stopping: false }
    }
}

impl Beside for Stop {
    fn turn(&mut self, server: &mut Server<Offered>) -> io::Result<()> {
        if !self.signals.come() {
            return Ok(());
        }
        match std::mem::replace(&mut self.is_stopping, true) {
            true => server.handle().stop_now(),
            false => server.handle().stop(),
        }
    }
}
