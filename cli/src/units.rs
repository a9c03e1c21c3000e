//! Numbers, sizes and times with a unit: `10k`, `64m`, `5s`; modes; and dates.
//!
//! Every number that a user can give is parsed here, whether as an option, in a file or in the
//! environment, and each within a range. So no number is too large for its later use.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::system;

/// The last second that RFC 3339 can write.
const LAST: Duration = Duration::from_secs(253_402_300_799);

/// The longest time that an option accepts: the timers of the library count no further.
pub(crate) const TIME_MAX: Duration = Duration::from_secs(48 * 24 * 60 * 60);

/// Any time, including zero.
pub(crate) const ANY_TIME: RangeInclusive<Duration> = Duration::ZERO..=TIME_MAX;

/// Any time but zero.
pub(crate) const SOME_TIME: RangeInclusive<Duration> = Duration::from_millis(1)..=TIME_MAX;

/// What `0s` stands for where it means that there is no limit.
pub(crate) const NEVER: Duration = Duration::MAX;

/// Reads a size in bytes; k, m and g are powers of 1024.
pub(crate) fn size(range: RangeInclusive<usize>) -> impl Reader<usize> {
    move |text| {
        let bytes = scaled(text, 1024).and_then(|bytes| usize::try_from(bytes).ok());
        bytes.filter(|bytes| range.contains(bytes)).ok_or_else(|| {
            let [least, most] =
                [range.start(), range.end()].map(|bytes| short(*bytes as u64, 1024));
            format!("write a size from {least} to {most}, like 4096, 64k or 1m")
        })
    }
}

/// Reads a number of things; k, m and g are powers of 1000.
pub(crate) fn count<T: TryFrom<u64>>(range: RangeInclusive<u64>) -> impl Reader<T> {
    move |text| {
        let number = scaled(text, 1000).filter(|number| range.contains(number));
        number.and_then(|number| T::try_from(number).ok()).ok_or_else(|| {
            let [least, most] = [range.start(), range.end()].map(|number| short(*number, 1000));
            format!("write a number from {least} to {most}, like 500 or 10k")
        })
    }
}

/// Reads a time: humantime's `500ms`, `5s`, `1h 30m`.
pub(crate) fn time(range: RangeInclusive<Duration>) -> impl Reader<Duration> {
    move |text| {
        let time = humantime::parse_duration(text).ok().filter(|time| range.contains(time));
        time.ok_or_else(|| {
            let [least, most] = [range.start(), range.end()].map(|time| span(*time));
            format!("write a time from {least} to {most}, like 500ms, 5s or 1h")
        })
    }
}

/// Reads a time in the range, or `0s`, which stands for [`NEVER`].
pub(crate) fn time_or_never(range: RangeInclusive<Duration>) -> impl Reader<Duration> {
    let within = time(range);
    move |text| match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Ok(NEVER),
        _ => within(text).map_err(|remedy| format!("{remedy}, or 0s for none")),
    }
}

/// Reads any time.
pub(crate) fn any_time(text: &str) -> Result<Duration, String> {
    time(ANY_TIME)(text)
}

/// Reads any time but zero.
pub(crate) fn some_time(text: &str) -> Result<Duration, String> {
    time(SOME_TIME)(text)
}

/// Reads any time but zero, or `0s`, which stands for [`NEVER`].
pub(crate) fn some_time_or_never(text: &str) -> Result<Duration, String> {
    time_or_never(SOME_TIME)(text)
}

/// A parser of an option's value, for clap.
pub(crate) trait Reader<T>:
    Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static
{
}

impl<T, F: Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static> Reader<T> for F {}

fn scaled(text: &str, kilo: u64) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let digits = lower.trim_end_matches(['k', 'm', 'g']);
    let power = match &lower[digits.len()..] {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(kilo.pow(power))
}

/// A number as it can be typed: with the largest unit that leaves nothing over.
fn short(number: u64, kilo: u64) -> String {
    let units = [(kilo.pow(3), "g"), (kilo.pow(2), "m"), (kilo, "k")];
    let fits = units.into_iter().find(|(unit, _)| number >= *unit && number.is_multiple_of(*unit));
    let (unit, name) = fits.unwrap_or((1, ""));
    format!("{}{name}", number / unit)
}

/// A time as it can be typed, likewise.
fn span(time: Duration) -> String {
    const SECOND: u128 = 1000;
    let units = [(86_400 * SECOND, "d"), (3600 * SECOND, "h"), (60 * SECOND, "m"), (SECOND, "s")];
    let millis = time.as_millis();
    let fits = units.into_iter().find(|(unit, _)| millis >= *unit && millis.is_multiple_of(*unit));
    let (unit, name) = fits.unwrap_or(if millis == 0 { (1, "s") } else { (1, "ms") });
    format!("{}{name}", millis / unit)
}

/// Reads the mode of a file, in octal digits.
pub(crate) fn mode(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777);
    mode.ok_or_else(|| "write a mode like 0600 or 0660".to_owned())
}

