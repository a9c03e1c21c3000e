//! A server of the library on a thread of its own, which ends with the test.

use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread::{self, JoinHandle};

use countersign::stats::Counters;
use countersign::{Address, Handle, Limits, ListenerConfig, Server, ServerConfig, Service};

use crate::progress::{PATIENCE, Progress};

/// A server on a thread of its own, which ends with this.
pub(crate) struct ServerThread {
    pub(crate) address: SocketAddr,
    pub(crate) handle: Handle,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What the server's thread publishes after every turn.
#[derive(Default)]
struct Shared {
    /// How many turns there were, and what was counted in them.
    turns: Mutex<(u64, Counters)>,
    changed: Condvar,
}

impl ServerThread {
    pub(crate) fn start<S>(config: impl Into<Arc<ServerConfig>>, limits: Limits, service: S) -> Self
    where
        S: Service + Send + 'static,
    {
        Self::start_also_at(Vec::new(), config, limits, service)
    }

    /// One that listens at these addresses too.
    pub(crate) fn start_also_at<S>(
        addresses: Vec<Address>,
        config: impl Into<Arc<ServerConfig>>,
        limits: Limits,
        service: S,
    ) -> Self
    where
        S: Service + Send + 'static,
    {
        let listener = ListenerConfig::new(config).with_limits(limits).bind("127.0.0.1:0").unwrap();
        let listener = addresses.iter().try_fold(listener, ListenerConfig::bind).unwrap();
        Self::start_at(listener, service)
    }

    /// One with this listener, whose first address is one of IP.
    pub(crate) fn start_at<S>(listener: ListenerConfig, service: S) -> Self
    where
        S: Service + Send + 'static,
    {
        let (started, starting) = mpsc::channel();
        let shared = Arc::new(Shared::default());
        let publisher = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            let mut server = Server::new([listener], service).unwrap();
            started.send((server.addresses()[0].ip().unwrap(), server.handle())).unwrap();
            while !server.is_finished() {
                server.turn(None).unwrap();
                let mut turns = publisher.turns.lock().unwrap();
                *turns = (turns.0 + 1, server.counters());
                publisher.changed.notify_all();
            }
        });
        let (address, handle) = starting.recv_timeout(PATIENCE).unwrap();
        Self { address, handle, shared, thread: Some(thread) }
    }

    /// Waits until the counters are so.
    pub(crate) fn until(&self, what: &str, is_so: impl Fn(&Counters) -> bool) -> Counters {
        // The turn that is under way may have looked before the caller did what it did.
        for _ in 0..2 {
            let before = self.shared.turns.lock().unwrap().0;
            self.handle.wake().unwrap();
            self.wait("another turn", |(turns, _)| *turns > before);
        }
        self.wait(what, |(_, counters)| is_so(counters))
    }

    fn wait(&self, what: &str, is_so: impl Fn(&(u64, Counters)) -> bool) -> Counters {
        let mut turns = self.shared.turns.lock().unwrap();
        let mut progress = Progress::since(turns.1.clone());
        let mut continues = true;
        while !is_so(&turns) && continues {
            (turns, _) = self.shared.changed.wait_timeout(turns, PATIENCE).unwrap();
            continues = progress.continues(turns.1.clone());
        }
        let (came, counters) = (is_so(&turns), turns.1.clone());
        // A thread that panics with the lock in its hand takes the server's down with it.
        drop(turns);
        assert!(came, "never {what}: {counters:?}");
        counters
    }

    /// What is counted, with all that has happened until now.
    pub(crate) fn counted(&self) -> Counters {
        self.until("", |_| true)
    }

    /// Stops gracefully, and says what the server has done.
    pub(crate) fn stop(mut self) -> Counters {
        self.handle.drain().unwrap();
        self.join();
        self.shared.turns.lock().unwrap().1.clone()
    }

    fn join(&mut self) {
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(!matches!(ended, Some(Err(_))), "the server's thread has panicked");
    }
}

impl Drop for ServerThread {
    fn drop(&mut self) {
        let stopped = self.handle.stop();
        // A test that has failed says so, and nothing else.
        if !thread::panicking() {
            stopped.unwrap();
            self.join();
        }
    }
}
