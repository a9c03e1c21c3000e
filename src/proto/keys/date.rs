//! The dates in a key file: RFC 3339, a day or a moment.

use std::time::{Duration, SystemTime};

use chrono::DateTime;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The moment that is meant by `not-before=`: a day begins at midnight, UTC.
pub(crate) fn beginning(text: &str) -> Option<SystemTime> {
    moment(text).or_else(|| midnight(text))
}

/// The moment that is meant by `not-after=`: a day ends at the midnight behind it, UTC.
pub(crate) fn end(text: &str) -> Option<SystemTime> {
    moment(text).or_else(|| midnight(text)?.checked_add(DAY))
}

fn midnight(day: &str) -> Option<SystemTime> {
    moment(&format!("{day}T00:00:00Z"))
}

fn moment(text: &str) -> Option<SystemTime> {
    DateTime::parse_from_rfc3339(text).ok().map(SystemTime::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_from_midnight_to_midnight_and_a_moment_is_itself() {
        // Seconds as `date -u +%s -d …` has them.
        let cases = [
            ("2027-01-31", 1_801_353_600, 1_801_440_000),
            ("2028-02-29", 1_835_395_200, 1_835_481_600),
            ("2027-01-31T12:00:00Z", 1_801_396_800, 1_801_396_800),
            ("2027-01-31T12:00:00+02:00", 1_801_389_600, 1_801_389_600),
            ("2027-01-31t12:00:00z", 1_801_396_800, 1_801_396_800),
        ];
        for (text, first, last) in cases {
            let at = |second| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(second));
            assert_eq!((beginning(text), end(text)), (at(first), at(last)), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        let texts = [
            "",
            "2027",
            "2027-1-31",
            "2027-02-29",
            "31.1.2027",
            "2027-01-31T12:00:00",
            "tomorrow",
            "2027-01-31T25:00:00Z",
            "+2027-01-31",
            "20270131",
            "2027-01-31Z",
            "99999-01-01",
        ];
        for text in texts {
            assert_eq!((beginning(text), end(text)), (None, None), "{text}");
        }
    }

    #[test]
    fn the_first_and_the_last_year_do_no_harm() {
        assert!(beginning("0000-01-01").unwrap() < end("0000-01-01").unwrap());
        assert!(beginning("9999-12-31").unwrap() < end("9999-12-31").unwrap());
    }
}