/// Writes a size as a person would.
pub(crate) fn shown(bytes: usize) -> String {
    let (unit, name) = match bytes {
        0..1024 => return format!("{bytes} bytes"),
        1024..0x10_0000 => (10, "KiB"),
        0x10_0000..0x4000_0000 => (20, "MiB"),
        _ => (30, "GiB"),
    };
    // In tenths, rounded up: a bound must not be shown as less than it is.
    let tenths = (bytes as u128 * 10).div_ceil(1 << unit);
    match (tenths / 10, tenths % 10) {
        (whole, 0) => format!("{whole} {name}"),
        (whole, tenth) => format!("{whole}.{tenth} {name}"),
    }
}

/// Writes a time since 1970 began as a [`Date`].
pub(crate) fn date(since_epoch: Duration) -> String {
    Date::after_1970(since_epoch).to_string()
}

/// A time of day, which is written in UTC to the second, after RFC 3339. One that it can't write is
/// the nearest that it can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) struct Date(pub(crate) SystemTime);

impl Date {
    /// The date so long after 1970 began, or the last that can be written.
    pub(crate) fn after_1970(since: Duration) -> Self {
        Self(SystemTime::UNIX_EPOCH + since.min(LAST))
    }

    /// The seconds since 1970 began.
    pub(crate) fn unix_seconds(self) -> f64 {
        system::since_epoch(self.0).as_secs_f64()
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = system::since_epoch(self.0).min(LAST);
        humantime::format_rfc3339_seconds(SystemTime::UNIX_EPOCH + since).fmt(f)
    }
}

impl From<Date> for String {
    fn from(date: Date) -> Self {
        date.to_string()
    }
}

impl TryFrom<String> for Date {
    type Error = humantime::TimestampError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        humantime::parse_rfc3339(&text).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_whatever_it_is() {
        let cases = [
            (Duration::from_millis(1_801_440_000_999), "2027-02-01T00:00"),
            (Duration::ZERO, "1970-01-01T00:00:00Z"),
            (2 * LAST, "9999-12-31T23:59:59Z"),
        ];
        for (time, expected) in cases {
            assert!(date(time).starts_with(expected), "{}", date(time));
        }
    }

    #[test]
    fn sizes_and_numbers_are_read_within_their_range() {
        let size = size(1..=1 << 30);
        for (text, bytes) in [("1", 1), ("64k", 65536), ("64K", 65536), ("1g", 1 << 30)] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        let overflowing = ["99999999999999999999", "18446744073709551615g", "18446744073709551615"];
        let senseless = ["", "k", "-1", "1.5k", "64kb", "1kk", "NaN", "inf", "1e3", "0x10", "0s"];
        for text in overflowing.into_iter().chain(senseless).chain(["0", "1073741825", "2g"]) {
            let remedy = size(text).unwrap_err();
            assert_eq!(remedy, "write a size from 1 to 1g, like 4096, 64k or 1m", "{text}");
        }
        let count = count::<u32>(0..=10_000_000);
        for (text, number) in [("0", 0), ("50", 50), ("10k", 10_000), ("10M", 10_000_000)] {
            assert_eq!(count(text), Ok(number), "{text}");
        }
        for text in overflowing.into_iter().chain(senseless).chain(["10000001", "11m"]) {
            let remedy = count(text).unwrap_err();
            assert_eq!(remedy, "write a number from 0 to 10m, like 500 or 10k", "{text}");
        }
    }

    #[test]
    fn times_are_read_within_their_range_and_none_may_be_never() {
        let some = time(SOME_TIME);
        let hour = Duration::from_secs(3600);
        for (text, expected) in [("1ms", Duration::from_millis(1)), ("1h", hour), ("48d", TIME_MAX)]
        {
            assert_eq!(some(text), Ok(expected), "{text}");
            assert_eq!(time_or_never(SOME_TIME)(text), Ok(expected), "{text}");
        }
        let senseless = ["", "5", "-5s", "NaN", "inf", "soon", "1ns", "49d"];
        let overflowing = ["400000000000y", "99999999999999999999s", "18446744073709551615s"];
        for text in senseless.into_iter().chain(overflowing) {
            let remedy = "write a time from 1ms to 48d, like 500ms, 5s or 1h";
            assert_eq!(some(text).unwrap_err(), remedy, "{text}");
            let refused = time_or_never(SOME_TIME)(text).unwrap_err();
            assert_eq!(refused, format!("{remedy}, or 0s for none"), "{text}");
        }
        for none in ["0", "0s", "0ms"] {
            assert!(some(none).is_err(), "{none}");
            assert_eq!(time(ANY_TIME)(none), Ok(Duration::ZERO), "{none}");
            assert_eq!(time_or_never(SOME_TIME)(none), Ok(NEVER), "{none}");
        }
    }

    #[test]
    fn a_size_is_shown_as_no_less_than_it_is() {
        for (bytes, text) in
            [(1023, "1023 bytes"), (65536, "64 KiB"), (65537, "64.1 KiB"), (3 << 30, "3 GiB")]
        {
            assert_eq!(shown(bytes), text);
        }
        assert_eq!(shown(usize::MAX).split(' ').next_back(), Some("GiB"));
    }
}
