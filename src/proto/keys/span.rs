//! Spans of time: when a key is valid.

use std::time::SystemTime;

/// The time from its first moment on, which belongs to it, until its last, which doesn't.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    /// Without it, it has lasted since ever.
    pub(crate) from: Option<SystemTime>,
    /// Without it, it has no end.
    pub(crate) until: Option<SystemTime>,
}

impl Span {
    pub(crate) fn contains(&self, now: SystemTime) -> bool {
        self.from.is_none_or(|from| from <= now) && self.until.is_none_or(|until| now < until)
    }

    /// It has neither beginning nor end.
    pub(crate) fn is_always(&self) -> bool {
        *self == Self::default()
    }

    /// It contains no time at all.
    pub(crate) fn is_never(&self) -> bool {
        matches!((self.from, self.until), (Some(from), Some(until)) if until <= from)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(second: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(second)
    }

    fn span(from: Option<u64>, until: Option<u64>) -> Span {
        Span { from: from.map(at), until: until.map(at) }
    }

    #[test]
    fn the_first_moment_belongs_to_it_and_the_last_does_not() {
        let cases = [
            (span(None, None), [true, true, true, true]),
            (span(Some(2), None), [false, true, true, true]),
            (span(None, Some(3)), [true, true, false, false]),
            (span(Some(2), Some(3)), [false, true, false, false]),
        ];
        for (span, expected) in cases {
            assert_eq!([1, 2, 3, 4].map(|second| span.contains(at(second))), expected, "{span:?}");
        }
        assert!(span(Some(2), Some(2)).is_never() && span(Some(3), Some(2)).is_never());
        assert!(!span(Some(2), Some(3)).is_never() && !span(None, Some(0)).is_never());
    }
}
