//! A service whose server injects faults.

use std::time::Duration;

use crate::contract::close::CloseReason;
use crate::contract::listener_id::ListenerId;
use crate::contract::messages::{Messages, Processed};
use crate::contract::peer::Peer;
use crate::contract::reply::Reply;
use crate::contract::service::Service;
use crate::faults::injector::Injector;
use crate::faults::random::mixed;
use crate::faults::spec::Faults;

/// A service whose server injects [`Faults`]. The service itself notices nothing of them.
///
/// Faults of the wire lie below the framing, so only a server injects them: a
/// [`Loopback`](crate::Loopback) doesn't.
#[derive(Debug)]
pub struct Faulty<S> {
    service: S,
    injector: Injector,
    /// Whether there are faults, or were any.
    is_on: bool,
}

impl<S> Faulty<S> {
    /// A service with these faults at all listeners, drawn from the seed 0.
    #[must_use]
    pub fn new(service: S, faults: Faults) -> Self {
        let injector = Injector::new(faults);
        Self { service, is_on: injector.is_used(), injector }
    }

    /// A service with faults of their own at the listeners of a server, in their order.
    #[must_use]
    pub fn of_listeners(service: S, faults: impl IntoIterator<Item = Faults>) -> Self {
        let injector = Injector::of_listeners(faults);
        Self { service, is_on: injector.is_used(), injector }
    }

    /// Sets the seed that the faults are drawn from.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.injector.set_seed(seed);
        self
    }

    /// Sets the seed for one of several servers that share the work: each draws other faults. The
    /// first draws those of [`with_seed`](Self::with_seed).
    #[must_use]
    pub fn with_seed_of(self, seed: u64, server: usize) -> Self {
        self.with_seed(if server == 0 { seed } else { mixed(seed ^ mixed(server as u64)) })
    }

    /// Replaces the faults of a listener. The new ones apply to connections that are accepted from
    /// now on, and to the next messages of open ones; what has begun ends as it was to.
    pub fn replace_faults(&mut self, listener: ListenerId, faults: Faults) {
        self.injector.replace(listener, faults);
        self.is_on |= self.injector.is_used();
    }

    /// The service.
    #[must_use]
    pub fn service(&self) -> &S {
        &self.service
    }

    /// The service, to change it.
    pub fn service_mut(&mut self) -> &mut S {
        &mut self.service
    }
}

impl<S: Service> Service for Faulty<S> {
    type State = S::State;

    fn open(&mut self, peer: &Peer<'_>, reply: &mut Reply<'_>) -> S::State {
        self.service.open(peer, reply)
    }

    #[inline(always)]
    fn message(&mut self, state: &mut S::State, message: &[u8], reply: &mut Reply<'_>) {
        self.service.message(state, message, reply);
    }

    #[inline(always)]
    fn messages(&mut self, state: &mut S::State, messages: Messages<'_>) -> Processed {
        self.service.messages(state, messages)
    }

    #[inline(always)]
    fn ended(&mut self, state: &mut S::State, reply: &mut Reply<'_>) {
        self.service.ended(state, reply);
    }

    #[inline(always)]
    fn wake_after(&mut self, state: &mut S::State) -> Option<Duration> {
        self.service.wake_after(state)
    }

    fn wake(&mut self, state: &mut S::State, reply: &mut Reply<'_>) {
        self.service.wake(state, reply);
    }

    fn close(&mut self, state: S::State, why: CloseReason) {
        self.service.close(state, why);
    }

    #[inline(always)]
    fn injector(&self) -> Option<&Injector> {
        self.is_on.then_some(&self.injector)
    }

    #[inline(always)]
    fn injector_mut(&mut self) -> Option<&mut Injector> {
        self.is_on.then_some(&mut self.injector)
    }
}
