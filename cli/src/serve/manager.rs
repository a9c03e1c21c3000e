//! The service manager on the first worker's loop.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use countersign::Server;

use super::builtin::AnyService;
use super::mailbox::Mailbox;
use super::worker::Beside;
use crate::reload::Progress;
use crate::systemd::ServiceManager;

/// Tells the service manager of the worker that it has a turn beside, and of the others.
pub(super) struct ManagerHook {
    manager: ServiceManager,
    workers: Vec<Arc<Mailbox>>,
}

impl ManagerHook {
    /// Tells that whoever connects from now on is served.
    pub(super) fn ready(progress: Arc<Progress>, workers: Vec<Arc<Mailbox>>) -> Self {
        Self { manager: ServiceManager::ready(progress), workers }
    }
}

impl Beside for ManagerHook {
    fn due(&self) -> Option<Instant> {
        self.manager.due()
    }

    fn turn(&mut self, server: &mut Server<AnyService>) -> io::Result<()> {
        let workers = &self.workers;
        // All are called, or a stuck one would spare the rest.
        let are_alive = || workers.iter().filter(|worker| !worker.has_turned()).count() == 0;
        let stopping = "stopping: answering what has arrived";
        self.manager.turn(server.is_draining(), stopping, are_alive);
        Ok(())
    }
}
