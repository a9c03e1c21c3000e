//! The dates in a key file: RFC 3339, a day or an instant, as the time since 1970 began.

use std::time::Duration;

use chrono::{DateTime, FixedOffset, TimeDelta};

/// The instant of `not-before=`: a day begins at midnight, UTC.
pub(crate) fn beginning(text: &str) -> Option<Duration> {
    instant(text).or_else(|| midnight(text)).map(since_epoch)
}

/// The instant of `not-after=`: a day ends at the following midnight, UTC.
pub(crate) fn end(text: &str) -> Option<Duration> {
    let day = || midnight(text)?.checked_add_signed(TimeDelta::days(1));
    instant(text).or_else(day).map(since_epoch)
}

fn midnight(day: &str) -> Option<DateTime<FixedOffset>> {
    instant(&format!("{day}T00:00:00Z"))
}

fn instant(text: &str) -> Option<DateTime<FixedOffset>> {
    DateTime::parse_from_rfc3339(text).ok()
}

/// No clock is set to a time before 1970, so all earlier dates count as 1970.
fn since_epoch(date: DateTime<FixedOffset>) -> Duration {
    let second = u64::try_from(date.timestamp());
    second.map_or(Duration::ZERO, |second| Duration::new(second, date.timestamp_subsec_nanos()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_from_midnight_to_midnight_and_an_instant_is_itself() {
        // Seconds as `date -u +%s -d …` has them.
        let cases = [
            ("2027-01-31", 1_801_353_600, 1_801_440_000),
            ("2028-02-29", 1_835_395_200, 1_835_481_600),
            ("2027-01-31T12:00:00Z", 1_801_396_800, 1_801_396_800),
            ("2027-01-31T12:00:00+02:00", 1_801_389_600, 1_801_389_600),
            ("2027-01-31t12:00:00z", 1_801_396_800, 1_801_396_800),
        ];
        for (text, first, last) in cases {
            let at = |second| Some(Duration::from_secs(second));
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
    fn dates_before_1970_are_its_beginning_and_the_last_year_does_no_harm() {
        for text in ["0000-01-01", "1969-12-30", "1969-12-31T23:59:59.5Z"] {
            assert_eq!((beginning(text), end(text)), (Some(Duration::ZERO), Some(Duration::ZERO)));
        }
        assert_eq!(end("1969-12-31"), Some(Duration::ZERO));
        assert!(beginning("9999-12-31").unwrap() < end("9999-12-31").unwrap());
    }
}
