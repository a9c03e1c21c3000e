//! The sum of what the workers do. When somebody asks, each is woken and publishes a snapshot of
//! itself, and the pages are made of their sum.
//!
//! Nobody asks the workers more often than once a second, so that those who ask cost those who are
//! served next to nothing, however many they are.

use std::fmt::Debug;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use countersign::Handle;

use super::process::Process;
use super::report::Report;
use super::snapshot::Snapshot;
use super::{Subject, metrics};
use crate::cli::reload::Outcomes;
use crate::cli::system;

/// A look that is no older than this is new enough for everybody.
const FRESH: Duration = Duration::from_secs(1);

/// How long the workers are waited for. One that takes longer shows what it had shown before.
const PATIENCE: Duration = Duration::from_millis(250);

/// A worker that was asked and has not shown itself for so long is stuck.
const STUCK: Duration = Duration::from_secs(10);

/// Wakes the loop of a worker.
pub(crate) trait Wake: Debug + Send + Sync {
    /// Has the loop turn. One that can't be woken turns when it next wakes.
    fn wake(&self);
}

impl Wake for Handle {
    fn wake(&self) {
        let _ = Self::wake(self);
    }
}

/// Where the workers publish their snapshots.
#[derive(Debug)]
pub(crate) struct Aggregate {
    /// By which the workers are woken.
    loops: Vec<Box<dyn Wake>>,
    state: Mutex<State>,
    /// A worker has shown itself.
    shown: Condvar,
    started: SystemTime,
    epoch: Instant,
}

#[derive(Debug, Default)]
struct State {
    slots: Vec<Slot>,
    reloads: Reloads,
    /// The program was told to stop.
    is_draining: bool,
    /// What there is beside the workers, in bytes at most.
    memory_beside: u64,
    /// When the workers were asked last.
    asked: Option<Instant>,
    /// How often they were.
    looks: u64,
}

/// What one worker has published last.
#[derive(Debug, Default)]
struct Slot {
    /// None until it serves.
    snapshot: Option<Snapshot>,
    /// Since when it has not shown itself though it was asked.
    owes: Option<Instant>,
    /// It shows nothing more.
    is_over: bool,
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

/// The aggregate at one moment.
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

impl From<Outcomes> for Reloads {
    fn from(outcomes: Outcomes) -> Self {
        let Outcomes { succeeded, failed, last, in_force_since, error } = outcomes;
        Self { succeeded, failed, last, in_force_since, error }
    }
}

impl Aggregate {
    /// An aggregate of this many workers, in a program that has just started.
    pub(crate) fn new(
        workers: usize,
        loops: Vec<Box<dyn Wake>>,
        wall: SystemTime,
        now: Instant,
    ) -> Self {
        let slots = (0..workers).map(|_| Slot::default()).collect();
        Self {
            loops,
            state: Mutex::new(State { slots, ..State::default() }),
            shown: Condvar::new(),
            started: wall,
            epoch: now,
        }
    }

    /// Whether a worker is to show itself.
    pub(crate) fn awaits(&self, worker: usize) -> bool {
        self.state().slots.get(worker).is_some_and(|slot| slot.owes.is_some())
    }

    /// Shows what a worker does now. One that is over is asked for nothing more.
    pub(crate) fn publish(&self, worker: usize, snapshot: Snapshot, is_over: bool) {
        if let Some(slot) = self.state().slots.get_mut(worker) {
            *slot = Slot { snapshot: Some(snapshot), owes: None, is_over };
        }
        self.shown.notify_all();
    }

    /// Shows how reloading has gone.
    pub(crate) fn set_reloads(&self, reloads: Reloads) {
        self.state().reloads = reloads;
    }

    /// Counts what the pages can come to with the memory of the workers.
    pub(crate) fn set_memory_beside(&self, bytes: usize) {
        self.state().memory_beside = bytes as u64;
    }

    /// From now on newcomers are turned away.
    pub(crate) fn drain(&self) {
        self.state().is_draining = true;
    }

    /// All of it, as it was shown last.
    pub(crate) fn seen(&self, now: Instant) -> Look {
        let state = self.state();
        let mut look = Look {
            sum: Snapshot::default(),
            workers: state.slots.len(),
            absent: 0,
            stuck: None,
            reloads: state.reloads.clone(),
            started: self.started,
            uptime: now.saturating_duration_since(self.epoch),
        };
        for (worker, slot) in state.slots.iter().enumerate() {
            let silent = slot.owes.map(|since| now.saturating_duration_since(since));
            let Some(snapshot) = &slot.snapshot else {
                look.absent += 1;
                continue;
            };
            look.sum.add(snapshot);
            if look.stuck.is_none() {
                look.stuck = silent.filter(|silent| *silent > STUCK).map(|it| (worker, it));
            }
        }
        look.sum.is_draining |= state.is_draining;
        look.sum.memory_max = look.sum.memory_max.saturating_add(state.memory_beside);
        look
    }

