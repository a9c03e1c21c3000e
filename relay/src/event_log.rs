//! The log of the proxy: one line for each event, and none for relayed data.
//!
//! Peers decide how often they are refused, so lines of one kind have a rate limit.

use std::fmt;
use std::io;

use countersign::engine::Admission;
use countersign::os_error::{chain, describe};
use countersign::reactor::instant::Instant;
use countersign::reactor::rate_limit::RateLimit;
use countersign::{ClientError, CloseReason, NoUsableKeyError, PeerAddress, Refusal};
use log::{debug, error, warn};

use crate::shared::RelayRole;

/// Why a pair has ended.
#[derive(Debug)]
pub(crate) enum CloseCause {
    /// Both directions were relayed to their ends.
    Finished,
    /// The far end's stream ended without a close record, so it may be truncated.
    Truncated,
    /// The plain connection broke.
    Plain(io::Error),
    /// The connection to the far end broke.
    Secure(io::Error),
    /// The far end violated the protocol, did not authenticate, or refused us.
    Refused(Refusal),
    /// The target does not answer.
    Unreachable(io::Error),
    /// No key is valid at this time.
    NoKey(NoUsableKeyError),
    /// Nothing was relayed for too long.
    Idle,
    /// The key was removed from the ring, or has expired.
    Revoked,
    /// The proxy was stopped.
    Stopped,
    /// A call of the system failed.
    Unavailable(io::Error),
}

/// The fields of a pair in the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PairInfo {
    pub(crate) role: RelayRole,
    /// The peer that connected.
    pub(crate) address: PeerAddress,
    /// Which connection it is, from 1 on.
    pub(crate) number: u64,
    /// The handshake was over.
    pub(crate) is_open: bool,
}

/// The log of the relay, with a rate limit for each kind of line.
#[derive(Debug, Default)]
pub(crate) struct RelayLog {
    refused: RateLimit,
    broken: RateLimit,
    unreachable: RateLimit,
    lookups: RateLimit,
    throttled: RateLimit,
    paused: RateLimit,
}

impl RelayLog {
    /// A pair has ended.
    pub(crate) fn ended(&mut self, now: Instant, info: PairInfo, cause: &CloseCause) {
        let PairInfo { role, address, number, is_open } = info;
        let (limit, text) = match (cause, role) {
            (CloseCause::Refused(refusal), RelayRole::Client) => {
                let reason = chain(&ClientError::from(*refusal));
                (&mut self.refused, format!("refused: {}: {reason}", refusal.name()))
            }
            (CloseCause::Refused(refusal), RelayRole::Server) if is_open => {
                (&mut self.broken, format!("closed: {}: {refusal}", refusal.name()))
            }
            (CloseCause::Refused(Refusal::Throttled), RelayRole::Server) => {
                // Its network was already logged.
                debug!(peer:% = address, conn = number; "refused: {cause}");
                return;
            }
            (CloseCause::Refused(refusal), RelayRole::Server) => {
                (&mut self.refused, format!("refused: {}", refusal.name()))
            }
            (CloseCause::NoKey(reason), _) => (&mut self.refused, reason.to_string()),
            (CloseCause::Truncated | CloseCause::Secure(_), RelayRole::Client) if !is_open => {
                let text = "refused: the far end closed the connection during the handshake; does \
                            it speak countersign/1?";
                (&mut self.refused, text.to_owned())
            }
            (CloseCause::Truncated, _) if is_open => {
                (&mut self.broken, "truncated: the far end's stream lacks its end".to_owned())
            }
            (CloseCause::Unreachable(reason), _) => {
                let target = if role == RelayRole::Client { "the far end" } else { "the target" };
                let text = format!("cannot connect to {target}: {}", describe(reason));
                (&mut self.unreachable, text)
            }
            (CloseCause::Unavailable(reason), _) => {
                (&mut self.broken, format!("rejected: system error: {}", describe(reason)))
            }
            (routine, _) => {
                debug!(peer:% = address, conn = number; "closed: {routine}");
                return;
            }
        };
        if let Some(suppressed) = limit.allows(now) {
            warn!(peer:% = address, conn = number; "{text}{suppressed}");
        }
    }

    /// Too many proofs from the network of this address were wrong, so its connections are delayed
    /// or rejected.
    pub(crate) fn throttled(&mut self, now: Instant, from: PeerAddress, admission: Admission) {
        if let Some(suppressed) = self.throttled.allows(now) {
            let address = from.ip().map_or_else(|| from.to_string(), |ip| ip.to_string());
            let received = if admission == Admission::Delay { "delayed" } else { "refused" };
            warn!(address:% = address; "throttled: new connections are {received}{suppressed}");
        }
    }

    /// The target could not be looked up.
    pub(crate) fn lookup_failed(&mut self, now: Instant, reason: &io::Error) {
        if let Some(suppressed) = self.lookups.allows(now) {
            let reason = describe(reason);
            warn!("cannot look up the target: {reason}; using its last addresses{suppressed}");
        }
    }

    /// Accepting has failed because a resource has run out.
    pub(crate) fn paused(&mut self, now: Instant, reason: &io::Error) {
        if let Some(suppressed) = self.paused.allows(now) {
            let reason = describe(reason);
            error!(
                "accepting pauses: {reason}; raise the limit on descriptors, or lower \
                    --max-connections{suppressed}"
            );
        }
    }
}

/// Both ends have authenticated.
pub(crate) fn opened(info: PairInfo, key: &str) {
    let PairInfo { role, address, number, .. } = info;
    let text =
        if role == RelayRole::Client { "the far end has authenticated" } else { "authenticated" };
    debug!(peer:% = address, conn = number, key; "{text}");
}

impl CloseCause {
    /// The reason by which it is counted.
    pub(crate) fn reason(&self) -> CloseReason {
        match self {
            Self::Finished => CloseReason::Finished,
            Self::Truncated => CloseReason::Truncated,
            Self::Plain(_) | Self::Secure(_) => CloseReason::Reset,
            Self::Refused(refusal) => (*refusal).into(),
            Self::Unreachable(_) | Self::NoKey(_) | Self::Unavailable(_) => {
                CloseReason::Unavailable
            }
            Self::Idle => CloseReason::IdleTimeout,
            Self::Revoked => CloseReason::Revoked,
            Self::Stopped => CloseReason::Stopped,
        }
    }
}

impl fmt::Display for CloseCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(error) => write!(f, "the plain connection failed: {}", describe(error)),
            Self::Secure(error) => {
                write!(f, "the countersign/1 connection failed: {}", describe(error))
            }
            other => other.reason().fmt(f),
        }
    }
}
