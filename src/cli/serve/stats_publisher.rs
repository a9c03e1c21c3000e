//! The stats of a worker, which it publishes when it is asked to.

use std::sync::Arc;

use countersign::Server;

use super::builtin::AnyService;
use super::mailbox::Mailbox;
use super::worker::Beside;
use crate::cli::admin::{Aggregate, Labels, ListenerInfo, Snapshot};
use crate::cli::reload::Progress;

/// What the publishers of all workers share.
#[derive(Debug, Clone)]
pub(super) struct Publishing {
    pub(super) aggregate: Arc<Aggregate>,
    /// The labels of each listener.
    pub(super) labels: Vec<Labels>,
    pub(super) progress: Arc<Progress>,
}

/// Publishes the stats of one worker.
pub(super) struct StatsPublisher {
    /// The number of the worker.
    worker: usize,
    publishing: Publishing,
    mailbox: Arc<Mailbox>,
    /// The listeners as they were at the last update.
    infos: Vec<Arc<ListenerInfo>>,
    /// How many updates the worker had taken when these were made.
    updates: Option<u64>,
}

impl StatsPublisher {
    pub(super) fn of(worker: usize, mailbox: Arc<Mailbox>, publishing: Publishing) -> Self {
        Self { worker, publishing, mailbox, infos: Vec::new(), updates: None }
    }

    /// Publishes the first stats, before the worker's first turn.
    pub(super) fn begin(&mut self, server: &mut Server<AnyService>) {
        server.time_loop();
        self.show(server);
    }

    fn show(&mut self, server: &Server<AnyService>) {
        let Publishing { aggregate, labels, progress } = &self.publishing;
        let updates = Some(self.mailbox.taken());
        if std::mem::replace(&mut self.updates, updates) != updates {
            let gates = server.listeners().iter().zip(labels);
            self.infos =
                gates.map(|(gate, labels)| Arc::new(ListenerInfo::of(gate, *labels))).collect();
        }
        if self.worker == 0 {
            aggregate.set_reloads(progress.outcomes().into());
        }
        // What it has done still counts when it has ended.
        aggregate.publish(self.worker, Snapshot::of(server, &self.infos), server.is_finished());
    }
}

impl Beside for StatsPublisher {
    fn turn(&mut self, server: &mut Server<AnyService>) -> std::io::Result<()> {
        if self.publishing.aggregate.awaits(self.worker) || server.is_finished() {
            self.show(server);
        }
        Ok(())
    }
}
