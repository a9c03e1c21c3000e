//! Reloading: what SIGHUP does.
//!
//! Reading takes time: passphrases are stretched. So a thread reads while the loops continue, and
//! the loops get the result once all of it is valid.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use log::{error, info, warn};
use serde::{Deserialize, Serialize};

use super::exit::{Failure, Kind, describe};
use super::units::Date;
use super::{ring, system};

/// How long the loops may take to apply what was read before the log reports it.
const APPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// Wakes a loop from another thread. A loop that can't be woken continues when it next wakes by
/// itself.
pub(crate) type Wake = Arc<dyn Fn() + Send + Sync>;

/// How a reload has ended.
#[derive(Debug)]
enum Outcome {
    Applied,
    /// All but the keys: a service manager has copied them when it started the service.
    AppliedWithoutCredentials,
    Failed(Failure),
}

impl Outcome {
    /// The keys of these files were applied.
    fn applied(rings: &[PathBuf]) -> Self {
        match rings.iter().any(|path| ring::is_copied(path)) {
            true => Self::AppliedWithoutCredentials,
            false => Self::Applied,
        }
    }
}

/// The reloads so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reloads {
    pub(crate) succeeded: u64,
    pub(crate) failed: u64,
    /// When the last ended.
    pub(crate) last: Option<Date>,
    pub(crate) last_succeeded: bool,
    pub(crate) last_error: Option<String>,
    /// When what is in force was loaded.
    pub(crate) in_force_since: Date,
}

impl Reloads {
    /// None yet, in a program that has started at this time.
    pub(crate) fn none(started: SystemTime) -> Self {
        Self {
            succeeded: 0,
            failed: 0,
            last: None,
            last_succeeded: true,
            last_error: None,
            in_force_since: Date(started),
        }
    }

    /// Counts and logs a reload.
    fn record(&mut self, outcome: &Outcome) {
        let now = Date(system::wall());
        self.last = Some(now);
        self.last_succeeded = !matches!(outcome, Outcome::Failed(_));
        self.last_error = None;
        match outcome {
            Outcome::Applied => info!("reloaded"),
            Outcome::AppliedWithoutCredentials => info!(
                "reloaded, but the keys are a credential, which systemd copied when the service \
                 started: restart the service to change them"
            ),
            Outcome::Failed(failure) => {
                let text = failure.lines().collect::<Vec<_>>().join("; ");
                error!("reload failed: {text}; the old configuration is kept");
                self.last_error = Some(text);
            }
        }
        match self.last_succeeded {
            true => (self.succeeded, self.in_force_since) = (self.succeeded + 1, now),
            false => self.failed += 1,
        }
    }
}

/// The reloads of a daemon: each reads a `T` on a thread, which the loops then apply.
pub(crate) struct Reloader<T> {
    state: State<T>,
    /// One was requested, and has not begun.
    is_requested: bool,
    /// The last reload has ended, and this was not reported yet.
    has_ended: bool,
    reloads: Reloads,
}

enum State<T> {
    Idle,
    /// A thread reads, and lets go of this when it has.
    Reading(Arc<OnceLock<Result<T, Failure>>>),
    /// The loops apply what was read, with the keys of these files.
    Applying {
        pending: PendingReload,
        rings: Vec<PathBuf>,
        late: Instant,
    },
}

/// Shared by the loops that have not applied a reload yet; says what has failed.
pub(crate) type PendingReload = Arc<OnceLock<Failure>>;

/// Wakes the loop when the thread ends, in whatever way it does.
struct WakeOnDrop(Wake);

impl Drop for WakeOnDrop {
    fn drop(&mut self) {
        self.0();
    }
}

