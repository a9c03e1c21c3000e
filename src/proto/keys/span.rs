//! Spans of time: when a key is valid, and for how long nothing changes.

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

    /// The part of it, around a moment in it, in which the other neither begins nor ends.
    pub(crate) fn without_change(self, now: SystemTime, other: Self) -> Self {
        let moments = [other.from, other.until].into_iter().flatten();
        moments.fold(self, |Self { from, until }, moment| match moment <= now {
            true => Self { from: from.max(Some(moment)), until },
            false => Self { from, until: Some(until.map_or(moment, |until| until.min(moment))) },
        })
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

    #[test]
    fn nothing_changes_between_the_moments_on_either_side() {
        let others = [span(Some(2), Some(8)), span(None, Some(5)), span(None, None)];
        let around = |second| {
            let around = |span: Span, other| span.without_change(at(second), other);
            others.into_iter().fold(Span::default(), around)
        };
        let cases = [
            (1, span(None, Some(2))),
            (2, span(Some(2), Some(5))),
            (4, span(Some(2), Some(5))),
            (5, span(Some(5), Some(8))),
            (9, span(Some(8), None)),
        ];
        for (second, expected) in cases {
            assert_eq!(around(second), expected, "{second}");
        }
    }
}
