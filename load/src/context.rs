//! What all clients of a load share.

use std::sync::Arc;
use std::time::{Duration, Instant};

use countersign::{Address, FrameFormat};
use mio::Registry;

use crate::balancer::Balancer;
use crate::message_source::MessageSource;
use crate::pacer::Nanos;
use crate::payload::Payload;
use crate::plan::Plan;
use crate::report::Report;

/// What all clients share, lent to the one that is visited.
#[derive(Debug)]
pub(super) struct LoadContext {
    pub(super) plan: Plan,
    /// How messages are framed.
    pub(super) form: FrameFormat,
    /// The server closes the connection without a word when it refuses a client.
    pub(super) refuses_silently: bool,
    pub(super) payload: Payload,
    pub(super) message_source: MessageSource,
    pub(super) report: Report,
    pub(super) inbox: Box<[u8]>,
    pub(super) outbox: Vec<u8>,
    /// What a load balancer would say of the connections.
    pub(super) balancer: Option<Balancer>,
    /// How long a client pauses between a reply and its next message; zero for not at all.
    pub(super) think: Nanos,
    /// Where sockets are watched.
    pub(super) registry: Registry,
    /// When the load began.
    pub(super) epoch: Instant,
    /// The time since 1970 then, at which keys must be valid.
    pub(super) wall: Duration,
    /// Where the server may be; the address that was connected to last is the first.
    pub(super) addresses: Arc<[Address]>,
}

impl LoadContext {
    pub(super) fn instant(&self, now: Nanos) -> Instant {
        self.epoch + Duration::from_nanos(now)
    }

    /// The next client begins with an address that works.
    pub(super) fn prefer(&mut self, address: &Address) {
        if self.addresses.first() != Some(address) {
            let others = self.addresses.iter().filter(|other| *other != address);
            self.addresses = [address].into_iter().chain(others).cloned().collect();
        }
    }
}
