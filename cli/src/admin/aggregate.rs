//! The stats of all workers. When a page is requested, each worker is woken and publishes its
//! stats, and the page is made of their sum.
//!
//! The workers are asked at most once a second, so that scrapers, however many, cost the clients of
//! the server next to nothing.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use countersign::stats::Stats;

use super::process::Process;
use super::report::{Labels, ListenerReport, MemoryReport, PROGRAM, StatusReport, Turns};
use crate::reload::{Reloads, Wake};
use crate::system;
use crate::units::Date;
use crate::version::{COMMIT, VERSION};

/// Stats that are younger than this are new enough.
const AGE_MAX: Duration = Duration::from_secs(1);

/// How long the workers are waited for. One that takes longer counts with its last stats.
const PUBLISH_TIMEOUT: Duration = Duration::from_millis(250);

/// A worker that has published nothing for this long since it was asked hangs.
const HUNG_AFTER: Duration = Duration::from_secs(10);

/// Where the workers publish their stats, and where the pages find the sum.
pub(crate) struct Aggregate {
    /// One for each worker.
    loops: Vec<Wake>,
    /// One for each listener.
    labels: Vec<Labels>,
    state: Mutex<AggregateState>,
    /// Notified when a worker has published.
    published: Condvar,
    started: SystemTime,
    epoch: Instant,
}

#[derive(Debug)]
struct AggregateState {
    workers: Vec<WorkerStats>,
    /// As they were when the workers were last asked: no newer than what those publish.
    reloads: Reloads,
    /// As they are now.
    newest_reloads: Reloads,
    /// The program was told to stop.
    is_draining: bool,
    /// The most memory that the admin listener can take, in bytes.
    admin_memory: usize,
    /// When the workers were last asked.
    asked: Option<Instant>,
    /// How often they were.
    generation: u64,
}

/// What one worker has published last.
#[derive(Debug, Default)]
struct WorkerStats {
    /// None until it serves.
    stats: Option<Stats>,
    /// Since when it has been asked without publishing.
    asked: Option<Instant>,
    /// Its server has stopped; it publishes nothing more.
    is_over: bool,
}

impl Aggregate {
    /// For one worker per loop, in a program that has just started.
    pub(crate) fn new(
        loops: Vec<Wake>,
        labels: Vec<Labels>,
        (started, epoch): (SystemTime, Instant),
    ) -> Self {
        let workers = loops.iter().map(|_| WorkerStats::default()).collect();
        let reloads = Reloads::none(started);
        let state = Mutex::new(AggregateState {
            workers,
            newest_reloads: reloads.clone(),
            reloads,
            is_draining: false,
            admin_memory: 0,
            asked: None,
            generation: 0,
        });
        Self { loops, labels, state, published: Condvar::new(), started, epoch }
    }

    /// Whether a worker has been asked to publish its stats.
    fn awaits(&self, worker: usize) -> bool {
        self.state().workers.get(worker).is_some_and(|worker| worker.asked.is_some())
    }

    /// Publishes the stats of a worker. One that is over is not asked again.
    fn publish(&self, worker: usize, stats: Stats, is_over: bool) {
        if let Some(worker) = self.state().workers.get_mut(worker) {
            *worker = WorkerStats { stats: Some(stats), asked: None, is_over };
        }
        self.published.notify_all();
    }

    /// Sets the most memory of the admin listener, in bytes, which is added to that of the workers.
    pub(crate) fn set_admin_memory(&self, bytes: usize) {
        self.state().admin_memory = bytes;
    }

    /// Sets the reloads, after one has succeeded or failed.
    pub(crate) fn set_reloads(&self, reloads: Reloads) {
        self.state().newest_reloads = reloads;
    }

    /// From now on new connections are rejected.
    pub(crate) fn drain(&self) {
        self.state().is_draining = true;
    }

