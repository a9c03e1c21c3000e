//! A server that has not answered anything yet: in `raw`, `hex` and `open` it says no word of
//! success, so the time and the first bytes have to tell.

use std::time::Duration;

use countersign_proto::Dialect;

use crate::client::error::is_reset;
use crate::client::{Client, ClientError};
use crate::clock;

/// A server of `raw` and `hex` that refuses a proof or the first message closes the connection at
/// once; one that closes it later had another reason.
const VERDICT: Duration = Duration::from_secs(1);

impl Client {
    /// Whether the server has said nothing so far that tells whether it serves us. In the other
    /// dialects it has, before there is a client.
    pub(super) fn is_unanswered(&self) -> bool {
        !self.known
            && matches!(self.protocol.dialect(), Dialect::Raw | Dialect::Hex | Dialect::Open)
    }

    /// Why the server has closed the connection without an answer, as far as the time tells.
    pub(super) fn unanswered(&mut self) -> ClientError {
        self.is_over = true;
        self.is_unsendable = true;
        let waited = clock::monotonic().saturating_duration_since(self.asked);
        match self.protocol.dialect().authenticates() && waited < VERDICT {
            true => ClientError::Refused,
            false => ClientError::Unanswered,
        }
    }

    /// Before a message that is the first for a while: whether the server has closed the
    /// connection meanwhile. Sent all the same, the message would look refused.
    pub(super) fn check_idle(&mut self) -> Result<(), ClientError> {
        // A host that watches the socket sees that by itself.
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
