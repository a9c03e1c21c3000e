//! The services of the program, as one: a connection gets the service of its listener.

use countersign::services::{Echo, Messages, Processed, Timestamp};
use countersign::{Peer, Reply, Service};

/// What one listener serves; every connection keeps a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceState {
    /// Stamps in local time.
    Local,
    /// Stamps in UTC.
    Utc,
    /// Each message comes back.
    Echo,
    /// Messages are not answered.
    Discard,
    /// Only the handshake: verified peers are announced.
    Verdict,
}

/// The services of all listeners.
#[derive(Debug)]
pub struct AnyService {
    local: Timestamp,
    utc: Timestamp,
    /// What each listener serves, in their order.
    served: Vec<ServiceState>,
    announce: fn(&Peer<'_>),
}

impl AnyService {
    /// What each listener serves, in their order, and what announces a peer of a
    /// [`Verdict`](ServiceState::Verdict).
    #[must_use]
    pub fn new(served: Vec<ServiceState>, announce: fn(&Peer<'_>)) -> Self {
        Self { local: Timestamp::local(), utc: Timestamp::utc(), served, announce }
    }

    /// The other services, in a function of their own, so that only the usual ones are inlined into
    /// the loop.
    #[inline(never)]
    fn other(&mut self, served: ServiceState, message: &[u8], reply: &mut Reply<'_>) {
        match served {
            ServiceState::Local | ServiceState::Discard | ServiceState::Verdict => {}
            ServiceState::Utc => self.utc.message(&mut (), message, reply),
            ServiceState::Echo => Echo.message(&mut (), message, reply),
        }
    }
}

impl Service for AnyService {
    type State = ServiceState;

    fn open(&mut self, peer: &Peer<'_>, _reply: &mut Reply<'_>) -> ServiceState {
        let served = self.served.get(peer.listener().index()).copied();
        let served = served.unwrap_or(ServiceState::Discard);
        if served == ServiceState::Verdict {
            (self.announce)(peer);
        }
        served
    }

    #[inline(always)]
    fn message(&mut self, served: &mut ServiceState, message: &[u8], reply: &mut Reply<'_>) {
        match served {
            ServiceState::Local => self.local.message(&mut (), message, reply),
            _ => self.other(*served, message, reply),
        }
    }

    #[inline(always)]
    fn messages(&mut self, served: &mut ServiceState, messages: Messages<'_>) -> Processed {
        match served {
            ServiceState::Local => self.local.messages(&mut (), messages),
            ServiceState::Echo => Echo.messages(&mut (), messages),
            _ => messages.for_each(|message, reply| self.other(*served, message, reply)),
        }
    }
}