    /// The report on the program, with the sum of what was published last.
    pub(super) fn report(&self, process: Process, wall: Duration) -> StatusReport {
        let state = self.state();
        let mut stats = Stats::default();
        state.workers.iter().filter_map(|worker| worker.stats.as_ref()).for_each(|each| {
            stats.merge(each);
        });
        let listeners = stats.listeners.iter().zip(&self.labels);
        let listeners = listeners.map(|(stats, labels)| ListenerReport::of(stats, labels, wall));
        let memory_max = stats.memory_max;
        let draining = state.is_draining || stats.is_draining;
        StatusReport {
            program: PROGRAM.to_owned(),
            version: VERSION.to_owned(),
            commit: (COMMIT != "unknown").then(|| COMMIT.to_owned()),
            pid: std::process::id(),
            started: Date(self.started),
            uptime_seconds: system::monotonic().duration_since(self.epoch).as_secs_f64(),
            workers: state.workers.len() as u64,
            ready: !draining && state.readiness().is_ok(),
            draining,
            reloads: state.reloads.clone(),
            memory: MemoryReport {
                buffered_bytes: stats.buffered() as u64,
                buffered_max_bytes: memory_max.buffered as u64,
                limit_bytes: memory_max.total.saturating_add(state.admin_memory) as u64,
            },
            turns: Turns::from(&stats.loop_times),
            process,
            listeners: listeners.collect(),
        }
    }

    /// The first worker that hangs, and for how long.
    fn hung(&self, now: Instant) -> Option<(usize, Duration)> {
        self.state().workers.iter().enumerate().find_map(|(number, worker)| {
            let silent = now.saturating_duration_since(worker.asked?);
            (worker.stats.is_some() && silent > HUNG_AFTER).then_some((number, silent))
        })
    }

    /// Makes the workers publish their stats, unless they have just done so. Returns how often they
    /// were asked: a page is made once each time.
    pub(super) fn refresh(&self) -> u64 {
        let (generation, is_new) = self.ask(system::monotonic());
        if is_new {
            self.loops.iter().for_each(|wake| wake());
            let is_awaited =
                |state: &mut AggregateState| state.workers.iter().any(|it| it.asked.is_some());
            drop(self.published.wait_timeout_while(self.state(), PUBLISH_TIMEOUT, is_awaited));
        }
        generation
    }

    /// Asks the workers, unless they were asked just now. Returns how often they were asked, and
    /// whether they were asked now.
    fn ask(&self, now: Instant) -> (u64, bool) {
        let mut state = self.state();
        let is_fresh =
            state.asked.is_some_and(|asked| now.saturating_duration_since(asked) < AGE_MAX);
        if !is_fresh {
            state.asked = Some(now);
            state.generation += 1;
            state.reloads = state.newest_reloads.clone();
            for worker in state.workers.iter_mut().filter(|worker| !worker.is_over) {
                worker.asked.get_or_insert(now);
            }
        }
        (state.generation, !is_fresh)
    }

    /// Whether every loop turns; if not, which doesn't.
    pub(super) fn health(&self) -> Result<(), String> {
        self.refresh();
        match self.hung(system::monotonic()) {
            None => Ok(()),
            Some((worker, silent)) => {
                Err(format!("worker {worker} has not finished a turn for {} s", silent.as_secs()))
            }
        }
    }

    /// Whether new connections are served; if not, why they aren't.
    pub(super) fn readiness(&self) -> Result<(), String> {
        self.state().readiness()
    }

    /// The state is consistent whenever the lock is free, so a panic elsewhere doesn't matter.
    fn state(&self) -> MutexGuard<'_, AggregateState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AggregateState {
    fn readiness(&self) -> Result<(), String> {
        let all = self.workers.len();
        match self.workers.iter().filter(|worker| worker.stats.is_some()).count() {
            _ if self.is_draining => Err("draining".to_owned()),
            serving if serving == all => Ok(()),
            serving => Err(format!("starting: {serving} of {all} workers are ready")),
        }
    }
}

/// Publishes the stats of one worker.
pub(crate) struct StatsPublisher {
    aggregate: Arc<Aggregate>,
    worker: usize,
}