    /// Asks the workers to show themselves, unless they were asked just now. Returns how often they
    /// were asked in all.
    fn ask(&self, now: Instant) -> (u64, bool) {
        let mut state = self.state();
        let is_fresh =
            state.asked.is_some_and(|asked| now.saturating_duration_since(asked) < FRESH);
        if !is_fresh {
            state.asked = Some(now);
            state.looks += 1;
            for slot in state.slots.iter_mut().filter(|slot| !slot.is_over) {
                slot.owes.get_or_insert(now);
            }
        }
        (state.looks, !is_fresh)
    }

    /// What is kept is whole whenever it isn't being written, so a panic elsewhere spoils nothing.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subject for Aggregate {
    fn look(&self) -> u64 {
        let (looks, is_new) = self.ask(system::monotonic());
        if is_new {
            for each in &self.loops {
                each.wake();
            }
            let owes = |state: &mut State| state.slots.iter().any(|slot| slot.owes.is_some());
            drop(self.shown.wait_timeout_while(self.state(), PATIENCE, owes));
        }
        looks
    }

    fn health(&self) -> Result<(), String> {
        self.look();
        match self.seen(system::monotonic()).stuck {
            None => Ok(()),
            Some((worker, silent)) => {
                Err(format!("worker {worker} has not turned for {} s", silent.as_secs()))
            }
        }
    }

    fn readiness(&self) -> Result<(), String> {
        let state = self.state();
        let absent = state.slots.iter().filter(|slot| slot.snapshot.is_none()).count();
        match absent {
            _ if state.is_draining => Err("draining".to_owned()),
            0 => Ok(()),
            absent => Err(format!("starting: {absent} workers don't serve yet")),
        }
    }

    fn metrics(&self) -> Vec<u8> {
        metrics::page(&self.seen(system::monotonic()), &Process::now())
    }

    fn status(&self) -> serde_json::Result<String> {
        let look = self.seen(system::monotonic());
        serde_json::to_string_pretty(&Report::of(&look, Process::now(), system::wall()))
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An aggregate of this many workers, some of which have published these.
    pub(in crate::cli::admin) fn aggregate(workers: usize, shown: &[Snapshot]) -> Aggregate {
        let (wall, now) = (system::wall(), system::monotonic());
        let aggregate = Aggregate::new(workers, Vec::new(), wall, now);
        for (worker, snapshot) in shown.iter().enumerate() {
            aggregate.publish(worker, snapshot.clone(), false);
        }
        aggregate
    }

    #[test]
    fn it_is_ready_when_every_worker_serves_until_it_is_told_to_stop() {
        let aggregate = aggregate(2, &[Snapshot::default()]);
        assert_eq!(aggregate.readiness(), Err("starting: 1 workers don't serve yet".to_owned()));
        assert!(!aggregate.seen(system::monotonic()).is_ready());
        aggregate.publish(1, Snapshot::default(), false);
        assert_eq!(aggregate.readiness(), Ok(()));
        assert!(aggregate.seen(system::monotonic()).is_ready());
        aggregate.drain();
        assert_eq!(aggregate.readiness(), Err("draining".to_owned()));
        assert!(!aggregate.seen(system::monotonic()).is_ready());
        // Nobody is harmed by a worker that isn't there.
        aggregate.publish(2, Snapshot::default(), false);
        assert!(!aggregate.awaits(2));
    }

    #[test]
    fn the_workers_are_asked_once_a_second_at_most() {
        let aggregate = aggregate(2, &[Snapshot::default(), Snapshot::default()]);
        let now = system::monotonic();
        assert_eq!(aggregate.ask(now), (1, true));
        assert!(aggregate.awaits(0) && aggregate.awaits(1));
        aggregate.publish(0, Snapshot::default(), false);
        assert!(!aggregate.awaits(0) && aggregate.awaits(1));
        assert_eq!(aggregate.ask(now + FRESH / 2), (1, false));
        assert!(!aggregate.awaits(0));
        aggregate.publish(1, Snapshot::default(), true);
        assert_eq!(aggregate.ask(now + FRESH), (2, true));
        assert!(
            aggregate.awaits(0) && !aggregate.awaits(1),
            "one that is over is asked for nothing"
        );
    }

    #[test]
    fn a_worker_that_was_asked_long_ago_is_stuck() {
        let aggregate = aggregate(2, &[Snapshot::default(), Snapshot::default()]);
        let now = system::monotonic();
        let later = now + STUCK + Duration::from_secs(1);
        assert_eq!(aggregate.seen(later).stuck, None, "nobody has asked");
        aggregate.ask(now);
        aggregate.publish(0, Snapshot::default(), false);
        aggregate.ask(now + STUCK);
        assert_eq!(aggregate.seen(now + STUCK).stuck, None);
        assert_eq!(aggregate.seen(later).stuck, Some((1, later - now)));
        aggregate.publish(1, Snapshot::default(), false);
        assert_eq!(aggregate.seen(later).stuck, None);
    }

    #[test]
    fn what_was_loaded_at_the_start_is_in_force_until_a_reload_succeeds() {
        let at = |second| SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        let now = system::monotonic();
        let aggregate = Aggregate::new(1, Vec::new(), at(1), now);
        assert_eq!(aggregate.seen(now).in_force_since(), at(1));
        aggregate.set_reloads(Reloads { in_force_since: Some(at(3)), ..Reloads::default() });
        assert_eq!(aggregate.seen(now).in_force_since(), at(3));
    }
}
