//! The faults of one message.

use std::time::Duration;

use crate::faults::kind::FaultKind;
use crate::faults::random::Random;
use crate::faults::spec::{Fault, Faults};

/// What goes wrong with one message and its reply.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct MessageFault {
    /// How much later the reply is sent.
    pub(crate) delay: Option<Duration>,
    /// The reply waits for its place in the schedule of this rate.
    pub(crate) rate: Option<f64>,
    pub(crate) outcome: Outcome,
    /// A bit of the reply is flipped: how far behind the front it is, from 0 to 1.
    pub(crate) corrupt: Option<f64>,
    pub(crate) pace: Pace,
}

/// What becomes of a message and its reply.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) enum Outcome {
    /// The reply is sent.
    #[default]
    Reply,
    /// The reply is not sent.
    Mute,
    /// The connection is reset, and the reply not sent.
    Reset,
    /// The connection is closed, and the service doesn't get the message.
    CloseBefore,
    /// The reply is sent, and then the connection is closed.
    CloseAfter,
    /// This part of the reply is sent, and then the connection is closed.
    Truncate(f64),
}

impl Outcome {
    /// The kind of fault, unless there is none.
    pub(crate) fn kind(self) -> Option<FaultKind> {
        Some(match self {
            Self::Reply => return None,
            Self::Mute => FaultKind::Mute,
            Self::Reset => FaultKind::Reset,
            Self::CloseBefore => FaultKind::CloseBefore,
            Self::CloseAfter => FaultKind::CloseAfter,
            Self::Truncate(_) => FaultKind::Truncate,
        })
    }
}

/// How fast a reply is sent.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) enum Pace {
    #[default]
    Whole,
    Drip {
        bytes: usize,
        every: Duration,
    },
    Slice {
        least: usize,
        most: usize,
    },
    /// This part of the reply, from 0 to 1, is sent before the pause.
    Stall {
        time: Duration,
        part: f64,
    },
}

impl Pace {
    /// The kind of fault, unless there is none.
    pub(crate) fn kind(self) -> Option<FaultKind> {
        Some(match self {
            Self::Whole => return None,
            Self::Drip { .. } => FaultKind::Drip,
            Self::Slice { .. } => FaultKind::Slice,
            Self::Stall { .. } => FaultKind::Stall,
        })
    }
}

impl MessageFault {
    /// Draws the faults of the next message. Where several exclude each other, the first in the
    /// specification applies.
    pub(super) fn draw(faults: &Faults, random: &mut Random) -> Self {
        let mut drawn = Self::default();
        for clause in &faults.clauses {
            if let Fault::Delay(times) = &clause.fault {
                drawn.delay = times.draw(random);
                continue;
            }
            // Those of connections are drawn when they are accepted.
            let is_of_connections = matches!(
                clause.fault,
                Fault::AcceptDelay(_) | Fault::HandshakeDelay(_) | Fault::Refuse
            );
            if is_of_connections || !random.hits(clause.percent) {
                continue;
            }
            let mut outcome = Outcome::Reply;
            let mut pace = Pace::Whole;
            match clause.fault {
                Fault::Drip { bytes, every } => pace = Pace::Drip { bytes, every },
                Fault::Slice { least, most } => pace = Pace::Slice { least, most },
                Fault::Stall(time) => pace = Pace::Stall { time, part: random.unit() },
                Fault::Reset => outcome = Outcome::Reset,
                Fault::CloseBefore => outcome = Outcome::CloseBefore,
                Fault::CloseAfter => outcome = Outcome::CloseAfter,
                Fault::Truncate => outcome = Outcome::Truncate(random.unit()),
                Fault::Corrupt => drawn.corrupt = Some(random.unit()),
                Fault::Mute => outcome = Outcome::Mute,
                Fault::Rate(rate) => drawn.rate = Some(rate),
                Fault::Delay(_)
                | Fault::AcceptDelay(_)
                | Fault::HandshakeDelay(_)
                | Fault::Refuse => {}
            }
            if drawn.outcome == Outcome::Reply {
                drawn.outcome = outcome;
            }
            if drawn.pace == Pace::Whole {
                drawn.pace = pace;
            }
        }
        drawn
    }

    /// Whether there is none.
    pub(super) fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the connection goes on after the message.
    pub(crate) fn continues(&self) -> bool {
        matches!(self.outcome, Outcome::Reply | Outcome::Mute)
    }

    /// Whether a reply, or a part of one, is sent.
    pub(crate) fn has_reply(&self) -> bool {
        matches!(self.outcome, Outcome::Reply | Outcome::CloseAfter | Outcome::Truncate(_))
    }
}