impl StatsPublisher {
    /// Publishes the first stats of a worker, which serves from now on.
    pub(crate) fn begin(aggregate: &Arc<Aggregate>, worker: usize, stats: Stats) -> Self {
        aggregate.publish(worker, stats, false);
        Self { aggregate: Arc::clone(aggregate), worker }
    }

    /// Publishes the stats of the worker if it was asked to or is over; the last stats still count.
    pub(crate) fn publish(&self, is_over: bool, stats: impl FnOnce() -> Stats) {
        if is_over || self.aggregate.awaits(self.worker) {
            self.aggregate.publish(self.worker, stats(), is_over);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The sum of this many workers, the first of which have published these.
    pub(crate) fn aggregate(workers: usize, published: &[Stats]) -> Aggregate {
        let loops = (0..workers).map(|_| Arc::new(|| {}) as Wake).collect();
        let labels = Labels { dialect: "countersign/1", framing: "lines", service: "echo" };
        let listeners = published.first().map_or(0, |stats| stats.listeners.len());
        let start = (SystemTime::UNIX_EPOCH + Duration::from_secs(1), system::monotonic());
        let aggregate = Aggregate::new(loops, vec![labels; listeners], start);
        for (worker, stats) in published.iter().enumerate() {
            aggregate.publish(worker, stats.clone(), false);
        }
        aggregate
    }

    fn is_ready(aggregate: &Aggregate) -> bool {
        aggregate.report(Process::default(), Duration::ZERO).ready
    }

    #[test]
    fn it_is_ready_when_every_worker_serves_until_it_is_told_to_stop() {
        let aggregate = aggregate(2, &[Stats::default()]);
        assert_eq!(aggregate.readiness(), Err("starting: 1 of 2 workers are ready".to_owned()));
        assert!(!is_ready(&aggregate));
        aggregate.publish(1, Stats::default(), false);
        assert_eq!(aggregate.readiness(), Ok(()));
        assert!(is_ready(&aggregate));
        aggregate.drain();
        assert_eq!(aggregate.readiness(), Err("draining".to_owned()));
        assert!(!is_ready(&aggregate));
        // A worker that doesn't exist is ignored.
        aggregate.publish(2, Stats::default(), false);
        assert!(!aggregate.awaits(2));
    }

    #[test]
    fn the_workers_are_asked_once_a_second_at_most() {
        let aggregate = aggregate(2, &[Stats::default(), Stats::default()]);
        let now = system::monotonic();
        assert_eq!(aggregate.ask(now), (1, true));
        assert!(aggregate.awaits(0) && aggregate.awaits(1));
        aggregate.publish(0, Stats::default(), false);
        assert!(!aggregate.awaits(0) && aggregate.awaits(1));
        assert_eq!(aggregate.ask(now + AGE_MAX / 2), (1, false));
        assert!(!aggregate.awaits(0));
        aggregate.publish(1, Stats::default(), true);
        assert_eq!(aggregate.ask(now + AGE_MAX), (2, true));
        let (first, second) = (aggregate.awaits(0), aggregate.awaits(1));
        assert!(first && !second, "one that is over is asked for nothing");
    }

    #[test]
    fn a_worker_that_was_asked_long_ago_is_stuck() {
        let aggregate = aggregate(2, &[Stats::default(), Stats::default()]);
        let now = system::monotonic();
        let later = now + HUNG_AFTER + Duration::from_secs(1);
        assert_eq!(aggregate.hung(later), None, "nobody has asked");
        aggregate.ask(now);
        aggregate.publish(0, Stats::default(), false);
        aggregate.ask(now + HUNG_AFTER);
        assert_eq!(aggregate.hung(now + HUNG_AFTER), None);
        assert_eq!(aggregate.hung(later), Some((1, later - now)));
        aggregate.publish(1, Stats::default(), false);
        assert_eq!(aggregate.hung(later), None);
    }
}
