//! Notifications to the service manager: ready, reloading, stopping, and the watchdog.

use std::time::Instant;

use super::SdNotify;
use crate::reload::Reloads;

/// Tells the service manager of a daemon, in whose loop it has its turns.
#[derive(Debug)]
pub(crate) struct ServiceManager {
    notify: SdNotify,
    is_stopping: bool,
}

impl ServiceManager {
    /// Tells that new connections are served from now on.
    pub(crate) fn ready() -> Self {
        let mut notify = SdNotify::from_environment();
        notify.ready("serving");
        Self { notify, is_stopping: false }
    }

    /// Tells that a reload begins.
    pub(crate) fn reloading(&mut self) {
        if !self.is_stopping {
            self.notify.reloading();
        }
    }

    /// Tells that a reload has ended.
    pub(crate) fn reloaded(&mut self, reloads: &Reloads) {
        if !self.is_stopping {
            self.notify.ready(match reloads.last_succeeded {
                true => "serving",
                false => "serving; the last reload failed, see the log",
            });
        }
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
        if is_draining && !self.is_stopping {
            self.is_stopping = true;
            self.notify.stopping(stopping);
        }
        self.notify.turn(|| self.is_stopping || are_alive());
    }
}
