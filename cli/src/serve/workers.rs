//! The workers: the first on the thread of the program, the others on threads of their own.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use countersign::stats::Counters;
use countersign::{Handle, Server};
use countersign_serve::ServedService;

use super::worker::{Mailbox, Worker};
use crate::admin::Aggregate;

/// The workers beside the first. They stop when all do, and one that fails takes all with it.
pub(super) struct Workers {
    threads: Vec<WorkerThread>,
    /// The counters of the workers that have ended.
    pub(super) counters: Counters,
}

struct WorkerThread {
    number: usize,
    has_ended: Arc<AtomicBool>,
    /// None once its end was seen.
    thread: Option<JoinHandle<io::Result<Counters>>>,
}

/// Tells the first worker that another has ended, in whatever way it did.
struct ExitGuard {
    has_ended: Arc<AtomicBool>,
    first: Handle,
}

impl Drop for ExitGuard {
    fn drop(&mut self) {
        self.has_ended.store(true, Ordering::Release);
        // A loop that can't be woken sees it when it next wakes.
        let _ = self.first.wake();
    }
}

impl Workers {
    /// Starts the other workers, each with its mailbox.
    pub(super) fn begin(
        others: Vec<(Server<ServedService>, Arc<Mailbox>)>,
        first: &Handle,
        published: Option<&Arc<Aggregate>>,
    ) -> io::Result<Self> {
        let threads = (1..).zip(others).map(|(number, (server, mailbox))| {
            let has_ended = Arc::new(AtomicBool::new(false));
            let guard = ExitGuard { has_ended: Arc::clone(&has_ended), first: first.clone() };
            let published = published.cloned();
            let thread = thread::Builder::new().name(format!("worker {number}"));
            let thread = thread.spawn(move || {
                let _guard = guard;
                Worker::new(server, mailbox, Some(number), published.as_ref()).run()
            })?;
            Ok(WorkerThread { number, has_ended, thread: Some(thread) })
        });
        Ok(Self { threads: threads.collect::<io::Result<_>>()?, counters: Counters::default() })
    }

    /// Takes the counters of those that have ended; fails if one has failed.
    pub(super) fn join(&mut self) -> io::Result<()> {
        for worker in &mut self.threads {
            if !worker.has_ended.load(Ordering::Relaxed) {
                continue;
            }
            let Some(thread) = worker.thread.take() else { continue };
            let number = worker.number;
            let failed = |text: &str| io::Error::other(format!("worker {number} {text}"));
            match thread.join() {
                Ok(Ok(counters)) => self.counters.merge(&counters),
                Ok(Err(error)) => return Err(failed(&format!("has failed: {error}"))),
                Err(_panic) => return Err(failed("has panicked")),
            }
        }
        Ok(())
    }

    /// Whether all have ended.
    pub(super) fn are_done(&self) -> bool {
        self.threads.iter().all(|worker| worker.thread.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::super::builtin;
    use super::*;

    /// The error of another worker that has ended in this way.
    fn seen(
        end: impl FnOnce() -> io::Result<Counters> + Send + 'static,
    ) -> (io::Result<()>, Workers) {
        let mut server = Server::new([], builtin::service(Vec::new(), Vec::new(), (0, 0))).unwrap();
        let has_ended = Arc::new(AtomicBool::new(false));
        let guard = ExitGuard { has_ended: Arc::clone(&has_ended), first: server.handle() };
        let thread = thread::spawn(move || {
            let _guard = guard;
            end()
        });
        let thread = WorkerThread { number: 1, has_ended, thread: Some(thread) };
        let mut workers = Workers { threads: vec![thread], counters: Counters::default() };
        // It is woken; otherwise this would wait for ever.
        server.turn(None).unwrap();
        (workers.join(), workers)
    }

    #[test]
    fn a_worker_that_fails_or_panics_ends_the_process_with_an_error() {
        let error = seen(|| Err(io::Error::other("no poll"))).0.unwrap_err();
        assert_eq!(error.to_string(), "worker 1 has failed: no poll");
        let error = seen(|| std::panic::panic_any("a slip")).0.unwrap_err();
        assert_eq!(error.to_string(), "worker 1 has panicked");
    }

    #[test]
    fn what_a_worker_has_done_counts_when_it_has_stopped() {
        let mut counters = Counters::default();
        counters.accepted = 3;
        let (seen, workers) = seen(move || Ok(counters));
        assert!(seen.is_ok() && workers.are_done());
        assert_eq!(workers.counters.accepted, 3);
    }
}
