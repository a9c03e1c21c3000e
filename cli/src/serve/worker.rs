//! One worker: a server on one thread, and its mailbox.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use countersign::stats::Counters;
use countersign::{Handle, Server};
use countersign_serve::ServedService;

use super::status;
use super::update::ConfigUpdate;
use crate::admin::{Aggregate, StatsPublisher};

/// The way to one worker.
pub(super) struct Mailbox {
    handle: Handle,
    control: Mutex<Control>,
    /// The worker's loop has turned since it was called last.
    has_turned: AtomicBool,
}

#[derive(Default)]
struct Control {
    /// The newest; an older one that wasn't taken is void.
    update: Option<Arc<ConfigUpdate>>,
    wants_status: bool,
}

impl Mailbox {
    pub(super) fn to(server: &Server<ServedService>) -> Arc<Self> {
        let has_turned = AtomicBool::new(true);
        Arc::new(Self { handle: server.handle(), control: Mutex::default(), has_turned })
    }

    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Makes the worker apply this before it processes further events.
    pub(super) fn update(&self, update: &Arc<ConfigUpdate>) -> io::Result<()> {
        self.send(|control| control.update = Some(Arc::clone(update)))
    }

    /// Makes the worker log its status.
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

    fn control(&self) -> MutexGuard<'_, Control> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A server on one thread.
pub(super) struct Worker {
    pub(super) server: Server<ServedService>,
    mailbox: Arc<Mailbox>,
    /// Its number, where there are several.
    number: Option<usize>,
    /// None without an admin listener.
    publisher: Option<StatsPublisher>,
}

impl Worker {
    pub(super) fn new(
        mut server: Server<ServedService>,
        mailbox: Arc<Mailbox>,
        number: Option<usize>,
        published: Option<&Arc<Aggregate>>,
    ) -> Self {
        let publisher = published.map(|aggregate| {
            server.time_loop();
            StatsPublisher::begin(aggregate, number.unwrap_or(0), server.stats())
        });
        Self { server, mailbox, number, publisher }
    }

    /// Serves until the server was stopped and its last connection is closed.
    pub(super) fn run(mut self) -> io::Result<Counters> {
        while !self.server.is_finished() {
            countersign_serve::turn(&mut self.server, None)?;
            // While the server is busy with its peers, nothing else is needed.
            if self.server.take_woken() || self.server.is_finished() {
                self.receive();
                self.publish();
            }
        }
        Ok(self.server.counters())
    }

    /// Handles its mailbox.
    pub(super) fn receive(&mut self) {
        self.mailbox.has_turned.store(true, Ordering::Relaxed);
        let Control { update, wants_status } = std::mem::take(&mut *self.mailbox.control());
        if let Some(update) = update {
            update.apply(&mut self.server);
            ConfigUpdate::applied(update);
        }
        if wants_status {
            status::log(&self.server, self.number);
        }
    }

    /// Publishes the stats, if they are asked for.
    pub(super) fn publish(&self) {
        if let Some(publisher) = &self.publisher {
            publisher.publish(self.server.is_finished(), || self.server.stats());
        }
    }
}
