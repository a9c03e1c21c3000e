//! The service `source`: bytes are sent at a rate.

use std::time::Duration;

use crate::contract::peer::Peer;
use crate::contract::reply::Reply;
use crate::contract::service::Service;
use crate::services::filler::fill;

/// The longest message: any peer accepts it.
const MESSAGE_MAX: u64 = 1000;

/// The most messages that are sent together.
const TOGETHER_MAX: u64 = 16;

/// A service that sends each peer so many bytes a second, in messages of at most 1,000 bytes, and
/// drops what it receives. To a peer that reads more slowly, it sends less.
#[derive(Debug, Clone, Copy)]
pub struct ByteSource {
    /// The bytes of each message.
    message: usize,
    /// The messages that are sent together.
    together: u64,
    gap: Duration,
}

impl ByteSource {
    /// A service that sends this many bytes a second to each peer, but at least one.
    #[must_use]
    pub fn new(bytes_per_second: u64) -> Self {
        let rate = bytes_per_second.max(1);
        // About a hundred times a second, or more often if that would be too much at once.
        let message = (rate / 100).clamp(1, MESSAGE_MAX);
        let together = (rate / 100 / message).clamp(1, TOGETHER_MAX);
        let gap = Duration::from_secs_f64((message * together) as f64 / rate as f64);
        Self { message: usize::try_from(message).unwrap_or_default(), together, gap }
    }
}

impl Service for ByteSource {
    type State = ();

    fn open(&mut self, _peer: &Peer<'_>, _reply: &mut Reply<'_>) {}

    fn message(&mut self, (): &mut (), _message: &[u8], _reply: &mut Reply<'_>) {}

    fn wake_after(&mut self, (): &mut ()) -> Option<Duration> {
        Some(self.gap)
    }

    fn wake(&mut self, (): &mut (), reply: &mut Reply<'_>) {
        for _ in 0..self.together {
            fill(self.message, reply);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_what_was_asked_for() {
        for rate in [1, 7, 99, 100, 1_000, 99_999, 1 << 20, 50_000_000] {
            let ByteSource { message, together, gap } = ByteSource::new(rate);
            assert!(message <= 1000 && together <= 16, "{rate}");
            let sent = (message as u64 * together) as f64 / gap.as_secs_f64();
            assert!((sent / rate as f64 - 1.0).abs() < 1e-3, "{rate}: {sent}");
        }
    }
}
