//! What the loop logs: one line for each event, none for messages.
//!
//! Peers decide how often they are refused, so lines of one kind are limited to a few a second, and
//! the next one says how many were suppressed. Without the feature `log`, nothing is logged.

use std::time::Duration;

use countersign_proto::{Dialect, ForeignProtocol, Refusal};

use crate::contract::close::CloseReason;
use crate::contract::peer::{Peer, PeerAddress, PeerId};
use crate::reactor::instant::{CompactInstant, Instant};
use crate::reactor::rate_limit::RateLimit;
use crate::server::admission::Admission;
use crate::server::listener::Listener;

/// Logs a line with its keys.
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

/// The rate limits of the log, one for each kind of line.
#[derive(Debug, Default)]
pub(super) struct EventLog {
    refused: RateLimit,
    broken: RateLimit,
    paused: RateLimit,
    throttled: RateLimit,
}

/// The remedy, for reasons that come from settings that don't fit together.
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

/// How the end of a connection is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    /// A normal end, for users who follow every connection.
    Debug,
    /// An end that somebody should look into.
    Warn,
}

impl Level {
    fn of(why: CloseReason) -> Self {
        match why {
            // Its network has been logged already.
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
            | CloseReason::SessionAge
            | CloseReason::InjectedFault => Self::Debug,
        }
    }
}

/// The first word of the line: the log calls refusals what the counters call so.
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
        let Ended { peer: conn, listener, since, why } = *ended;
        if Level::of(why) == Level::Debug {
            event!(debug, peer:% = address, conn:% = conn, listener = listener,
                 secs = seconds(since.passed(now));
                 "{}: {why}", kind(why));
        } else if let Some(suppressed) = self.refused.allows(now) {
            event!(warn, peer:% = address, conn:% = conn, listener = listener,
                 secs = seconds(since.passed(now));
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
        if Level::of(why) == Level::Debug {
            event!(debug, peer:% = address, listener = name; "{}: {why}", kind(why));
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
    #[inline]
    pub(super) fn authenticated(&mut self, now: Instant, ended: &Ended<'_>, key: Option<&str>) {
        if follows_connections() || Level::of(ended.why) == Level::Warn {
            self.log_authenticated(now, ended, key);
        }
    }

    #[cold]
    fn log_authenticated(&mut self, now: Instant, ended: &Ended<'_>, key: Option<&str>) {
        let Ended { peer: conn, listener, since, why } = *ended;
        if Level::of(why) == Level::Debug {
            event!(debug, conn:% = conn, listener = listener,
                 secs = seconds(since.passed(now)), key = key;
                 "{}: {why}", kind(why));
        } else if let Some(suppressed) = self.broken.allows(now) {
            event!(warn, conn:% = conn, listener = listener,
                 secs = seconds(since.passed(now)), key = key;
                 "{}: {why}{suppressed}", kind(why));
        }
    }

    /// Accepting has failed for lack of descriptors or memory.
    pub(super) fn paused(&mut self, now: Instant, error: &std::io::Error) {
        if let Some(suppressed) = self.paused.allows(now) {
            event!(error; "accepting pauses: {error}; raise the limit on descriptors, or lower \
                          that on connections{suppressed}");
        }
    }

    /// The system provides no random bytes, or refuses to watch a socket.
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
    /// The name of its listener.
    pub(super) listener: &'a str,
    /// When it was accepted.
    pub(super) since: CompactInstant<10>,
    pub(super) why: CloseReason,
}

/// A time in seconds, to the hundredth: it isn't known more precisely.
fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 100.0).round() / 100.0
}

/// Whether lines of the level debug are logged, one or two for each connection. Where they aren't,
/// nothing is prepared for them.
#[inline]
fn follows_connections() -> bool {
    #[cfg(feature = "log")]
    return log::max_level() >= log::LevelFilter::Debug;
    #[cfg(not(feature = "log"))]
    return false;
}

/// Logs that a peer has authenticated, whose connection was accepted at `since`.
#[inline]
pub(super) fn opened(peer: &Peer<'_>, listener: &str, (since, now): (CompactInstant<10>, Instant)) {
    if follows_connections() {
        log_opened(peer, listener, (since, now));
    }
}

#[cold]
fn log_opened(peer: &Peer<'_>, listener: &str, (since, now): (CompactInstant<10>, Instant)) {
    let (address, id, key) = (peer.address(), peer.id(), peer.key());
    let dialect = peer.dialect();
    let records = (dialect == Dialect::Countersign).then(|| match () {
        () if peer.is_sealed() => "sealed",
        () if peer.is_protected() => "tagged",
        () => "off",
    });
    event!(debug, peer:% = address, conn:% = id, listener = listener, dialect:% = dialect,
         records = records, secs = seconds(since.passed(now)), key = key; "authenticated");
}

/// Logs how many connections are closed because their keys are no longer valid.
pub(super) fn revoked(connections: usize) {
    event!(info; "closing {connections} connections whose keys are no longer valid");
}

/// Logs that the server accepts no more connections.
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
