//! What the program has from outside: the clocks, and random bytes.

use std::io;
use std::time::{Duration, Instant, SystemTime};

use rand::TryRng as _;
use rand::rngs::SysRng;

/// The monotonic clock, for deadlines.
#[expect(clippy::disallowed_methods, reason = "the program's one clock, beside the library's")]
pub(crate) fn monotonic() -> Instant {
    Instant::now()
}

/// The time of day, for log lines.
#[expect(clippy::disallowed_methods, reason = "the program's one clock, beside the library's")]
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}

/// The time of day as dates of keys are counted: since 1970 began.
pub(crate) fn unix_time() -> Duration {
    since_epoch(wall())
}

/// The time since 1970 began; zero for any time before.
pub(crate) fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// Fills in random bytes of the system's, that nobody can foretell.
pub(crate) fn fill(bytes: &mut [u8]) -> io::Result<()> {
    SysRng.try_fill_bytes(bytes).map_err(io::Error::other)
}

/// The same as an array.
pub(crate) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    fill(&mut bytes)?;
    Ok(bytes)
}

/// Waits, where there is nothing to wake up for.
#[expect(clippy::disallowed_methods, reason = "there is no event to wait for, only time")]
pub(crate) fn sleep(time: Duration) {
    std::thread::sleep(time);
}