impl<T: Send + Sync + 'static> Reloader<T> {
    pub(crate) fn new(started: SystemTime) -> Self {
        let reloads = Reloads::none(started);
        Self { state: State::Idle, is_requested: false, has_ended: false, reloads }
    }

    /// The reloads so far.
    pub(crate) fn reloads(&self) -> &Reloads {
        &self.reloads
    }

    /// Requests a reload: one for all requests until it begins.
    pub(crate) fn request(&mut self) {
        self.is_requested = true;
    }

    /// Whether a reload was requested that can begin, because none is in progress.
    pub(crate) fn is_due(&self) -> bool {
        self.is_requested && matches!(self.state, State::Idle)
    }

    /// When the loops are late.
    pub(crate) fn due(&self) -> Option<Instant> {
        match self.state {
            State::Applying { late, .. } => Some(late),
            State::Idle | State::Reading(_) => None,
        }
    }

    /// Begins a reload. The loop is woken when everything was read.
    pub(crate) fn begin(
        &mut self,
        wake: Wake,
        read: impl FnOnce() -> Result<T, Failure> + Send + 'static,
    ) {
        self.is_requested = false;
        let result = Arc::new(OnceLock::new());
        let (guard, place) = (WakeOnDrop(wake), Arc::clone(&result));
        let thread = thread::Builder::new().name("reload".to_owned()).spawn(move || {
            // The loop is woken after the place is dropped.
            let (_guard, place) = (guard, place);
            // Nobody else sets it.
            let _ = place.set(read());
        });
        match thread {
            Ok(_) => self.state = State::Reading(result),
            Err(error) => {
                let text = format!("cannot start the thread that reads: {}", describe(&error));
                self.end(&Outcome::Failed(Failure::new(Kind::General, text)));
            }
        }
    }

    /// What was read, for the loops to apply. A failure ends the reload.
    pub(crate) fn read(&mut self) -> Option<T> {
        let State::Reading(result) = &mut self.state else { return None };
        let result = Arc::get_mut(result)?.take().unwrap_or_else(|| {
            Err(Failure::new(Kind::General, "the thread that reads has panicked"))
        });
        result.map_err(|failure| self.end(&Outcome::Failed(failure))).ok()
    }

    /// The loops apply what was read, with the keys of these files. Each of them drops its share of
    /// `pending` when it has, and wakes this loop.
    pub(crate) fn applying(&mut self, pending: PendingReload, rings: Vec<PathBuf>) {
        let late = system::monotonic() + APPLY_TIMEOUT;
        self.state = State::Applying { pending, rings, late };
    }

    /// The reloads so far, once after each has ended.
    pub(crate) fn ended(&mut self) -> Option<&Reloads> {
        if let State::Applying { pending, rings, late } = &mut self.state {
            let applied = || Outcome::applied(rings);
            let outcome = match Arc::get_mut(pending).map(OnceLock::take) {
                // Every loop has dropped its share.
                Some(failure) => Some(failure.map_or_else(applied, Outcome::Failed)),
                None => pending.get().cloned().map(Outcome::Failed),
            };
            let outcome = outcome.or_else(|| {
                let seconds = APPLY_TIMEOUT.as_secs();
                (system::monotonic() >= *late).then(|| {
                    warn!("a loop has not applied the new settings after {seconds} s");
                    applied()
                })
            });
            outcome.iter().for_each(|outcome| self.end(outcome));
        }
        std::mem::take(&mut self.has_ended).then_some(&self.reloads)
    }

    fn end(&mut self, outcome: &Outcome) {
        (self.state, self.has_ended) = (State::Idle, true);
        self.reloads.record(outcome);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the loop gets of the reload in progress.
    fn read(reloader: &mut Reloader<u8>) -> Option<u8> {
        while reloader.ended().is_none() {
            if let Some(read) = reloader.read() {
                return Some(read);
            }
            thread::yield_now();
        }
        None
    }

    #[test]
    fn a_reload_ends_when_every_loop_has_applied_it_and_the_next_waits_for_that() {
        let mut reloader = Reloader::new(system::wall());
        reloader.request();
        reloader.request();
        assert!(reloader.is_due());
        reloader.begin(Arc::new(|| {}), || Ok(7));
        reloader.request();
        assert!(!reloader.is_due(), "one is going on");
        assert_eq!(read(&mut reloader), Some(7));
        let first = PendingReload::default();
        let other = Arc::clone(&first);
        reloader.applying(Arc::clone(&first), Vec::new());
        drop(first);
        assert!(reloader.ended().is_none() && reloader.due().is_some());
        drop(other);
        let reloads = reloader.ended().unwrap();
        assert_eq!((reloads.succeeded, reloads.failed), (1, 0));
        assert!(reloader.ended().is_none(), "it is told once");
        assert!(reloader.is_due() && reloader.due().is_none());
    }

    #[test]
    fn a_failure_is_remembered_until_a_reload_succeeds() {
        let mut reloader = Reloader::new(SystemTime::UNIX_EPOCH);
        let lines = || vec!["garden.toml:1: a".to_owned(), "garden.toml:2: b".to_owned()];
        let failure = move || Err(Failure::of_all(Kind::Configuration, lines()));
        reloader.begin(Arc::new(|| {}), failure);
        assert_eq!(read(&mut reloader), None);
        let reloads = reloader.reloads();
        assert_eq!((reloads.succeeded, reloads.failed, reloads.last_succeeded), (0, 1, false));
        assert_eq!(reloads.last_error.as_deref(), Some("garden.toml:1: a; garden.toml:2: b"));
        assert_eq!(reloads.in_force_since, Date(SystemTime::UNIX_EPOCH));
        reloader.begin(Arc::new(|| {}), || Ok(7));
        assert_eq!(read(&mut reloader), Some(7));
        reloader.applying(PendingReload::default(), Vec::new());
        let reloads = reloader.ended().unwrap();
        assert_eq!((reloads.succeeded, reloads.failed, reloads.last_succeeded), (1, 1, true));
        assert_eq!((&reloads.last_error, reloads.last), (&None, Some(reloads.in_force_since)));
    }

    #[test]
    fn a_thread_that_panics_fails_the_reload() {
        let mut reloader = Reloader::<u8>::new(system::wall());
        reloader.begin(Arc::new(|| {}), || std::panic::panic_any("a slip"));
        assert_eq!(read(&mut reloader), None);
        let error = reloader.reloads().last_error.as_deref();
        assert_eq!(error, Some("the thread that reads has panicked"));
    }
}
