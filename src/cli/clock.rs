//! The program's clock, and how its times are written.

use std::time::{Duration, SystemTime};

/// The last second that RFC 3339 can write.
const LAST: Duration = Duration::from_secs(253_402_300_799);

#[expect(clippy::disallowed_methods, reason = "this is the program's one clock")]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

/// A time in UTC to the second, after RFC 3339. One that it can't write is the nearest that it can.
pub(crate) fn shown(time: SystemTime) -> String {
    let nearest = time.clamp(SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH + LAST);
    humantime::format_rfc3339_seconds(nearest).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_whatever_it_is() {
        let cases = [
            (SystemTime::UNIX_EPOCH + Duration::from_millis(1_801_440_000_999), "2027-02-01T00:00"),
            (SystemTime::UNIX_EPOCH - Duration::from_secs(1), "1970-01-01T00:00:00Z"),
            (SystemTime::UNIX_EPOCH + 2 * LAST, "9999-12-31T23:59:59Z"),
        ];
        for (time, expected) in cases {
            assert!(shown(time).starts_with(expected), "{}", shown(time));
        }
    }
}
