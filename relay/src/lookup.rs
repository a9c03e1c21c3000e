//! The addresses of the target: resolved for each connection, on a thread of its own.
//!
//! The system's resolver blocks for as long as it needs, so each lookup has a thread of its own.
//! Connections that are accepted in the meantime share its answer.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::thread;

use countersign::{Address, ToAddresses as _};
use mio::Waker;

/// The target and its addresses, as far as they are known.
#[derive(Debug)]
pub struct RelayTarget {
    target: String,
    /// The result of the last successful lookup.
    known: Arc<[Address]>,
    /// The target is an address, so there is nothing to look up.
    is_fixed: bool,
    /// Wakes the loop when there is an answer; none until there is a loop.
    waker: Option<Arc<Waker>>,
    /// Where the answer arrives, while a lookup is in progress.
    pending: Option<Receiver<io::Result<Vec<Address>>>>,
}

/// The result of a lookup.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) addresses: Arc<[Address]>,
    /// Why they are those of an earlier lookup, if they are.
    pub(crate) failure: Option<io::Error>,
}

impl RelayTarget {
    /// Looks the target up for the first time, which may block.
    ///
    /// # Errors
    ///
    /// The target is invalid or unknown, or a Unix socket: a killed proxy can't reset a connection
    /// there, so a truncated stream would look complete.
    pub fn new(target: &str) -> io::Result<Self> {
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
            pending: None,
        })
    }

    /// Sets what wakes the loop when there is an answer.
    pub(crate) fn wake(&mut self, waker: Arc<Waker>) {
        self.waker = Some(waker);
    }

    /// The addresses, if they are known at once. Otherwise a lookup has begun, whose
    /// [answer](Self::answer) there will be when the loop is woken.
    pub(crate) fn begin(&mut self) -> Option<Arc<[Address]>> {
        if !self.is_fixed && self.pending.is_none() {
            // Without a thread, the addresses of the last lookup are used.
            self.pending = self.start().ok();
        }
        self.pending.is_none().then(|| Arc::clone(&self.known))
    }

    fn start(&self) -> io::Result<Receiver<io::Result<Vec<Address>>>> {
        // With room for the answer, the thread never waits for the loop.
        let (answer, answers) = sync_channel(1);
        let (target, waker) = (self.target.clone(), self.waker.clone());
        thread::Builder::new().name("lookup".to_owned()).spawn(move || {
            // The loop may have ended, which then needs no answer.
            let _ = answer.send(target.to_addresses().map_err(io::Error::from));
            // A loop that can't be woken looks when it next wakes.
            let _ = waker.map(|waker| waker.wake());
        })?;
        Ok(answers)
    }

    /// The awaited answer, if it has arrived.
    pub(crate) fn answer(&mut self) -> Option<Answer> {
        let failure = match self.pending.as_ref()?.try_recv() {
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
        self.pending = None;
        Some(Answer { addresses: Arc::clone(&self.known), failure })
    }
}
