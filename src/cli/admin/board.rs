//! What the workers are seen to do: each publishes a snapshot of itself, and whoever asks reads
//! their sum.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::snapshot::Snapshot;

/// A worker that has not shown itself for so long is stuck: with a board, each does so several
/// times a second, whether or not it has anything to do.
const STUCK: Duration = Duration::from_secs(10);

/// Where the workers publish their snapshots.
#[derive(Debug)]
pub(crate) struct Board {
    /// One a worker; empty until it serves.
    slots: Box<[Mutex<Option<Slot>>]>,
    reloads: Mutex<Reloads>,
    started: SystemTime,
    epoch: Instant,
}

/// What one worker has published last.
#[derive(Debug)]
struct Slot {
    at: Instant,
    snapshot: Snapshot,
}

/// How reloading has gone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reloads {
    pub(crate) succeeded: u64,
    pub(crate) failed: u64,
    /// When it was tried last.
    pub(crate) last: Option<SystemTime>,
    /// When what is in force was loaded; none where that was at the start.
    pub(crate) in_force_since: Option<SystemTime>,
    /// Why the last try has failed, if it has.
    pub(crate) error: Option<String>,
}

/// The board at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Look {
    /// The sum over the workers that serve.
    pub(crate) sum: Snapshot,
    pub(crate) workers: usize,
    /// Workers that have not begun to serve.
    pub(crate) absent: usize,
    /// The first worker that is stuck, and for how long it has been.
    pub(crate) stuck: Option<(usize, Duration)>,
    pub(crate) reloads: Reloads,
    pub(crate) started: SystemTime,
    pub(crate) uptime: Duration,
}

impl Board {
    /// A board for so many workers, of a program that has just started.
    pub(crate) fn new(workers: usize, wall: SystemTime, now: Instant) -> Self {
        Self {
            slots: (0..workers).map(|_| Mutex::new(None)).collect(),
            reloads: Mutex::default(),
            started: wall,
            epoch: now,
        }
    }

    /// Shows what a worker does now.
    pub(crate) fn publish(&self, worker: usize, snapshot: Snapshot, now: Instant) {
        if let Some(slot) = self.slots.get(worker) {
            *held(slot) = Some(Slot { at: now, snapshot });
        }
    }

    /// Shows how reloading has gone.
    pub(crate) fn set_reloads(&self, reloads: Reloads) {
        *held(&self.reloads) = reloads;
    }

    /// All of it, as it is now.
    pub(crate) fn look(&self, now: Instant) -> Look {
        let mut look = Look {
            sum: Snapshot::default(),
            workers: self.slots.len(),
            absent: 0,
            stuck: None,
            reloads: held(&self.reloads).clone(),
            started: self.started,
            uptime: now.saturating_duration_since(self.epoch),
        };
        for (worker, slot) in self.slots.iter().enumerate() {
            let slot = held(slot);
            let Some(Slot { at, snapshot }) = &*slot else {
                look.absent += 1;
                continue;
            };
            look.sum.add(snapshot);
            let silent = now.saturating_duration_since(*at);
            // One that is about to end may have ended.
            if silent > STUCK && look.stuck.is_none() && !snapshot.is_draining {
                look.stuck = Some((worker, silent));
            }
        }
        look
    }
}

impl Look {
    /// When what is in force was loaded.
    pub(crate) fn in_force_since(&self) -> SystemTime {
        self.reloads.in_force_since.unwrap_or(self.started)
    }

    /// Whether newcomers are served.
    pub(crate) fn is_ready(&self) -> bool {
        self.absent == 0 && !self.sum.is_draining
    }
}

/// What is kept is whole whenever it isn't being written, so a panic elsewhere spoils nothing.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::system;

    #[test]
    fn it_is_ready_when_every_worker_serves_and_none_drains() {
        let (wall, now) = (system::wall(), system::monotonic());
        let board = Board::new(2, wall, now);
        board.publish(0, Snapshot::default(), now);
        let look = board.look(now);
        assert!(!look.is_ready() && look.absent == 1);
        board.publish(1, Snapshot::default(), now);
        assert!(board.look(now).is_ready());
        board.publish(1, Snapshot { is_draining: true, ..Snapshot::default() }, now);
        assert!(!board.look(now).is_ready());
        // Nobody is harmed by a worker that isn't there.
        board.publish(2, Snapshot::default(), now);
    }

    #[test]
    fn a_worker_that_is_silent_for_long_is_stuck() {
        let now = system::monotonic();
        let board = Board::new(2, system::wall(), now);
        let later = now + STUCK + Duration::from_secs(1);
        board.publish(0, Snapshot::default(), later);
        board.publish(1, Snapshot::default(), now);
        assert_eq!(board.look(now + STUCK).stuck, None);
        assert_eq!(board.look(later).stuck, Some((1, later - now)));
        assert_eq!(board.look(later).uptime, later - now);
        board.publish(1, Snapshot { is_draining: true, ..Snapshot::default() }, now);
        assert_eq!(board.look(later).stuck, None, "it may have ended");
    }

    #[test]
    fn what_was_loaded_at_the_start_is_in_force_until_a_reload_succeeds() {
        let at = |second| SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        let now = system::monotonic();
        let board = Board::new(1, at(1), now);
        assert_eq!(board.look(now).in_force_since(), at(1));
        board.set_reloads(Reloads { in_force_since: Some(at(3)), ..Reloads::default() });
        assert_eq!(board.look(now).in_force_since(), at(3));
    }
}
