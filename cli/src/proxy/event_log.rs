//! What the proxy says in the log: one line an event, none for what is carried.
//!
//! Peers decide how often they are refused, so lines of one kind are limited to a few a second, and
//! the next one says how many were suppressed.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use countersign::{Admission, ClientError, CloseReason, NoUsableKeyError, Refusal};
use log::{debug, error, warn};

use super::shared::Role;
use crate::exit::{self, plain};

/// How many lines of one kind a second may have.
const LINES_PER_SECOND: u32 = 10;

/// Why a pair has ended.
#[derive(Debug)]
pub(super) enum CloseCause {
    /// Both directions were carried to their ends.
    Finished,
    /// The far end's stream ended without a good-bye, so it may lack its end.
    Truncated,
    /// The plain connection broke.
    Plain(io::Error),
    /// The connection to the far end broke.
    Secure(io::Error),
    /// The far end did what it must not do, or proved nothing, or refused us.
    Refused(Refusal),
    /// Where we dial, nobody answers.
    Unreachable(io::Error),
    /// No key is valid at this time.
    NoKey(NoUsableKeyError),
    /// Nothing was carried for too long.
    Idle,
    /// The key has gone from the ring, or has run out.
    Revoked,
    /// We were told to stop.
    Stopped,
    /// The system failed us.
    Unavailable(io::Error),
}

/// What the log says about a pair.
#[derive(Debug, Clone, Copy)]
pub(super) struct PairInfo {
    pub(super) role: Role,
    /// Who called.
    pub(super) address: SocketAddr,
    /// Which connection it is, from 1 on.
    pub(super) number: u64,
    /// The handshake was over.
    pub(super) is_open: bool,
}

/// The log of the proxy, with a rate limit for each kind of line.
#[derive(Debug, Default)]
pub(super) struct EventLog {
    refused: RateLimit,
    broken: RateLimit,
    unreachable: RateLimit,
    lookups: RateLimit,
    throttled: RateLimit,
    paused: RateLimit,
}

impl EventLog {
    /// A pair has ended.
    pub(super) fn ended(&mut self, now: Instant, info: PairInfo, cause: &CloseCause) {
        let PairInfo { role, address, number, is_open } = info;
        let (limit, text) = match (cause, role) {
            (CloseCause::Refused(refusal), Role::Client) => {
                // In the words that whoever dials by hand reads.
                let reason = exit::client(&ClientError::from(*refusal));
                (&mut self.refused, format!("refused: {}: {reason}", refusal.name()))
            }
            (CloseCause::Refused(refusal), Role::Server) if is_open => {
                (&mut self.broken, format!("cut: {}: {refusal}", refusal.name()))
            }
            (CloseCause::Refused(Refusal::Throttled), Role::Server) => {
                // Of its network was told already.
                debug!(peer:% = address, conn = number; "refused: {cause}");
                return;
            }
            (CloseCause::Refused(refusal), Role::Server) => {
                (&mut self.refused, format!("refused: {}", refusal.name()))
            }
            (CloseCause::NoKey(reason), _) => (&mut self.refused, reason.to_string()),
            (CloseCause::Truncated | CloseCause::Secure(_), Role::Client) if !is_open => {
                let text = "refused: the far end hung up inside the handshake; does it speak \
                            countersign/1?";
                (&mut self.refused, text.to_owned())
            }
            (CloseCause::Truncated, _) if is_open => {
                (&mut self.broken, "cut: the far end's stream lacks its end".to_owned())
            }
            (CloseCause::Unreachable(reason), _) => {
                let target = if role == Role::Client { "the far end" } else { "the target" };
                let text = format!("cannot connect to {target}: {}", plain(reason));
                (&mut self.unreachable, text)
            }
            (CloseCause::Unavailable(reason), _) => {
                (&mut self.broken, format!("rejected: system error: {}", plain(reason)))
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

    /// So many proofs from an address' network were wrong that callers are received like this.
    pub(super) fn throttled(&mut self, now: Instant, from: SocketAddr, admission: Admission) {
        if let Some(suppressed) = self.throttled.allows(now) {
            let address = from.ip().to_canonical();
            let received = if admission == Admission::Delay { "delayed" } else { "refused" };
            warn!(address:% = address; "throttled: newcomers are {received}{suppressed}");
        }
    }

    /// The target could not be looked up.
    pub(super) fn lookup_failed(&mut self, now: Instant, reason: &io::Error) {
        if let Some(suppressed) = self.lookups.allows(now) {
            let reason = plain(reason);
            warn!("cannot look up the target: {reason}; its last addresses are used{suppressed}");
        }
    }

    /// Accepting has failed for want of something.
    pub(super) fn paused(&mut self, now: Instant, reason: &io::Error) {
        if let Some(suppressed) = self.paused.allows(now) {
            let reason = plain(reason);
            error!(
                "accepting pauses: {reason}; raise the limit on descriptors, or lower \
                    --max-connections{suppressed}"
            );
        }
    }
}

/// Both ends have proved themselves.
pub(super) fn opened(info: PairInfo, key: &str) {
    let PairInfo { role, address, number, .. } = info;
    let text = if role == Role::Client { "the far end has proved itself" } else { "let in" };
    debug!(peer:% = address, conn = number, key; "{text}");
}

impl CloseCause {
    /// The same as counters have it.
    pub(super) fn close(&self) -> CloseReason {
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
            Self::Finished => f.write_str("finished"),
            Self::Truncated => f.write_str("cut"),
            Self::Plain(error) => write!(f, "the plain end broke: {}", plain(error)),
            Self::Secure(error) => write!(f, "the far end broke: {}", plain(error)),
            Self::Refused(refusal) => f.write_str(refusal.name()),
            Self::Unreachable(error) | Self::Unavailable(error) => f.write_str(&plain(error)),
            Self::NoKey(error) => error.fmt(f),
            Self::Idle => f.write_str("idle-timeout"),
            Self::Revoked => f.write_str("revoked"),
            Self::Stopped => f.write_str("stopped"),
        }
    }
}

/// One kind of line.
#[derive(Debug, Default)]
struct RateLimit {
    /// When the second began that is counted.
    since: Option<Instant>,
    /// The lines of this second, with those that were suppressed.
    lines: u32,
}

/// How many lines were suppressed, where there were any.
struct Suppressed(u32);

impl RateLimit {
    /// Whether a line may be written, and how many were suppressed before it.
    fn allows(&mut self, now: Instant) -> Option<Suppressed> {
        let mut suppressed = 0;
        if self.since.is_none_or(|since| now >= since + Duration::from_secs(1)) {
            suppressed = self.lines.saturating_sub(LINES_PER_SECOND);
            *self = Self { since: Some(now), lines: 0 };
        }
        self.lines = self.lines.saturating_add(1);
        (self.lines <= LINES_PER_SECOND).then_some(Suppressed(suppressed))
    }
}

impl fmt::Display for Suppressed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 { Ok(()) } else { write!(f, " (and {} more like it before)", self.0) }
    }
}
