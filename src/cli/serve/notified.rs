//! The service manager on the first worker's loop: it hears that we serve, reload, stop, and turn.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use countersign::Server;

use super::offer::Offered;
use super::reload::Progress;
use super::worker::Beside;
use crate::cli::systemd::Notifier;

/// Tells the service manager of the worker that it has a turn beside.
pub(super) struct Notified {
    notifier: Notifier,
    progress: Arc<Progress>,
    /// How many reloads it has told of, and whether it owes the end of the last.
    reloads: u64,
    is_reloading: bool,
    is_stopping: bool,
}

impl Notified {
    /// Tells that whoever connects from now on is served.
    pub(super) fn ready(mut notifier: Notifier, progress: Arc<Progress>) -> Self {
        notifier.ready("serving");
        Self { notifier, progress, reloads: 0, is_reloading: false, is_stopping: false }
    }

    /// A reload that was over before this had its turn is told of too: the manager waits for it.
    fn reload(&mut self) {
        let asked = self.progress.asked();
        if asked > self.reloads {
            self.reloads = asked;
            self.is_reloading = true;
            self.notifier.reloading();
        }
        if self.is_reloading && !self.progress.is_going() {
            self.is_reloading = false;
            match self.progress.outcomes().error {
                None => self.notifier.ready("serving"),
                Some(_) => self.notifier.ready("serving; the last reload failed, see the log"),
            }
        }
    }
}

impl Beside for Notified {
    fn due(&self) -> Option<Instant> {
        self.notifier.due()
    }

    fn turn(&mut self, server: &mut Server<Offered>) -> io::Result<()> {
        if !self.is_stopping {
            self.reload();
            if server.is_draining() {
                self.is_stopping = true;
                self.notifier.stopping("stopping: what has arrived is answered");
            }
        }
        self.notifier.turn();
        Ok(())
    }
}
