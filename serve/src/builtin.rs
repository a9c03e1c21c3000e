//! The services of the program, as one: a connection gets the service of its listener.

use std::time::Duration;

use countersign::services::{ByteSource, Echo, Messages, Processed, Sink, Size, Timestamp};
use countersign::{CloseReason, ListenerId, Peer, Reply, Service};

use crate::sinks::{SinkPlace, Sinks};

/// What one listener serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenerService {
    /// Stamps in local time.
    Local,
    /// Stamps in UTC.
    Utc,
    /// Each message comes back.
    Echo,
    /// Messages are not answered.
    Discard,
    /// The same, and a peer that ends its stream is sent the number of their bytes.
    Sink,
    /// Each message is answered with so many bytes.
    Size(usize),
    /// So many bytes a second are sent.
    Source(u64),
    /// Only the handshake: verified peers are announced.
    Verdict,
}

/// What one connection is served. It is small, because every connection keeps one.
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
    /// Their bytes are counted.
    Sink(SinkPlace),
    /// What this listener serves, which has a number.
    Numbered(ListenerId),
}

/// The services of all listeners.
#[derive(Debug)]
pub struct AnyService {
    local: Timestamp,
    utc: Timestamp,
    /// What each listener serves, in their order.
    served: Vec<ListenerService>,
    sinks: Sinks,
    announce: fn(&Peer<'_>),
}

impl AnyService {
    /// What each listener serves, in their order, and what announces a peer of a
    /// [`Verdict`](ListenerService::Verdict).
    #[must_use]
    pub fn new(served: Vec<ListenerService>, announce: fn(&Peer<'_>)) -> Self {
        let (local, utc) = (Timestamp::local(), Timestamp::utc());
        Self { local, utc, served, sinks: Sinks::default(), announce }
    }

    fn served(&self, listener: ListenerId) -> ListenerService {
        self.served.get(listener.index()).copied().unwrap_or(ListenerService::Discard)
    }

    /// What a listener sends of its own, if it does.
    #[cold]
    #[inline(never)]
    fn source(&self, listener: ListenerId) -> Option<ByteSource> {
        match self.served(listener) {
            ListenerService::Source(rate) => Some(ByteSource::new(rate)),
            _ => None,
        }
    }

    /// Opens a connection that isn't served as most are.
    #[cold]
    #[inline(never)]
    fn open_other(&mut self, served: ListenerService, peer: &Peer<'_>) -> ServiceState {
        match served {
            ListenerService::Local => ServiceState::Local,
            ListenerService::Utc => ServiceState::Utc,
            ListenerService::Echo => ServiceState::Echo,
            ListenerService::Discard => ServiceState::Discard,
            ListenerService::Sink => ServiceState::Sink(self.sinks.enter()),
            ListenerService::Size(_) | ListenerService::Source(_) => {
                ServiceState::Numbered(peer.listener())
            }
            ListenerService::Verdict => {
                (self.announce)(peer);
                ServiceState::Discard
            }
        }
    }

    /// The other services, in a function of their own, so that only the usual ones are inlined into
    /// the loop.
    #[inline(never)]
    fn other(&mut self, served: ServiceState, message: &[u8], reply: &mut Reply<'_>) {
        match served {
            ServiceState::Local | ServiceState::Discard => {}
            ServiceState::Utc => self.utc.message(&mut (), message, reply),
            ServiceState::Echo => Echo.message(&mut (), message, reply),
            ServiceState::Sink(place) => {
                Sink.message(self.sinks.count(place), message, reply);
            }
            ServiceState::Numbered(listener) => {
                if let ListenerService::Size(length) = self.served(listener) {
                    Size(length).message(&mut (), message, reply);
                }
            }
        }
    }
}

impl Service for AnyService {
    type State = ServiceState;

    fn open(&mut self, peer: &Peer<'_>, _reply: &mut Reply<'_>) -> ServiceState {
        match self.served(peer.listener()) {
            ListenerService::Local => ServiceState::Local,
            ListenerService::Echo => ServiceState::Echo,
            other => self.open_other(other, peer),
        }
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

    fn ended(&mut self, served: &mut ServiceState, reply: &mut Reply<'_>) {
        if let ServiceState::Sink(place) = *served {
            Sink.ended(self.sinks.count(place), reply);
        }
    }

    #[inline]
    fn wake_after(&mut self, served: &mut ServiceState) -> Option<Duration> {
        match *served {
            ServiceState::Numbered(listener) => self.source(listener)?.wake_after(&mut ()),
            _ => None,
        }
    }

    fn wake(&mut self, served: &mut ServiceState, reply: &mut Reply<'_>) {
        if let ServiceState::Numbered(listener) = *served
            && let Some(mut source) = self.source(listener)
        {
            source.wake(&mut (), reply);
        }
    }

    #[inline]
    fn close(&mut self, served: ServiceState, _why: CloseReason) {
        if let ServiceState::Sink(place) = served {
            self.sinks.leave(place);
        }
    }
}
