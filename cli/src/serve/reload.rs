//! What `serve` reloads: the configuration, if there is one, and the keys.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::channel;

use log::warn;

use super::listener::MissingRing;
use super::mailbox::{ConfigUpdate, Mailbox};
use super::prepared::PreparedListener;
use crate::config::{Config, Settings};
use crate::exit::{Failure, Kind};
use crate::reload::{PATIENCE, Task};

/// What is reloaded, and for whom.
#[derive(Debug)]
pub(super) struct Reload {
    pub(super) config: Config,
    /// What is served now.
    pub(super) now: Settings,
    pub(super) workers: Vec<Arc<Mailbox>>,
}

impl Task for Reload {
    fn wake(&self) {
        let _ = self.workers.first().map(|mailbox| mailbox.handle().wake());
    }

    fn rings(&self) -> Vec<PathBuf> {
        let listeners = self.now.listeners.iter();
        listeners.filter_map(|args| args.protocol.ring_path().ok()).collect()
    }

    fn once(&mut self) -> Result<(), Failure> {
        let mut settings = self.config.read()?;
        let changes = settings.fixed_changes(&self.now);
        if !changes.is_empty() {
            return Err(Failure::of_all(Kind::Configuration, changes));
        }
        let listeners = std::mem::take(&mut settings.listeners);
        let workers = self.workers.len();
        let prepared = PreparedListener::all(listeners, workers, MissingRing::Fail)?;
        let (taken, takes) = channel();
        let update = Arc::new(ConfigUpdate {
            listeners: prepared.iter().map(|prepared| prepared.update(workers)).collect(),
            busy_poll: settings.process.busy_poll,
            closes_revoked: settings.process.close_revoked,
            taken,
        });
        settings.process.logging.level.set();
        for mailbox in &self.workers {
            // One that can't be woken takes it when it next wakes.
            let _ = mailbox.update(&update);
        }
        settings.listeners = prepared.into_iter().map(|prepared| prepared.args).collect();
        self.now = settings;
        // A newcomer finds what the log says, by whichever worker it comes.
        let late = (0..workers).find(|_| takes.recv_timeout(PATIENCE).is_err());
        if late.is_some() {
            warn!("a worker has not applied the new settings after {} s", PATIENCE.as_secs());
        }
        Ok(())
    }
}
