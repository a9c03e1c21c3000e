//! What the program uses of the system: the clocks and random bytes of the library, descriptors,
//! and the user.

use std::io;
use std::time::Duration;

pub(crate) use countersign::clock::{monotonic, wall};
pub(crate) use countersign::random::fill;
pub(crate) use countersign::unix_time::since_epoch;

/// The time of day as dates of keys are counted: since 1970 began.
pub(crate) fn unix_time() -> Duration {
    since_epoch(wall())
}

/// Sleeps, where there is no event to wait for.
#[expect(clippy::disallowed_methods, reason = "there is no event to wait for, only time")]
pub(crate) fn sleep(time: Duration) {
    std::thread::sleep(time);
}

/// The user whose rights the process has.
pub(crate) fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Files, pipes, polls, and the connections of the admin listener, beside those that are served.
pub(crate) const DESCRIPTORS_RESERVED: u64 = 64;

/// Raises the limit on descriptors to what this many connections need, or as far as the system
/// allows. Returns the limit.
pub(crate) fn raise_descriptors(connections: u64) -> io::Result<u64> {
    rlimit::increase_nofile_limit(connections.saturating_add(DESCRIPTORS_RESERVED))
}
