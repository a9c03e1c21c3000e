//! Rate limits for log lines.
//!
//! Peers decide how often they are refused, so lines of one kind are limited to a few a second, and
//! the next one says how many were suppressed.

use std::fmt;
use std::time::Duration;

use crate::reactor::instant::Instant;

/// How many lines of one kind a second may have.
const LINES_PER_SECOND: u32 = 10;

/// The limit for one kind of line.
#[derive(Debug, Default)]
pub struct RateLimit {
    /// When the current second began.
    since: Instant,
    /// The lines in this second, including those suppressed.
    lines: u32,
}

/// How many lines were suppressed before one that is written; its text is empty for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suppressed(u32);

impl RateLimit {
    /// Whether a line may be written now, and how many were suppressed before it.
    pub fn allows(&mut self, now: Instant) -> Option<Suppressed> {
        let mut suppressed = 0;
        if now >= self.since + Duration::from_secs(1) {
            suppressed = self.lines.saturating_sub(LINES_PER_SECOND);
            *self = Self { since: now, lines: 0 };
        }
        self.lines = self.lines.saturating_add(1);
        (self.lines <= LINES_PER_SECOND).then_some(Suppressed(suppressed))
    }
}

impl fmt::Display for Suppressed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 { Ok(()) } else { write!(f, " ({} similar messages suppressed)", self.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_one_kind_are_limited_and_those_suppressed_are_counted() {
        let at = |millis| Instant::after(Duration::from_millis(millis));
        let mut limit = RateLimit::default();
        let written = (0..50).filter(|_| limit.allows(at(5)).is_some()).count();
        assert_eq!(written, LINES_PER_SECOND as usize);
        assert_eq!(limit.allows(at(999)), None);
        let next = limit.allows(at(1005)).unwrap();
        assert_eq!(next.to_string(), " (41 similar messages suppressed)");
        assert_eq!(limit.allows(at(1006)).unwrap().to_string(), "");
    }
}
