//! The service manager on the first worker's loop: it hears that we serve, reload, stop, and turn.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use countersign::Server;

use super::mail::Mail;
use super::offer::Offered;
use super::reload::Progress;
use super::worker::Beside;
use crate::cli::systemd::Notifier;

/// Tells the service manager of the worker that it has a turn beside.
pub(super) struct Notified {
    notifier: Notifier,
    progress: Arc<Progress>,
    workers: Vec<Arc<Mail>>,
    /// How many reloads it has told of, and whether it owes the end of the last.
    reloads: u64,
    is_reloading: bool,
    is_stopping: bool,
}

impl Notified {
    /// Tells that whoever connects from now on is served.
    pub(super) fn ready(
        mut notifier: Notifier,
        progress: Arc<Progress>,
        workers: Vec<Arc<Mail>>,
    ) -> Self {
        notifier.ready("serving");
        let (reloads, is_reloading, is_stopping) = (0, false, false);
        Self { notifier, progress, workers, reloads, is_reloading, is_stopping }
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
        // Of those that stop, some have ended. All are called, or a stuck one would spare the rest.
        let (workers, is_stopping) = (&self.workers, self.is_stopping);
        let are_alive =
            || is_stopping || workers.iter().filter(|worker| !worker.has_turned()).count() == 0;
        self.notifier.turn(are_alive);
        Ok(())
    }
}
