//! The timers of a connection, and how long each lasts.

use std::time::Duration;

use crate::contract::limits::Limits;
use crate::reactor::timers::TimerKind;

/// What a connection waits for. It waits for one thing at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timer {
    /// The end of the delay after failures of its network; absolute.
    Delay,
    /// The peer's proof; from the greeting, absolute.
    Handshake,
    /// The beginning of a message.
    Idle,
    /// The rest of a message that has begun; absolute.
    Message,
    /// Room for unsent output: the peer has to read.
    Write,
    /// The end of the peer's stream, after ours has ended; absolute.
    Linger,
}

/// The maximum age of a session, from the proof; absolute. It runs besides the other timer of the
/// connection, and so has a table of its own.
#[derive(Debug, Clone, Copy)]
pub(super) struct SessionAge;

/// How long the server waits for the end of a peer's stream. A second is many round trips.
const LINGER: Duration = Duration::from_secs(1);

impl Timer {
    /// How long it lasts; `None` is for ever.
    pub(super) fn length(self, limits: &Limits) -> Option<Duration> {
        Some(match self {
            Self::Delay => limits.failure_delay,
            Self::Handshake => limits.handshake_timeout,
            Self::Idle => limits.idle_timeout,
            Self::Message => limits.message_timeout,
            Self::Write => limits.write_timeout,
            Self::Linger => LINGER,
        })
    }
}

impl TimerKind for Timer {
    const ALL: &'static [Self] =
        &[Self::Delay, Self::Handshake, Self::Idle, Self::Message, Self::Write, Self::Linger];

    fn index(self) -> usize {
        self as usize
    }
}

impl TimerKind for SessionAge {
    const ALL: &'static [Self] = &[Self];

    fn index(self) -> usize {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_timer_stands_at_its_index() {
        for (index, timer) in (0..).zip(Timer::ALL) {
            assert_eq!(timer.index(), index);
        }
    }
}
