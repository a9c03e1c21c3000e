//! What a worker is told from outside its loop: to take new settings, to say how it is.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use countersign::{
    Access, Handle, KeyRing, Limits, Listener, ListenerId, Server, UnknownListenerError,
};
use log::error;

use super::builtin::AnyService;
use super::status;
use super::worker::Beside;

/// What a reload brings; the same for every worker.
#[derive(Debug)]
pub(super) struct ConfigUpdate {
    /// Of each listener, in their order.
    pub(super) listeners: Vec<ListenerUpdate>,
    pub(super) busy_poll: Duration,
    /// Whether those are closed whose keys are no longer valid.
    pub(super) closes_revoked: bool,
    /// Each worker says here that it has taken it.
    pub(super) taken: Sender<()>,
}

/// What a reload brings for one listener.
#[derive(Debug)]
pub(super) struct ListenerUpdate {
    /// None where nobody has to prove anything.
    pub(super) keys: Option<KeyRing>,
    pub(super) limits: Limits,
    pub(super) access: Access,
}

impl ConfigUpdate {
    fn apply(&self, server: &mut Server<AnyService>) {
        let ids: Vec<ListenerId> = server.listeners().iter().map(Listener::id).collect();
        for (id, update) in ids.into_iter().zip(&self.listeners) {
            if let Err(error) = update.apply(server, id) {
                // Nobody is told that it was taken.
                return error!("{error}");
            }
        }
        server.set_busy_poll(self.busy_poll);
        server.set_close_expired(self.closes_revoked);
        if self.closes_revoked {
            server.close_revoked();
        }
        // Who has lost patience doesn't listen any more.
        let _ = self.taken.send(());
    }
}

impl ListenerUpdate {
    fn apply(
        &self,
        server: &mut Server<AnyService>,
        id: ListenerId,
    ) -> Result<(), UnknownListenerError> {
        if let Some(keys) = &self.keys {
            server.replace_keys(id, keys.clone())?;
        }
        server.replace_limits(id, self.limits.clone())?;
        server.replace_access(id, self.access.clone())
    }
}

/// The way to one worker.
#[derive(Debug)]
pub(super) struct Mailbox {
    handle: Handle,
    control: Mutex<Control>,
    /// The worker's loop has turned since it was called last.
    has_turned: AtomicBool,
}

#[derive(Debug, Default)]
struct Control {
    /// The newest; an older one that wasn't taken is void.
    update: Option<Arc<ConfigUpdate>>,
    wants_status: bool,
}

impl Mailbox {
    pub(super) fn to(server: &Server<AnyService>) -> Arc<Self> {
        let has_turned = AtomicBool::new(true);
        Arc::new(Self { handle: server.handle(), control: Mutex::default(), has_turned })
    }

    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Has the worker take this before it serves anybody else.
    pub(super) fn update(&self, update: &Arc<ConfigUpdate>) -> io::Result<()> {
        self.send(|control| control.update = Some(Arc::clone(update)))
    }

    /// Has the worker say in the log how it is.
    pub(super) fn ask_status(&self) -> io::Result<()> {
        self.send(|control| control.wants_status = true)
    }

    /// Whether the worker's loop has turned since this was asked last. Wakes it, so that it turns
    /// until this is asked again, if it isn't stuck.
    pub(super) fn has_turned(&self) -> bool {
        let has_turned = self.has_turned.swap(false, Ordering::Relaxed);
        has_turned && self.handle.wake().is_ok()
    }

    fn send(&self, write: impl FnOnce(&mut Control)) -> io::Result<()> {
        write(&mut self.control());
        self.handle.wake()
    }

    fn take(&self) -> Control {
        std::mem::take(&mut *self.control())
    }

    fn control(&self) -> MutexGuard<'_, Control> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A worker at its mailbox.
pub(super) struct Receiver {
    pub(super) mailbox: Arc<Mailbox>,
    /// Its number, where there are several.
    pub(super) worker: Option<usize>,
}

impl Beside for Receiver {
    fn turn(&mut self, server: &mut Server<AnyService>) -> io::Result<()> {
        self.mailbox.has_turned.store(true, Ordering::Relaxed);
        let Control { update, wants_status } = self.mailbox.take();
        if let Some(update) = update {
            update.apply(server);
        }
        if wants_status {
            status::log(server, self.worker);
        }
        Ok(())
    }
}
