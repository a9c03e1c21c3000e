//! A server that has not answered anything yet: in `raw`, `hex` and `open` it doesn't confirm
//! success, so the time and the first bytes have to show it.

use std::time::Duration;

use countersign_proto::Dialect;

use crate::client::error::is_reset;
use crate::client::{Client, ClientError};
use crate::clock;

/// A server of `raw` and `hex` that refuses a proof or the first message closes the connection
/// within this time; a server that closes it later has another reason.
const VERDICT: Duration = Duration::from_secs(1);

impl Client {
    /// Whether the server has not confirmed so far that it serves us. In the other dialects it has,
    /// before there is a client.
    pub(super) fn is_unanswered(&self) -> bool {
        !self.known
            && matches!(
                self.session.config().dialect(),
                Dialect::Raw | Dialect::Hex | Dialect::Open
            )
    }

    /// Why the server has closed the connection without an answer, as far as the time shows it.
    pub(super) fn unanswered(&mut self) -> ClientError {
        self.is_over = true;
        self.is_unsendable = true;
        let waited = clock::monotonic().saturating_duration_since(self.asked);
        match self.session.config().dialect().authenticates() && waited < VERDICT {
            true => ClientError::Refused,
            false => ClientError::Unanswered,
        }
    }

    /// Before the first message after a pause: checks whether the server has closed the connection
    /// meanwhile. If the message were sent all the same, it would look refused.
    pub(super) fn check_idle(&mut self) -> Result<(), ClientError> {
        // A host that watches the socket sees this by itself.
        if !self.is_unanswered()
            || self.is_nonblocking
            || clock::monotonic().saturating_duration_since(self.asked) < VERDICT
        {
            return Ok(());
        }
        self.stream.set_nonblocking(true)?;
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false)?;
        match peeked {
            Ok(0) => Err(self.unanswered()),
            Err(error) if is_reset(&error) => Err(self.unanswered()),
            _ => Ok(()),
        }
    }
}
