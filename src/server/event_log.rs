//! What the loop says in the log: one line an event, none for a message.
//!
//! Peers decide how often they are refused, so lines of one kind are limited to a few a second, and
//! the next one says how many were left out. All of it is nothing without the feature `log`.

use std::time::Duration;

use countersign_proto::{ForeignProtocol, Refusal};

use crate::contract::close::CloseReason;
use crate::contract::peer::{Peer, PeerAddress, PeerId};
use crate::reactor::instant::Instant;
use crate::reactor::rate_limit::RateLimit;
use crate::server::admission::Admission;
use crate::server::listener::Listener;

/// Writes a line with its keys, if there is a log.
#[cfg(feature = "log")]
macro_rules! event {
    ($level:ident; $($text:tt)+) => { log::$level!($($text)+) };
    ($level:ident, $($key:ident $(: $capture:tt)? = $value:expr),+; $($text:tt)+) => {
        log::$level!($($key $(: $capture)? = $value),+; $($text)+)
    };
}

#[cfg(not(feature = "log"))]
macro_rules! event {
    ($level:ident $(, $key:ident $(: $capture:tt)? = $value:expr)*; $($text:tt)+) => {{
        let _ = ($(&$value,)* format_args!($($text)+));
    }};
}

/// How often each kind of line was written of late.
#[derive(Debug, Default)]
pub(super) struct EventLog {
    refused: RateLimit,
    broken: RateLimit,
    paused: RateLimit,
    throttled: RateLimit,
}

/// What to do about it, where somebody has set something up in two ways that don't go together.
fn remedy(why: CloseReason) -> &'static str {
    match why {
        CloseReason::Refused(Refusal::ProxyHeader) => {
            ": the PROXY header is missing or malformed; configure the load balancer to send it \
             (HAProxy: send-proxy-v2, nginx: proxy_protocol)"
        }
        CloseReason::Refused(Refusal::OtherDigest) => {
            ": its proof is as long as an HMAC-MD5, or names another digest than SHA-256"
        }
        CloseReason::Refused(Refusal::Foreign(ForeignProtocol::Proxy)) => {
            "; its address is not that of a trusted load balancer"
        }
        _ => "",
    }
}

/// How an end is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    /// Peers come and go: in a line for those who look at every connection.
    Debug,
    /// Somebody should look at it.
    Warn,
}

impl Level {
    fn of(why: CloseReason) -> Self {
        match why {
            // The log has told of its network already.
            CloseReason::Refused(Refusal::Throttled) => Self::Debug,
            CloseReason::Refused(_)
            | CloseReason::WriteTimeout
            | CloseReason::ReplyTooLong
            | CloseReason::ReplyUnsendable
            | CloseReason::Overloaded
            | CloseReason::Panicked
            | CloseReason::Unavailable => Self::Warn,
            CloseReason::Finished
            | CloseReason::Answered
            | CloseReason::Reset
            | CloseReason::Truncated
            | CloseReason::Stopped
            | CloseReason::ClosedByService
            | CloseReason::IdleTimeout
            | CloseReason::Revoked
            | CloseReason::SessionAge => Self::Debug,
        }
    }
}

/// What has ended: in the log a refusal is what the counters call one, and nothing else is.
fn kind(why: CloseReason) -> &'static str {
    if why.is_refusal() { "refused" } else { "closed" }
}

impl EventLog {
    /// A connection ended before its peer had authenticated.
    pub(super) fn unauthenticated(
        &mut self,
        now: Instant,
        ended: &Ended<'_>,
        address: PeerAddress,
    ) {
        let (conn, listener, lasted, why) = ended.parts();
        if Level::of(why) == Level::Debug {
            event!(debug, peer:% = address, conn:% = conn, listener = listener,
                 secs = seconds(lasted);
                 "{}: {why}", kind(why));
        } else if let Some(suppressed) = self.refused.allows(now) {
            event!(warn, peer:% = address, conn:% = conn, listener = listener,
                 secs = seconds(lasted);
                 "{}: {why}{}{suppressed}", kind(why), remedy(why));
        }
    }

