//! One worker: a server on one thread, and whatever else has a turn on it.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use countersign::Server;

use super::builtin::AnyService;
use super::mailbox::Mailbox;
use super::status;
use crate::admin::{Aggregate, StatsPublisher};
use crate::reload::{Progress, Reloader};
use crate::signals::{POLL_INTERVAL, SignalSet, Signals};
use crate::system;

/// What has a turn beside the server: signals, a timer, another server.
pub(super) trait Beside {
    /// When it wants its turn, should nothing wake the loop before.
    fn due(&self) -> Option<Instant> {
        None
    }

    /// When something has woken the loop, or the time has come that one of them asked for, and once
    /// the server has finished; also where it was another that asked.
    fn turn(&mut self, server: &mut Server<AnyService>) -> io::Result<()>;

    /// The longest that the loop may sleep before this is asked whether it is
    /// [pending](Self::is_pending).
    fn sleep_max(&self) -> Option<Duration> {
        None
    }

    /// Whether it has something to do now, though perhaps nothing has woken the loop.
    fn is_pending(&self) -> bool {
        false
    }

    /// Whether the worker may end for all of it.
    fn is_done(&self) -> bool {
        true
    }
}

/// A server on one thread, and what has a turn beside it.
pub(super) struct Worker {
    server: Server<AnyService>,
    beside: Vec<Box<dyn Beside>>,
}

impl Worker {
    pub(super) fn new(server: Server<AnyService>) -> Self {
        Self { server, beside: Vec::new() }
    }

    /// Publishes the stats of this worker from now on.
    pub(super) fn publishing(mut self, aggregate: &Arc<Aggregate>, number: usize) -> Self {
        self.server.time_loop();
        let publisher = StatsPublisher::begin(aggregate, number, self.server.stats());
        self.with(publisher)
    }

    /// Gives this a turn too. What wakes it goes to [`Server::wake_on`].
    pub(super) fn with(mut self, beside: impl Beside + 'static) -> Self {
        self.beside.push(Box::new(beside));
        self
    }

    /// Serves until the server was stopped and its last connection is closed.
    pub(super) fn run(mut self) -> io::Result<Server<AnyService>> {
        let sleep_max = self.beside.iter().filter_map(|beside| beside.sleep_max()).min();
        while !(self.server.is_finished() && self.beside.iter().all(|it| it.is_done())) {
            let due = self.beside.iter().filter_map(|beside| beside.due()).min();
            // The clock is read only for those who ask for a time.
            let wait = due.map(|due| due.saturating_duration_since(system::monotonic()));
            self.server.turn(wait.into_iter().chain(sleep_max).min())?;
            let is_time = due.is_some_and(|due| due <= system::monotonic());
            let is_pending = self.beside.iter().any(|beside| beside.is_pending());
            // A server that is busy with its peers asks for no more than that.
            if self.server.take_woken() || is_time || is_pending || self.server.is_finished() {
                for beside in &mut self.beside {
                    beside.turn(&mut self.server)?;
                }
            }
        }
        Ok(self.server)
    }
}

impl Beside for StatsPublisher {
    fn turn(&mut self, server: &mut Server<AnyService>) -> io::Result<()> {
        self.publish(server.is_finished(), || server.stats());
        Ok(())
    }
}

/// The signals, on the first worker: they stop all workers, reload or ask how they are.
pub(super) struct Commands {
    pub(super) signals: Signals,
    pub(super) workers: Vec<Arc<Mailbox>>,
    pub(super) reloader: Reloader,
    pub(super) progress: Arc<Progress>,
    pub(super) aggregate: Arc<Aggregate>,
    pub(super) began: Instant,
    pub(super) is_stopping: bool,
}

impl Beside for Commands {
    fn sleep_max(&self) -> Option<Duration> {
        Some(POLL_INTERVAL)
    }

    fn is_pending(&self) -> bool {
        self.signals.is_pending()
    }

    fn turn(&mut self, server: &mut Server<AnyService>) -> io::Result<()> {
        let SignalSet { stop, reload, status } = self.signals.take();
        if stop {
            self.aggregate.drain();
            // The first one drains, and the next one stops at once.
            let again = std::mem::replace(&mut self.is_stopping, true);
            for mailbox in &self.workers {
                let handle = mailbox.handle();
                if again { handle.stop() } else { handle.drain() }?;
            }
        }
        if reload {
            self.reloader.ask();
        }
        if status {
            let outcomes = self.progress.outcomes();
            status::log_process(server, self.workers.len(), self.began, &outcomes);
            self.workers.iter().try_for_each(|mailbox| mailbox.ask_status())?;
        }
        Ok(())
    }
}
