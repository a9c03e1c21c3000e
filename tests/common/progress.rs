//! How long a test waits: as long as something happens.
//!
//! A bound on the whole would be a bound on the machine's speed, and machines differ. So a wait is
//! over when nothing has changed for a long time, which only a program that hangs makes happen.

use std::time::{Duration, Instant};

/// A test gives up when nothing has happened for this long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A test gives up after this long, whatever happens: a program may also hang in an endless loop.
const LONGEST: Duration = Duration::from_secs(1200);

/// Something that changes for as long as a program gets on with its work.
pub(crate) struct Progress<T> {
    began: Instant,
    /// When it last changed, and what it was then.
    changed: Instant,
    last: T,
}

impl<T: PartialEq> Progress<T> {
    pub(crate) fn since(first: T) -> Self {
        let now = now();
        Self { began: now, changed: now, last: first }
    }

    /// Whether it is worth waiting longer.
    pub(crate) fn continues(&mut self, current: T) -> bool {
        let now = now();
        if self.last != current {
            (self.changed, self.last) = (now, current);
        }
        now - self.changed < PATIENCE && now - self.began < LONGEST
    }
}

#[expect(clippy::disallowed_methods, reason = "a test may read the clock to give up")]
fn now() -> Instant {
    Instant::now()
}
