//! Reloading: what SIGHUP does, on a thread of its own.
//!
//! Reading takes its time: the keys of passphrases are stretched. So the loops go on meanwhile, and
//! are handed what was read as a whole once all of it is seen to be right.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use log::{error, info, warn};

use super::listening::Missing;
use super::mail::{Mail, Update};
use super::ready::Ready;
use super::{Settings, bounds};
use crate::cli::config::{File, Wanted};
use crate::cli::exit::{Failure, Kind, plain};
use crate::cli::system;

/// Where the settings come from.
#[derive(Debug)]
pub(super) enum Source {
    File(File),
    /// The command line and the environment alone, which stay as they are.
    Typed(Box<Settings>),
}

impl Source {
    pub(super) fn read(&self) -> Result<Wanted, Failure> {
        match self {
            Self::File(file) => file.read(),
            Self::Typed(settings) => Ok(Wanted::from((**settings).clone())),
        }
    }
}

/// How far reloading is, for those who ask on other threads.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Reloads that were asked for, and those of them that are over.
    asked: AtomicU64,
    over: AtomicU64,
    outcomes: Mutex<Outcomes>,
}

impl Progress {
    /// How many were asked for.
    pub(super) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Acquire)
    }

    /// Whether one that was asked for isn't over.
    pub(super) fn is_going(&self) -> bool {
        self.over.load(Ordering::Acquire) < self.asked.load(Ordering::Acquire)
    }

    pub(super) fn outcomes(&self) -> Outcomes {
        self.held().clone()
    }

    fn held(&self) -> MutexGuard<'_, Outcomes> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, outcome: Result<(), Failure>) {
        let mut outcomes = self.held();
        outcomes.last = Some(system::wall());
        match outcome {
            Ok(()) => {
                outcomes.succeeded += 1;
                outcomes.in_force_since = outcomes.last;
                outcomes.error = None;
                info!("reloaded");
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

/// How reloading has gone.
#[derive(Debug, Clone, Default)]
pub(super) struct Outcomes {
    pub(super) succeeded: u64,
    pub(super) failed: u64,
    /// When it was tried last.
    pub(super) last: Option<SystemTime>,
    /// When it succeeded last.
    pub(super) in_force_since: Option<SystemTime>,
    /// Why the last try has failed, if it has.
    pub(super) error: Option<String>,
}

/// What is reloaded, and for whom.
#[derive(Debug)]
pub(super) struct Reload {
    pub(super) source: Source,
    /// What is served now.
    pub(super) now: Wanted,
    pub(super) workers: Vec<Arc<Mail>>,
    pub(super) progress: Arc<Progress>,
}

/// How long a worker may take for its turn, until the log says that it takes so long.
const PATIENCE: Duration = Duration::from_secs(10);

/// The options that a reload can change, by their identifiers.
fn may_change() -> Vec<String> {
    let others = ["keys", "allow", "deny", "level", "busy_poll", "close_revoked"];
    let mut all = bounds::options();
    all.extend(others.map(str::to_owned));
    all
}

impl Reload {
    /// Begins to listen for those who want a reload.
    pub(super) fn begin(self) -> Reloader {
        Reloader { asks: None, progress: Arc::clone(&self.progress), reload: Some(self) }
    }

    fn run(mut self, asked: &Receiver<()>) {
        for () in asked {
            let progress = Arc::clone(&self.progress);
            let now = progress.asked.load(Ordering::Acquire);
            progress.note(self.once());
            progress.over.store(now, Ordering::Release);
            // Who waits for the end of it stands in the first worker's loop.
            let _ = self.workers.first().map(|mail| mail.handle().wake());
        }
    }

    /// All or nothing: what can fail comes first.
    fn once(&mut self) -> Result<(), Failure> {
        let mut wanted = self.source.read()?;
        let changes = wanted.fixed_changes(&self.now, &may_change());
        if !changes.is_empty() {
            return Err(Failure::of_all(Kind::Configuration, changes));
        }
        let listeners = std::mem::take(&mut wanted.listeners);
        let workers = self.workers.len();
        let ready = Ready::all(listeners, workers, Missing::Wrong)?;
        let (taken, takes) = channel();
        let update = Arc::new(Update {
            listeners: ready.iter().map(|ready| ready.renewed(workers)).collect(),
            busy_poll: wanted.process.busy_poll,
            closes_revoked: wanted.process.close_revoked,
            taken,
        });
        wanted.process.logging.level.set();
        for mail in &self.workers {
            // One that can't be woken takes it when it next wakes.
            let _ = mail.update(&update);
        }
        wanted.listeners = ready.into_iter().map(|ready| ready.listening).collect();
        self.now = wanted;
        // A newcomer finds what the log says, by whichever worker it comes.
        let late = (0..workers).find(|_| takes.recv_timeout(PATIENCE).is_err());
        if late.is_some() {
            warn!("a worker has not taken the new settings after {} s", PATIENCE.as_secs());
        }
        Ok(())
    }
}

/// Has the thread reload. It begins with the first time.
#[derive(Debug)]
pub(super) struct Reloader {
    asks: Option<SyncSender<()>>,
    progress: Arc<Progress>,
    reload: Option<Reload>,
}

impl Reloader {
    /// Reloads soon: once for all who ask before it has begun.
    pub(super) fn ask(&mut self) {
        self.progress.asked.fetch_add(1, Ordering::AcqRel);
        if let Some(reload) = self.reload.take() {
            let (asks, asked) = sync_channel(1);
            let thread = thread::Builder::new().name("reload".to_owned());
            match thread.spawn(move || reload.run(&asked)) {
                Ok(_) => self.asks = Some(asks),
                Err(error) => error!("cannot start the thread that reloads: {}", plain(&error)),
            }
        }
        let asked = self.asks.as_ref().map(|asks| asks.try_send(()));
        if matches!(asked, None | Some(Err(TrySendError::Disconnected(())))) {
            let text = "the thread that reloads has gone; restart the server";
            self.progress.note(Err(Failure::new(Kind::General, text)));
            let asked = self.progress.asked.load(Ordering::Acquire);
            self.progress.over.store(asked, Ordering::Release);
        }
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
        progress.note(Ok(()));
        let outcomes = progress.outcomes();
        assert_eq!((outcomes.succeeded, outcomes.failed, outcomes.error), (1, 1, None));
        assert_eq!(outcomes.in_force_since, outcomes.last);
    }
}
