//! Reads and writes that wait for a socket until a deadline.

use std::io;
use std::time::{Duration, Instant};

use crate::client::error::ClientError;
use crate::clock;

/// Reads or writes, until that succeeds or fails or the deadline is reached.
pub(super) fn retried(
    is_nonblocking: bool,
    deadline: Option<Instant>,
    mut call: impl FnMut(Option<Duration>) -> io::Result<usize>,
) -> Result<usize, ClientError> {
    loop {
        let left = deadline.map(|end| end.saturating_duration_since(clock::monotonic()));
        if left == Some(Duration::ZERO) {
            return Err(ClientError::Timeout);
        }
        match call(left) {
            Err(error) if is_nonblocking && error.kind() == io::ErrorKind::WouldBlock => {
                return Err(ClientError::Timeout);
            }
            Err(error) if is_retried(&error) => {}
            done => return Ok(done?),
        }
    }
}

/// A timeout of the socket is one of these, depending on the system.
fn is_retried(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), Interrupted | TimedOut | WouldBlock)
}
