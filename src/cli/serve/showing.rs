//! What a worker shows of itself, and the turn of the admin listener beside it.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use countersign::Server;
use log::error;

use super::mail::Mail;
use super::offer::Offered;
use super::reload::{Outcomes, Progress};
use super::worker::Beside;
use crate::cli::admin::{Admin, Board, Face, Reloads, Snapshot, Words};
use crate::cli::system;

/// How often a worker shows itself that doesn't know when it is looked at.
const PACE: Duration = Duration::from_millis(250);

/// What the workers have in common who are seen.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    pub(super) board: Arc<Board>,
    /// What is said of each listener.
    pub(super) words: Vec<Words>,
}

/// Shows what a worker does.
pub(super) struct Showing {
    /// The place on the board.
    worker: usize,
    shown: Shown,
    mail: Arc<Mail>,
    /// Of each listener what stays the same until the next update.
    faces: Vec<Arc<Face>>,
    /// How many updates the worker had taken when the faces were made.
    updates: Option<u64>,
    /// With the pages, the worker shows itself whenever they may be asked for.
    pages: Option<Pages>,
    /// When it is to show itself next, without.
    due: Option<Instant>,
}

/// What the first worker has beside the others.
struct Pages {
    admin: Admin,
    progress: Arc<Progress>,
}

impl Showing {
    pub(super) fn of(worker: usize, mail: Arc<Mail>, shown: Shown) -> Self {
        let (faces, updates) = (Vec::new(), None);
        Self { worker, shown, mail, faces, updates, pages: None, due: None }
    }

    /// The same with the pages, in whose loop they have their turn.
    pub(super) fn with_pages(self, admin: Admin, progress: Arc<Progress>) -> Self {
        Self { pages: Some(Pages { admin, progress }), ..self }
    }

    /// Shows that the worker is there, before its first turn.
    pub(super) fn begin(&mut self, server: &mut Server<Offered>) -> io::Result<()> {
        server.time_turns();
        if let Some(Pages { admin, .. }) = &self.pages {
            server.wake_on(admin.wakes()?)?;
        }
        self.show(server);
        Ok(())
    }

    fn show(&mut self, server: &Server<Offered>) {
        let Shown { board, words } = &self.shown;
        let updates = Some(self.mail.taken());
        if std::mem::replace(&mut self.updates, updates) != updates {
            let gates = server.listeners().iter().zip(words);
            self.faces = gates.map(|(gate, words)| Arc::new(Face::of(gate, *words))).collect();
        }
        let mut snapshot = Snapshot::of(server, &self.faces);
        if let Some(Pages { admin, progress }) = &self.pages {
            snapshot.memory_max += admin.memory_max() as u64;
            board.set_reloads(reloads(progress.outcomes()));
        }
        let now = system::monotonic();
        board.publish(self.worker, snapshot, now);
        self.due = self.pages.is_none().then(|| now + PACE);
    }
}

fn reloads(outcomes: Outcomes) -> Reloads {
    let Outcomes { succeeded, failed, last, in_force_since, error } = outcomes;
    Reloads { succeeded, failed, last, in_force_since, error }
}

impl Beside for Showing {
    fn due(&self) -> Option<Instant> {
        self.pages.as_ref().map_or(self.due, |pages| pages.admin.due())
    }

    fn turn(&mut self, server: &mut Server<Offered>) -> io::Result<()> {
        // What it has done stays on the board when it has ended.
        self.show(server);
        let turned = self.pages.as_mut().map_or(Ok(()), |pages| pages.admin.turn());
        if let Err(error) = turned {
            // Those who are served need no pages.
            error!("the admin listener is closed, the system failed: {error}");
            self.pages = None;
        }
        Ok(())
    }
}
