//! The faults of one connection.

use std::time::Duration;

use crate::faults::delivery::{Delivery, DeliveryStep};
use crate::faults::message::MessageFault;
use crate::faults::random::Random;
use crate::faults::spec::{Fault, Faults};
use crate::reactor::instant::Instant;

/// The faults of one connection.
#[derive(Debug)]
pub(super) struct ConnectionFaults {
    random: Random,
    /// Those of the next message, once they are drawn, and the version of the specification that
    /// they were drawn from.
    next: Option<(u64, MessageFault)>,
    /// How late the server answers the proof.
    handshake_delay: Option<Duration>,
    delivery: Option<Delivery>,
    /// When its reply is sent in the schedule of a rate, until it was.
    pub(super) place: Option<Instant>,
}

/// The faults of a connection that has just been accepted.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct AcceptFault {
    pub(crate) is_refused: bool,
    pub(crate) delay: Option<Duration>,
}

impl ConnectionFaults {
    pub(super) fn new(random: Random) -> Self {
        Self { random, next: None, handshake_delay: None, delivery: None, place: None }
    }

    /// Draws the faults that the connection itself has.
    pub(super) fn accept(&mut self, faults: &Faults) -> AcceptFault {
        let mut drawn = AcceptFault::default();
        for clause in &faults.clauses {
            match &clause.fault {
                Fault::AcceptDelay(times) => drawn.delay = times.draw(&mut self.random),
                Fault::HandshakeDelay(times) => {
                    self.handshake_delay = times.draw(&mut self.random);
                }
                Fault::Refuse => drawn.is_refused = self.random.hits(clause.percent),
                _ => {}
            }
        }
        drawn
    }

    /// How late the server answers the proof; returned once.
    pub(super) fn take_handshake_delay(&mut self) -> Option<Duration> {
        self.handshake_delay.take()
    }

    /// The faults of the next message, if it has any.
    pub(super) fn next(&mut self, version: u64, faults: &Faults) -> Option<MessageFault> {
        let next = match self.next.filter(|(of, _)| *of == version) {
            Some((_, next)) => next,
            None => MessageFault::draw(faults, &mut self.random),
        };
        self.next = Some((version, next));
        (!next.is_none()).then_some(next)
    }

    /// The next message has come.
    pub(super) fn advance(&mut self) {
        self.next = None;
    }

    pub(super) fn begin(&mut self, delivery: Delivery) {
        self.delivery = Some(delivery);
    }

    /// What can be done for the reply that is being sent, of which so many bytes are unsent. At its
    /// end it is forgotten.
    pub(super) fn step(&mut self, now: Instant, unsent: usize) -> Option<DeliveryStep> {
        let Self { random, delivery, place, .. } = self;
        let step = delivery.as_mut()?.next(now, unsent, random);
        if let DeliveryStep::End(_) = step {
            *delivery = None;
            *place = None;
        }
        Some(step)
    }

    pub(super) fn sent(&mut self, bytes: usize, unsent: usize, now: Instant) {
        if let Some(delivery) = &mut self.delivery {
            delivery.sent(bytes, unsent, now);
        }
    }
}
