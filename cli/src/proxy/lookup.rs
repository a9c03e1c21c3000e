//! The addresses of the target: resolved for each connection, on a thread of its own.
//!
//! The system's resolver blocks for as long as it needs, so it runs on a thread of its own, which
//! begins with the first lookup. Connections that come while it works share its answer.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread;

use countersign::{Address, ToAddresses as _};
use mio::Waker;

/// The target, and what is known of its addresses.
#[derive(Debug)]
pub(super) struct Lookup {
    target: String,
    /// What the last lookup that succeeded has found.
    known: Arc<[Address]>,
    /// The target is an address, so there is nothing to look up.
    is_fixed: bool,
    /// Wakes the loop when there is an answer; none until there is a loop.
    waker: Option<Arc<Waker>>,
    /// None until the first lookup.
    resolver: Option<Resolver>,
}

/// The thread that looks up.
#[derive(Debug)]
struct Resolver {
    asks: SyncSender<()>,
    answers: Receiver<io::Result<Vec<Address>>>,
    /// An answer is awaited.
    is_asked: bool,
}

/// What a lookup has come to.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) addresses: Arc<[Address]>,
    /// Why they are those of an earlier lookup, if they are.
    pub(super) failure: Option<io::Error>,
}

impl Lookup {
    /// Looks the target up for the first time, which may block.
    ///
    /// # Errors
    ///
    /// The target is invalid or unknown, or a Unix socket: a killed proxy can't reset a connection
    /// there, so a truncated stream would look complete.
    pub(super) fn new(target: &str) -> io::Result<Self> {
        let known = target.to_addresses()?;
        if known.iter().any(|address| address.ip().is_none()) {
            let text = "a connection to a Unix socket can't be reset";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        Ok(Self {
            target: target.to_owned(),
            known: known.into(),
            is_fixed: target.parse::<SocketAddr>().is_ok(),
            waker: None,
            resolver: None,
        })
    }

    /// Has the loop woken by this when there is an answer.
    pub(super) fn wake(&mut self, waker: Arc<Waker>) {
        self.waker = Some(waker);
    }

    /// The addresses, if they are known at once. Otherwise a lookup has begun, whose
    /// [answer](Self::answer) there will be when the loop is woken.
    pub(super) fn begin(&mut self) -> Option<Arc<[Address]>> {
        if !self.is_fixed {
            let resolver = match &mut self.resolver {
                Some(resolver) => Some(resolver),
                // Without a thread, what is known has to do.
                none => Resolver::begin(&self.target, self.waker.as_ref())
                    .ok()
                    .map(|new| none.insert(new)),
            };
            if resolver.is_some_and(Resolver::ask) {
                return None;
            }
        }
        Some(Arc::clone(&self.known))
    }

    /// The answer that is awaited, if it is there.
    pub(super) fn answer(&mut self) -> Option<Answer> {
        let resolver = self.resolver.as_mut().filter(|resolver| resolver.is_asked)?;
        let failure = match resolver.answers.try_recv() {
            Ok(Ok(found)) => {
                self.known = found.into();
                None
            }
            Ok(Err(error)) => Some(error),
            Err(TryRecvError::Empty) => return None,
            Err(TryRecvError::Disconnected) => Some(io::Error::other(
                "the resolver thread has \
                ended",
            )),
        };
        resolver.is_asked = false;
        Some(Answer { addresses: Arc::clone(&self.known), failure })
    }
}

impl Resolver {
    fn begin(target: &str, waker: Option<&Arc<Waker>>) -> io::Result<Self> {
        // As many as there are questions at one time, so that neither end ever waits for room.
        let ((asks, asked), (answer, answers)) = (sync_channel(1), sync_channel(1));
        let (target, waker) = (target.to_owned(), waker.cloned());
        thread::Builder::new().name("lookup".to_owned()).spawn(move || {
            for () in asked {
                let found = target.to_addresses();
                if answer.send(found).is_err() {
                    return;
                }
                // A loop that can't be woken looks when it next wakes.
                let _ = waker.as_ref().map(|waker| waker.wake());
            }
        })?;
        Ok(Self { asks, answers, is_asked: false })
    }

    /// Asks, unless an answer is awaited already. Says whether there will be one.
    fn ask(&mut self) -> bool {
        self.is_asked = self.is_asked || self.asks.try_send(()).is_ok();
        self.is_asked
    }
}
