//! Waiting for several descriptors at once.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// Waits until one of these descriptors is ready, or for this long. Returns whether the first is
/// ready.
pub(super) fn wait(
    interests: &[(BorrowedFd<'_>, PollFlags)],
    time: Option<Duration>,
) -> io::Result<bool> {
    let mut fds: Vec<_> =
        interests.iter().map(|&(fd, flags)| PollFd::from_borrowed_fd(fd, flags)).collect();
    let time = time.and_then(|time| Timespec::try_from(time).ok());
    match poll(&mut fds, time.as_ref()) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(fds.first().is_some_and(|fd| !fd.revents().is_empty()))
}
