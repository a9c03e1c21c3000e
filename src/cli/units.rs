//! Numbers and sizes with a unit: `10k`, `64k`, `1m`; modes; and dates. Durations are humantime's:
//! `5s`, `200ms`.

use std::time::{Duration, SystemTime};

/// The last second that RFC 3339 can write.
const LAST: Duration = Duration::from_secs(253_402_300_799);

/// Reads a size in bytes; k, m and g are powers of 1024.
pub(crate) fn size(text: &str) -> Result<usize, String> {
    let bytes = scaled(text, 1024).ok_or("write a size like 4096, 64k or 1m")?;
    usize::try_from(bytes).map_err(|_| "the size is too large".to_owned())
}

/// Reads a number of things; k, m and g are powers of 1000.
pub(crate) fn count(text: &str) -> Result<u64, String> {
    scaled(text, 1000).ok_or_else(|| "write a number like 500, 10k or 1m".to_owned())
}

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
    let tenths = (bytes * 10).div_ceil(1 << unit);
    match (tenths / 10, tenths % 10) {
        (whole, 0) => format!("{whole} {name}"),
        (whole, tenth) => format!("{whole}.{tenth} {name}"),
    }
}

/// Writes a time in UTC to the second, after RFC 3339. One that it can't write is the nearest that
/// it can.
pub(crate) fn date(time: SystemTime) -> String {
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
            assert!(date(time).starts_with(expected), "{}", date(time));
        }
    }

    #[test]
    fn sizes_are_read_and_shown() {
        for (text, bytes) in [("0", 0), ("64k", 65536), ("64K", 65536), ("1m", 1 << 20)] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in
            ["", "k", "-1", "1.5k", "64kb", "1kk", "99999999999999999999", "18446744073709551615g"]
        {
            assert!(size(text).is_err(), "{text}");
        }
        assert_eq!((count("50"), count("10k"), count("2M")), (Ok(50), Ok(10_000), Ok(2_000_000)));
        for (bytes, text) in
            [(1023, "1023 bytes"), (65536, "64 KiB"), (65537, "64.1 KiB"), (3 << 30, "3 GiB")]
        {
            assert_eq!(shown(bytes), text);
        }
    }
}
