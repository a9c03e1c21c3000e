//! When a key is valid: the one place that decides it.

use core::time::Duration;

/// Whether a key is valid at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Validity {
    /// Its `not-before=` has not come.
    NotYet,
    /// It is valid.
    Valid,
    /// The key has reached its `not-after=`. At that very instant it is no longer valid.
    Expired,
}

impl Validity {
    /// The name, in lower case: `not-yet-valid`, `valid` or `expired`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NotYet => "not-yet-valid",
            Self::Valid => "valid",
            Self::Expired => "expired",
        }
    }

    /// The validity of a key with these dates at a time, all counted since 1970 began.
    #[must_use]
    pub fn of(not_before: Option<Duration>, not_after: Option<Duration>, now: Duration) -> Self {
        ValidityPeriod { from: not_before, until: not_after }.at(now)
    }
}

/// The period from a key's first instant, which belongs to it, until its last, which doesn't.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ValidityPeriod {
    /// Without it, the period has no beginning.
    pub(crate) from: Option<Duration>,
    /// Without it, the period has no end.
    pub(crate) until: Option<Duration>,
}

impl ValidityPeriod {
    /// The validity of a key of this period at a time.
    pub(crate) fn at(&self, now: Duration) -> Validity {
        if self.until.is_some_and(|until| until <= now) {
            Validity::Expired
        } else if self.from.is_some_and(|from| now < from) {
            Validity::NotYet
        } else {
            Validity::Valid
        }
    }

    /// It contains no time at all.
    pub(crate) fn is_never(&self) -> bool {
        matches!((self.from, self.until), (Some(from), Some(until)) if until <= from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Duration {
        Duration::from_secs(second)
    }

    fn period(from: Option<u64>, until: Option<u64>) -> ValidityPeriod {
        ValidityPeriod { from: from.map(at), until: until.map(at) }
    }

    #[test]
    fn the_first_instant_belongs_to_it_and_the_last_does_not() {
        use Validity::{Expired, NotYet, Valid};

        let cases = [
            (period(None, None), [Valid, Valid, Valid, Valid]),
            (period(Some(2), None), [NotYet, Valid, Valid, Valid]),
            (period(None, Some(3)), [Valid, Valid, Expired, Expired]),
            (period(Some(2), Some(3)), [NotYet, Valid, Expired, Expired]),
        ];
        for (period, expected) in cases {
            assert_eq!([1, 2, 3, 4].map(|second| period.at(at(second))), expected, "{period:?}");
        }
        assert!(period(Some(2), Some(2)).is_never() && period(Some(3), Some(2)).is_never());
        assert!(!period(Some(2), Some(3)).is_never() && !period(None, Some(0)).is_never());
    }

    #[test]
    fn each_has_a_name_of_its_own() {
        let names = [Validity::NotYet, Validity::Valid, Validity::Expired].map(Validity::name);
        assert_eq!(names, ["not-yet-valid", "valid", "expired"]);
    }
}
