//! The server of the process: what has its turn on the loop of the first worker, in order.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use countersign::stats::Counters;

use super::listener;
use super::reload::Reload;
use super::status;
use super::update::ConfigUpdate;
use super::worker::{Mailbox, Worker};
use super::workers::Workers;
use crate::admin::Aggregate;
use crate::config::{Config, Settings};
use crate::reload::{PendingReload, Reloader, Wake};
use crate::signals::{POLL_INTERVAL, SignalSet, Signals};
use crate::system;
use crate::systemd::SdNotify;

/// The server of the process. Its first worker is on this thread.
pub(super) struct Runtime {
    pub(super) first: Worker,
    pub(super) others: Workers,
    /// The way to each worker, the first included.
    pub(super) mailboxes: Vec<Arc<Mailbox>>,
    pub(super) signals: Signals,
    pub(super) config: Config,
    /// The settings in force.
    pub(super) settings: Arc<Settings>,
    pub(super) reloader: Reloader<Reload>,
    pub(super) manager: SdNotify,
    pub(super) aggregate: Arc<Aggregate>,
    pub(super) began: Instant,
    pub(super) is_stopping: bool,
}

impl Runtime {
    /// Serves until it was stopped and its last connection is closed. Returns what all workers have
    /// done.
    pub(super) fn run(mut self) -> io::Result<Counters> {
        while !(self.first.server.is_finished() && self.others.are_done()) {
            self.turn()?;
        }
        let mut total = self.others.counters;
        total.merge(&self.first.server.counters());
        Ok(total)
    }

    fn turn(&mut self) -> io::Result<()> {
        let due = self.manager.due().into_iter().chain(self.reloader.due()).min();
        // The clock is only read if somebody needs the time.
        let wait = due.map(|due| due.saturating_duration_since(system::monotonic()));
        let server = &mut self.first.server;
        let wait = wait.map_or(POLL_INTERVAL, |wait| wait.min(POLL_INTERVAL));
        countersign_serve::turn(server, Some(wait))?;
        let is_time = due.is_some_and(|due| due <= system::monotonic());
        // While the server is busy with its peers, nothing else is needed.
        if server.take_woken() || is_time || self.signals.is_pending() || server.is_finished() {
            self.handle_signals()?;
            self.reload();
            self.first.receive();
            self.others.join()?;
            self.notify_manager();
            self.first.publish();
        }
        Ok(())
    }

    /// Handles the signals.
    fn handle_signals(&mut self) -> io::Result<()> {
        let SignalSet { stop, reload, status } = self.signals.take();
        if stop {
            self.aggregate.drain();
            // The first one drains, and the next one stops at once.
            let again = std::mem::replace(&mut self.is_stopping, true);
            for mailbox in &self.mailboxes {
                let handle = mailbox.handle();
                if again { handle.stop() } else { handle.drain() }?;
            }
        }
        if reload {
            self.reloader.request();
        }
        if status {
            let (server, workers) = (&self.first.server, self.mailboxes.len());
            status::log_process(server, workers, self.began, self.reloader.reloads());
            self.mailboxes.iter().try_for_each(|mailbox| mailbox.ask_status())?;
        }
        Ok(())
    }

    /// Continues the reload, and begins the next.
    fn reload(&mut self) {
        if let Some(reload) = self.reloader.read() {
            self.apply(reload);
        }
        if let Some(reloads) = self.reloader.ended() {
            self.manager.reloaded(reloads);
            self.aggregate.set_reloads(reloads.clone());
        }
        if self.reloader.is_due() {
            self.manager.reloading();
            let (config, now) = (self.config.clone(), Arc::clone(&self.settings));
            self.reloader.begin(self.wake(), move || Reload::read(&config, &now));
        }
    }

    /// Hands the workers what was read.
    fn apply(&mut self, reload: Reload) {
        let rings = reload.rings();
        let Reload { settings, listeners } = reload;
        settings.process.logging.level.set();
        listener::warn_of_faults(&settings.listeners);
        let pending = PendingReload::default();
        let update = Arc::new(ConfigUpdate {
            listeners,
            busy_poll: settings.process.busy_poll,
            closes_revoked: settings.process.close_revoked,
            pending: Arc::clone(&pending),
            wake: self.wake(),
        });
        for mailbox in &self.mailboxes {
            // One that can't be woken takes it when it next wakes.
            let _ = mailbox.update(&update);
        }
        self.settings = Arc::new(settings);
        // Logged when every worker uses it for new connections.
        self.reloader.applying(pending, rings);
    }

    /// Wakes this loop.
    fn wake(&self) -> Wake {
        let handle = self.first.server.handle();
        Arc::new(move || drop(handle.wake()))
    }

    fn notify_manager(&mut self) {
        let mailboxes = &self.mailboxes;
        // All are called, so that a stuck one doesn't hide the others.
        let are_alive = || mailboxes.iter().filter(|mailbox| !mailbox.has_turned()).count() == 0;
        let stopping = "stopping: answering what has arrived";
        self.manager.turn(self.first.server.is_draining(), stopping, are_alive);
    }
}
