//! How a reply with a fault is sent: when, in which pieces, and what comes after it.

use crate::faults::message::{MessageFault, Outcome, Pace};
use crate::faults::part::part_of;
use crate::faults::random::Random;
use crate::reactor::instant::Instant;

/// A reply that is being sent with a fault, or something else that waits in its place. The bytes
/// are in the backlog of the connection.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// Nothing is sent before.
    due: Instant,
    pace: Pace,
    /// What is left of the piece that is being sent.
    piece: usize,
    end: DeliveryEnd,
}

/// What comes after a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeliveryEnd {
    Continue,
    Close,
    Reset,
}

/// What can be done for a reply now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeliveryStep {
    Wait(Instant),
    /// Send so many bytes.
    Send(usize),
    /// Everything was sent.
    End(DeliveryEnd),
}

impl Delivery {
    /// Nothing but a pause until then.
    pub(crate) fn pause(due: Instant) -> Self {
        Self { due, pace: Pace::Whole, piece: 0, end: DeliveryEnd::Continue }
    }

    /// The delivery of a reply of this length, not before it is due.
    pub(crate) fn new(fault: &MessageFault, due: Instant, length: usize) -> Self {
        let end = match fault.outcome {
            Outcome::Reply | Outcome::Mute => DeliveryEnd::Continue,
            Outcome::CloseBefore | Outcome::CloseAfter | Outcome::Truncate(_) => DeliveryEnd::Close,
            Outcome::Reset => DeliveryEnd::Reset,
        };
        let piece = match fault.pace {
            Pace::Stall { part, .. } => part_of(length, part),
            Pace::Whole | Pace::Drip { .. } | Pace::Slice { .. } => 0,
        };
        Self { due, pace: fault.pace, piece, end }
    }

    /// What can be done now, while so many bytes are unsent.
    pub(super) fn next(
        &mut self,
        now: Instant,
        unsent: usize,
        random: &mut Random,
    ) -> DeliveryStep {
        if now < self.due {
            return DeliveryStep::Wait(self.due);
        }
        if unsent == 0 {
            return DeliveryStep::End(self.end);
        }
        if self.piece == 0 {
            self.piece = match self.pace {
                Pace::Whole => unsent,
                Pace::Drip { bytes, .. } => bytes,
                Pace::Slice { least, most } => random.between(least, most),
                Pace::Stall { time, .. } => {
                    self.pace = Pace::Whole;
                    self.due = now + time;
                    return DeliveryStep::Wait(self.due);
                }
            };
        }
        DeliveryStep::Send(self.piece.min(unsent))
    }

    /// So many bytes were sent, and so many are still unsent.
    pub(super) fn sent(&mut self, bytes: usize, unsent: usize, now: Instant) {
        self.piece = if unsent == 0 { 0 } else { self.piece.saturating_sub(bytes) };
        if let Pace::Drip { every, .. } = self.pace
            && self.piece == 0
            && unsent > 0
        {
            // From when it was due, so that the pauses don't add up to more; but never in a burst.
            let next = self.due + every;
            self.due = if next < now { now + every } else { next };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::after(Duration::from_millis(millis))
    }

    /// When how much of a reply of 100 bytes is sent, over a socket that takes at most 40 at once.
    fn sent(fault: &MessageFault) -> (Vec<(Instant, usize)>, DeliveryEnd) {
        let mut random = Random::of(7, 0, 0);
        let mut delivery = Delivery::new(fault, at(10), 100);
        let (mut now, mut unsent, mut sent) = (at(0), 100, Vec::new());
        loop {
            match delivery.next(now, unsent, &mut random) {
                DeliveryStep::Wait(due) => {
                    assert!(due > now);
                    now = due;
                }
                DeliveryStep::Send(bytes) => {
                    let taken = bytes.min(40);
                    unsent -= taken;
                    sent.push((now, taken));
                    delivery.sent(taken, unsent, now);
                }
                DeliveryStep::End(end) => return (sent, end),
            }
        }
    }

    #[test]
    fn replies_are_sent_at_their_pace() {
        let paced = |pace| sent(&MessageFault { pace, ..MessageFault::default() }).0;
        assert_eq!(paced(Pace::Whole), [(at(10), 40), (at(10), 40), (at(10), 20)]);
        let every = Duration::from_millis(5);
        let drip = paced(Pace::Drip { bytes: 30, every });
        assert_eq!(drip, [(at(10), 30), (at(15), 30), (at(20), 30), (at(25), 10)]);
        let time = Duration::from_secs(1);
        let stall = paced(Pace::Stall { time, part: 0.7 });
        assert_eq!(stall, [(at(10), 40), (at(10), 30), (at(1010), 30)]);
        let stall = paced(Pace::Stall { time, part: 0.0 });
        assert_eq!(stall[0], (at(1010), 40), "nothing before the pause");
        let slices = paced(Pace::Slice { least: 3, most: 9 });
        assert!(slices.iter().all(|(when, bytes)| *when == at(10) && *bytes <= 9));
        assert_eq!(slices.iter().map(|(_, bytes)| bytes).sum::<usize>(), 100);
        let least = slices[..slices.len() - 1].iter().map(|(_, bytes)| bytes).min();
        assert!(least >= Some(&3) && slices.len() > 11, "{slices:?}");
    }

    #[test]
    fn what_comes_after_a_reply_follows_from_its_fault() {
        let end = |outcome| sent(&MessageFault { outcome, ..MessageFault::default() }).1;
        assert_eq!(end(Outcome::Reply), DeliveryEnd::Continue);
        assert_eq!(end(Outcome::CloseAfter), DeliveryEnd::Close);
        assert_eq!(end(Outcome::Reset), DeliveryEnd::Reset);
    }
}
