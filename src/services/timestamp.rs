//! The service `timestamp`: messages are sent back behind the time.

use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Datelike as _, Local, TimeZone, Timelike as _, Utc};

use crate::contract::messages::{Messages, Processed};
use crate::contract::peer::Peer;
use crate::contract::reply::{PREFIX_MAX, Reply};
use crate::contract::service::Service;

/// A service that answers each message with a time stamp and the message: `[Thu May 10 22:00:19
/// 2018] text`.
///
/// The stamp has the format of C's and Python's `ctime()`: English names, the day padded with a
/// blank. The text is formatted once a second.
#[derive(Debug, Default)]
pub struct Timestamp {
    zone: Zone,
    stamp: Stamp,
}

#[derive(Debug, Clone, Copy, Default)]
enum Zone {
    #[default]
    Local,
    Utc,
}

impl Timestamp {
    /// Time stamps in local time, according to `TZ` or `/etc/localtime`. If the zone can't be
    /// found, it is UTC.
    #[must_use]
    pub fn local() -> Self {
        Self::default()
    }

    /// Time stamps in UTC.
    #[must_use]
    pub fn utc() -> Self {
        Self { zone: Zone::Utc, ..Self::default() }
    }
}

impl Service for Timestamp {
    type State = ();

    fn open(&mut self, _peer: &Peer<'_>, _reply: &mut Reply<'_>) {}

    #[inline(always)]
    fn message(&mut self, (): &mut (), message: &[u8], reply: &mut Reply<'_>) {
        let (text, length) = self.stamp.at(reply.now(), self.zone);
        reply.echo_behind(text, length, message);
    }

    #[inline(always)]
    fn messages(&mut self, (): &mut (), messages: Messages<'_>) -> Processed {
        let (text, length) = self.stamp.at(messages.now(), self.zone);
        messages.for_each(
            #[inline(always)]
            move |message, reply| reply.echo_behind(text, length, message),
        )
    }
}

/// The formatted text of one second.
#[derive(Debug)]
struct Stamp {
    /// The time of the last call. All messages of a turn have the same.
    asked: Option<SystemTime>,
    /// Its second since 1970; `None` at first.
    second: Option<i64>,
    text: [u8; Self::MAX],
    length: usize,
}

impl Stamp {
    /// Enough for every year that chrono supports (six digits and a sign).
    const MAX: usize = PREFIX_MAX;

    /// The text of this time, at the front of these bytes, and its length.
    #[inline(always)]
    fn at(&mut self, now: SystemTime, zone: Zone) -> (&[u8; Self::MAX], usize) {
        if self.asked != Some(now) {
            self.see(now, zone);
        }
        (&self.text, self.length)
    }

    /// The clock may jump either way: any other second is a new one.
    #[cold]
    fn see(&mut self, now: SystemTime, zone: Zone) {
        self.asked = Some(now);
        let second = seconds(now);
        if self.second != Some(second) {
            self.format(second, zone);
        }
    }

    fn format(&mut self, second: i64, zone: Zone) {
        let mut rest = &mut self.text[..];
        let written = match zone {
            Zone::Local => write(&mut rest, Local.timestamp_opt(second, 0).earliest()),
            Zone::Utc => write(&mut rest, Utc.timestamp_opt(second, 0).earliest()),
        };
        debug_assert!(written.is_ok(), "a stamp has at most {} bytes", Self::MAX);
        let unused = rest.len();
        self.length = Self::MAX - unused;
        self.second = Some(second);
    }
}

impl Default for Stamp {
    fn default() -> Self {
        Self { asked: None, second: None, text: [0; Self::MAX], length: 0 }
    }
}

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

// chrono's formatter of patterns is 12 KB, which every host would have.
fn write<Z: TimeZone>(out: &mut &mut [u8], time: Option<DateTime<Z>>) -> std::io::Result<()> {
    let Some(time) = time else { return out.write_all(b"[the time is out of range] ") };
    let name = DAYS[time.weekday().num_days_from_monday() as usize];
    let (month, day) = (MONTHS[time.month0() as usize], time.day());
    let (hour, minute, second) = (time.hour(), time.minute(), time.second());
    write!(out, "[{name} {month} {day:2} {hour:02}:{minute:02}:{second:02} ")?;
    match time.year() {
        year @ 0..=9999 => write!(out, "{year:04}] "),
        year => write!(out, "{year:+05}] "),
    }
}

/// Whole seconds since 1970, rounded down also before it.
fn seconds(time: SystemTime) -> i64 {
    let whole = |seconds: u64| i64::try_from(seconds).unwrap_or(i64::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => whole(after.as_secs()),
        Err(before) => {
            let before = before.duration();
            -whole(before.as_secs() + u64::from(before.subsec_nanos() > 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(offset: f64) -> SystemTime {
        let distance = Duration::from_secs_f64(offset.abs());
        if offset < 0.0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance }
    }

    #[test]
    fn the_stamp_is_that_of_ctime() {
        let mut stamp = Stamp::default();
        let cases = [
            (1_525_989_619.0, "[Thu May 10 22:00:19 2018] "),
            (1_525_989_619.999, "[Thu May 10 22:00:19 2018] "),
            (1_525_212_000.0, "[Tue May  1 22:00:00 2018] "),
            (951_782_400.0, "[Tue Feb 29 00:00:00 2000] "),
            (0.0, "[Thu Jan  1 00:00:00 1970] "),
            (-0.5, "[Wed Dec 31 23:59:59 1969] "),
            (-1.0, "[Wed Dec 31 23:59:59 1969] "),
            (253_402_300_800.0, "[Sat Jan  1 00:00:00 +10000] "),
        ];
        for (time, expected) in cases.into_iter().chain(cases) {
            let (text, length) = stamp.at(at(time), Zone::Utc);
            assert_eq!(str::from_utf8(&text[..length]).unwrap(), expected);
        }
    }

    #[test]
    fn a_time_that_no_calendar_holds_is_no_panic() {
        let mut stamp = Stamp::default();
        stamp.format(i64::MAX, Zone::Utc);
        assert_eq!(&stamp.text[..stamp.length], b"[the time is out of range] ");
        stamp.format(i64::MIN, Zone::Local);
        assert_eq!(&stamp.text[..stamp.length], b"[the time is out of range] ");
    }
}
