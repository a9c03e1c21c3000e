//! The addresses of the target: resolved for each connection, on a thread of its own.
//!
//! The system's resolver blocks for as long as it needs, so each lookup has a thread of its own.
//! Connections that are accepted in the meantime share its answer.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
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
    /// Where the answer is, once the thread of the lookup in progress has let go of it.
    pending: Option<Arc<OnceLock<io::Result<Vec<Address>>>>>,
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

    fn start(&self) -> io::Result<Arc<OnceLock<io::Result<Vec<Address>>>>> {
        let pending = Arc::new(OnceLock::new());
        let answer = Arc::clone(&pending);
        let (target, waker) = (self.target.clone(), self.waker.clone());
        thread::Builder::new().name("lookup".to_owned()).spawn(move || {
            // Nobody else sets it.
            let _ = answer.set(target.to_addresses().map_err(io::Error::from));
            drop(answer);
            // A loop that can't be woken looks when it next wakes.
            let _ = waker.map(|waker| waker.wake());
        })?;
        Ok(pending)
    }

    /// The awaited answer, if it has arrived.
    pub(crate) fn answer(&mut self) -> Option<Answer> {
        let failure = match Arc::get_mut(self.pending.as_mut()?)?.take() {
            Some(Ok(found)) => {
                self.known = found.into();
                None
            }
            Some(Err(error)) => Some(error),
            None => Some(io::Error::other("the resolver thread has ended")),
        };
        self.pending = None;
        Some(Answer { addresses: Arc::clone(&self.known), failure })
    }
}
