//! What a worker shows of itself on the board when it is asked to.

use std::sync::Arc;

use countersign::Server;

use super::mail::Mail;
use super::offer::Offered;
use super::worker::Beside;
use crate::cli::admin::{Board, Face, Snapshot, Words};
use crate::cli::reload::Progress;

/// What the workers have in common who are seen.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    pub(super) board: Arc<Board>,
    /// What is said of each listener.
    pub(super) words: Vec<Words>,
    pub(super) progress: Arc<Progress>,
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
}

impl Showing {
    pub(super) fn of(worker: usize, mail: Arc<Mail>, shown: Shown) -> Self {
        Self { worker, shown, mail, faces: Vec::new(), updates: None }
    }

    /// Shows that the worker is there, before its first turn.
    pub(super) fn begin(&mut self, server: &mut Server<Offered>) {
        server.time_turns();
        self.show(server);
    }

    fn show(&mut self, server: &Server<Offered>) {
        let Shown { board, words, progress } = &self.shown;
        let updates = Some(self.mail.taken());
        if std::mem::replace(&mut self.updates, updates) != updates {
            let gates = server.listeners().iter().zip(words);
            self.faces = gates.map(|(gate, words)| Arc::new(Face::of(gate, *words))).collect();
        }
        if self.worker == 0 {
            board.set_reloads(progress.outcomes().into());
        }
        // What it has done stays on the board when it has ended.
        board.publish(self.worker, Snapshot::of(server, &self.faces), server.is_finished());
    }
}

impl Beside for Showing {
    fn turn(&mut self, server: &mut Server<Offered>) -> std::io::Result<()> {
        if self.shown.board.awaits(self.worker) || server.is_finished() {
            self.show(server);
        }
        Ok(())
    }
}
