//! Reloading: what SIGHUP does, on a thread of its own.
//!
//! Reading takes its time: the keys of passphrases are stretched. So the loops go on meanwhile, and
//! are handed what was read as a whole once all of it is seen to be right.

use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use log::{error, info};

use super::exit::{Failure, Kind, plain};
use super::{ring, system};

/// How long a loop may take for its turn, until the log says that it takes so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// What is done at each reload.
pub(crate) trait Task: Debug + Send + 'static {
    /// Reads everything again and hands it to the loops: all or nothing, so what can fail comes
    /// first.
    fn once(&mut self) -> Result<(), Failure>;

    /// The files that the keys in force are from.
    fn rings(&self) -> Vec<PathBuf>;

    /// Wakes the loop in which the end of the reload is waited for.
    fn wake(&self);
}

/// How far reloading is, for those who ask on other threads.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Reloads that were asked for, and those of them that are over.
    asked: AtomicU64,
    over: AtomicU64,
    outcomes: Mutex<Outcomes>,
}

impl Progress {
    /// How many were asked for.
    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Acquire)
    }

    /// Whether one that was asked for isn't over.
    pub(crate) fn is_going(&self) -> bool {
        self.over.load(Ordering::Acquire) < self.asked.load(Ordering::Acquire)
    }

    pub(crate) fn outcomes(&self) -> Outcomes {
        self.held().clone()
    }

    fn held(&self) -> MutexGuard<'_, Outcomes> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, outcome: Result<Taken, Failure>) {
        let mut outcomes = self.held();
        outcomes.last = Some(system::wall());
        match outcome {
            Ok(taken) => {
                outcomes.succeeded += 1;
                outcomes.in_force_since = outcomes.last;
                outcomes.error = None;
                info!("{}", taken.text());
            }
            Err(failure) => {
                let text = failure.lines().collect::<Vec<_>>().join("; ");
                error!("reload failed: {text}; the old configuration is kept");
                outcomes.failed += 1;
                outcomes.error = Some(text);
            }
        }
    }
}

/// What was taken at a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    Everything,
    /// All but the keys: a service manager has copied them when it started the service.
    AllButCredentials,
}

impl Taken {
    fn with_rings(rings: &[PathBuf]) -> Self {
        match rings.iter().any(|path| ring::is_copied(path)) {
            true => Self::AllButCredentials,
            false => Self::Everything,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Everything => "reloaded",
            Self::AllButCredentials => {
                "reloaded, but the keys are a credential, which systemd copied when the service \
                 started: restart the service to change them"
            }
        }
    }
}

/// How reloading has gone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcomes {
    pub(crate) succeeded: u64,
    pub(crate) failed: u64,
    /// When it was tried last.
    pub(crate) last: Option<SystemTime>,
    /// When it succeeded last.
    pub(crate) in_force_since: Option<SystemTime>,
    /// Why the last try has failed, if it has.
    pub(crate) error: Option<String>,
}

/// Has the thread reload. It begins with the first time.
#[derive(Debug)]
pub(crate) struct Reloader {
    asks: Option<SyncSender<()>>,
    progress: Arc<Progress>,
    /// None once the thread has it.
    task: Option<Box<dyn Task>>,
}

impl Reloader {
    pub(crate) fn new(task: impl Task, progress: Arc<Progress>) -> Self {
        Self { asks: None, progress, task: Some(Box::new(task)) }
    }

    /// Reloads soon: once for all who ask before it has begun.
    pub(crate) fn ask(&mut self) {
        self.progress.asked.fetch_add(1, Ordering::AcqRel);
        if let Some(task) = self.task.take() {
            let (asks, asked) = sync_channel(1);
            let progress = Arc::clone(&self.progress);
            let thread = thread::Builder::new().name("reload".to_owned());
            match thread.spawn(move || run(task, &progress, &asked)) {
                Ok(_) => self.asks = Some(asks),
                Err(error) => error!("cannot start the reload thread: {}", plain(&error)),
            }
        }
        let asked = self.asks.as_ref().map(|asks| asks.try_send(()));
        if matches!(asked, None | Some(Err(TrySendError::Disconnected(())))) {
            let text = "the reload thread has ended; restart the program";
            self.progress.note(Err(Failure::new(Kind::General, text)));
            let asked = self.progress.asked.load(Ordering::Acquire);
            self.progress.over.store(asked, Ordering::Release);
        }
    }
}

fn run(mut task: Box<dyn Task>, progress: &Progress, asked: &Receiver<()>) {
    for () in asked {
        let now = progress.asked.load(Ordering::Acquire);
        let outcome = task.once();
        progress.note(outcome.map(|()| Taken::with_rings(&task.rings())));
        progress.over.store(now, Ordering::Release);
        task.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reload_goes_on_until_the_last_that_was_asked_for_is_over() {
        let progress = Progress::default();
        assert!(!progress.is_going());
        progress.asked.fetch_add(2, Ordering::AcqRel);
        progress.over.store(1, Ordering::Release);
        assert!(progress.is_going());
        progress.over.store(2, Ordering::Release);
        assert!(!progress.is_going());
    }

    #[test]
    fn a_failure_is_remembered_until_a_reload_succeeds() {
        let progress = Progress::default();
        let lines = vec!["garden.toml:1: a".to_owned(), "garden.toml:2: b".to_owned()];
        progress.note(Err(Failure::of_all(Kind::Configuration, lines)));
        let outcomes = progress.outcomes();
        assert_eq!((outcomes.succeeded, outcomes.failed), (0, 1));
        assert!(outcomes.last.is_some() && outcomes.in_force_since.is_none());
        assert_eq!(outcomes.error.as_deref(), Some("garden.toml:1: a; garden.toml:2: b"));
        progress.note(Ok(Taken::Everything));
        let outcomes = progress.outcomes();
        assert_eq!((outcomes.succeeded, outcomes.failed, outcomes.error), (1, 1, None));
        assert_eq!(outcomes.in_force_since, outcomes.last);
    }
}
