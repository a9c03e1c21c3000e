//! What a reload changes in a worker's server.

use std::sync::Arc;
use std::time::Duration;

use countersign::{Access, KeyRing, Limits, Listener, ListenerId, Server, UnknownListenerError};
use countersign_serve::{Faults, ServedService, replace_faults};

use crate::exit::{Failure, Kind};
use crate::reload::{PendingReload, Wake};

/// What a reload brings; the same for every worker.
pub(super) struct ConfigUpdate {
    /// The updates of the listeners, in their order.
    pub(super) listeners: Vec<ListenerUpdate>,
    pub(super) busy_poll: Duration,
    /// Whether connections whose keys are no longer valid are closed.
    pub(super) closes_revoked: bool,
    /// Dropped when every worker has applied it; says what has failed.
    pub(super) pending: PendingReload,
    /// Wakes the loop that waits for that.
    pub(super) wake: Wake,
}

/// What a reload brings for one listener.
#[derive(Debug)]
pub(super) struct ListenerUpdate {
    /// None in the dialect `open`.
    pub(super) keys: Option<KeyRing>,
    pub(super) limits: Limits,
    pub(super) access: Access,
    /// Of one worker.
    pub(super) faults: Faults,
}

impl ConfigUpdate {
    /// Applies it to a worker's server.
    pub(super) fn apply(&self, server: &mut Server<ServedService>) {
        let ids: Vec<ListenerId> = server.listeners().iter().map(Listener::id).collect();
        for (id, update) in ids.into_iter().zip(&self.listeners) {
            if let Err(error) = update.apply(server, id) {
                // The first failure is told.
                let _ = self.pending.set(Failure::new(Kind::General, error.to_string()));
            }
        }
        server.set_busy_poll(self.busy_poll);
        server.set_close_expired(self.closes_revoked);
        if self.closes_revoked {
            server.close_revoked();
        }
    }

    /// A worker has applied it: the last one ends the reload.
    pub(super) fn applied(update: Arc<Self>) {
        let wake = Arc::clone(&update.wake);
        drop(update);
        wake();
    }
}

impl ListenerUpdate {
    fn apply(
        &self,
        server: &mut Server<ServedService>,
        id: ListenerId,
    ) -> Result<(), UnknownListenerError> {
        if let Some(keys) = &self.keys {
            server.replace_keys(id, keys.clone())?;
        }
        server.replace_limits(id, self.limits.clone())?;
        server.replace_access(id, self.access.clone())?;
        replace_faults(server.service_mut(), id, self.faults.clone());
        Ok(())
    }
}
