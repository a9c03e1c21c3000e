//! What `serve` reloads: the configuration, if there is one, and the keys.

use std::path::PathBuf;

use super::listener::MissingRing;
use super::prepared::PreparedListener;
use super::update::ListenerUpdate;
use crate::config::{Config, Settings};
use crate::exit::{Failure, Kind};

/// What was read for a reload: all of it is right, and can be applied to what is served.
pub(super) struct Reload {
    pub(super) settings: Settings,
    pub(super) listeners: Vec<ListenerUpdate>,
}

impl Reload {
    /// Reads everything again, for a server with these settings: all or nothing.
    pub(super) fn read(config: &Config, now: &Settings) -> Result<Self, Failure> {
        let mut settings = config.read()?;
        let changes = settings.fixed_changes(now);
        if !changes.is_empty() {
            return Err(Failure::of_all(Kind::Configuration, changes));
        }
        let listeners = std::mem::take(&mut settings.listeners);
        let workers = settings.process.workers;
        let prepared = PreparedListener::all(listeners, workers, MissingRing::Fail)?;
        let listeners = prepared.iter().map(|prepared| prepared.update(workers)).collect();
        settings.listeners = prepared.into_iter().map(|prepared| prepared.args).collect();
        Ok(Self { settings, listeners })
    }

    /// The files that its keys are from.
    pub(super) fn rings(&self) -> Vec<PathBuf> {
        let listeners = self.settings.listeners.iter();
        listeners.filter_map(|args| args.protocol.ring_path().ok()).collect()
    }
}