    /// Rejects a connection before it is registered.
    pub(super) fn rejected(
        &mut self,
        now: Instant,
        listener: &Listener,
        address: PeerAddress,
        why: CloseReason,
    ) {
        let name = listener.name();
        if why == CloseReason::Refused(Refusal::Throttled) {
            // Of its network was told already.
            event!(debug, peer:% = address, listener = name; "refused: {why}");
        } else if let Some(suppressed) = self.refused.allows(now) {
            let is_by_balancers =
                why == CloseReason::Refused(Refusal::Denied) && listener.is_by_balancers();
            let whom = if is_by_balancers { ": it is not one of the load balancers" } else { "" };
            event!(warn, peer:% = address, listener = name;
                 "refused: {why}{whom}{suppressed}");
        }
    }

    /// Logs that new connections of a network are delayed or rejected because of failed proofs.
    pub(super) fn throttled(
        &mut self,
        now: Instant,
        listener: &str,
        from: PeerAddress,
        admission: Admission,
    ) {
        if let Some(suppressed) = self.throttled.allows(now) {
            let place = from.ip().map_or(from.to_string(), |ip| ip.to_canonical().to_string());
            event!(warn, listener = listener, address:% = place;
                 "throttled: new connections are {admission}{suppressed}");
        }
    }

    /// A connection ended whose peer had authenticated with this key.
    pub(super) fn authenticated(&mut self, now: Instant, ended: &Ended<'_>, key: Option<&str>) {
        let (conn, listener, lasted, why) = ended.parts();
        if Level::of(why) == Level::Debug {
            event!(debug, conn:% = conn, listener = listener, secs = seconds(lasted), key = key;
                 "{}: {why}", kind(why));
        } else if let Some(suppressed) = self.broken.allows(now) {
            event!(warn, conn:% = conn, listener = listener, secs = seconds(lasted), key = key;
                 "{}: {why}{suppressed}", kind(why));
        }
    }

    /// Accepting has failed for want of something.
    pub(super) fn paused(&mut self, now: Instant, error: &std::io::Error) {
        if let Some(suppressed) = self.paused.allows(now) {
            event!(error; "accepting pauses: {error}; raise the limit on descriptors, or lower \
                          that on connections{suppressed}");
        }
    }

    /// The system gives no randomness, or won't watch a socket.
    pub(super) fn unavailable(
        &mut self,
        now: Instant,
        address: PeerAddress,
        error: &std::io::Error,
    ) {
        if let Some(suppressed) = self.broken.allows(now) {
            event!(error, peer:% = address; "rejected: system error: {error}{suppressed}");
        }
    }
}

/// A connection that has ended.
pub(super) struct Ended<'a> {
    pub(super) peer: PeerId,
    /// The name of the listener that it came by.
    pub(super) listener: &'a str,
    /// From accept to the end.
    pub(super) lasted: Duration,
    pub(super) why: CloseReason,
}

impl Ended<'_> {
    fn parts(&self) -> (PeerId, &str, Duration, CloseReason) {
        (self.peer, self.listener, self.lasted, self.why)
    }
}

/// A time as a log has it: to the hundredth of a second, which is how exactly it is known.
fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 100.0).round() / 100.0
}

/// A peer has authenticated, so long after it had come.
pub(super) fn opened(peer: &Peer<'_>, listener: &str, after: Duration) {
    let (address, id, key) = (peer.address(), peer.id(), peer.key());
    let dialect = peer.dialect();
    event!(debug, peer:% = address, conn:% = id, listener = listener, dialect:% = dialect,
         secs = seconds(after), key = key; "let in");
}

/// Logs how many connections are closed because their keys are no longer valid.
pub(super) fn revoked(connections: usize) {
    event!(info; "closing {connections} connections whose keys are no longer valid");
}

/// No connection is accepted any more.
pub(super) fn stopping(open: usize) {
    event!(info; "stopping; {open} connections are open");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_only_goes_away_is_no_warning() {
        let routine = [
            CloseReason::Reset,
            CloseReason::Truncated,
            CloseReason::Finished,
            CloseReason::Stopped,
            CloseReason::Revoked,
        ];
        assert!(routine.into_iter().all(|why| Level::of(why) == Level::Debug));
        for why in CloseReason::ALL.iter().copied() {
            assert_eq!(kind(why) == "refused", matches!(why, CloseReason::Refused(_)), "{why}");
            let is_warned = Level::of(why) == Level::Warn;
            assert!(!why.is_refusal() || is_warned || why == Refusal::Throttled.into(), "{why}");
        }
    }
}
