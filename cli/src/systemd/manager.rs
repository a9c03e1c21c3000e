//! What the service manager hears of a daemon: that it serves, reloads, stops, and turns.

use std::sync::Arc;
use std::time::Instant;

use super::SdNotify;
use crate::reload::Progress;

/// Tells the service manager of a daemon, in whose loop it has its turns.
#[derive(Debug)]
pub(crate) struct ServiceManager {
    notify: SdNotify,
    progress: Arc<Progress>,
    /// How many reloads it has told of, and whether it owes the end of the last.
    reloads: u64,
    is_reloading: bool,
    is_stopping: bool,
}

impl ServiceManager {
    /// Tells that whoever connects from now on is served.
    pub(crate) fn ready(progress: Arc<Progress>) -> Self {
        let mut notify = SdNotify::from_environment();
        notify.ready("serving");
        let (reloads, is_reloading, is_stopping) = (0, false, false);
        Self { notify, progress, reloads, is_reloading, is_stopping }
    }

    /// When it has something to do next.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.notify.due()
    }

    /// Tells what has happened since the last turn, and that the loops are alive where they are.
    pub(crate) fn turn(
        &mut self,
        is_draining: bool,
        stopping: &str,
        are_alive: impl FnOnce() -> bool,
    ) {
        if !self.is_stopping {
            self.reload();
            if is_draining {
                self.is_stopping = true;
                self.notify.stopping(stopping);
            }
        }
        self.notify.turn(|| self.is_stopping || are_alive());
    }

    /// A reload that was over before this had its turn is told of too: the manager waits for it.
    fn reload(&mut self) {
        let asked = self.progress.asked();
        if asked > self.reloads {
            self.reloads = asked;
            self.is_reloading = true;
            self.notify.reloading();
        }
        if self.is_reloading && !self.progress.is_going() {
            self.is_reloading = false;
            match self.progress.outcomes().error {
                None => self.notify.ready("serving"),
                Some(_) => self.notify.ready("serving; the last reload failed, see the log"),
            }
        }
    }
}
