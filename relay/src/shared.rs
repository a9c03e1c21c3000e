//! What all pairs share, lent to the one whose turn it is.

use std::collections::HashMap;
use std::time::Duration;

use countersign::engine::AdmissionControl;
use countersign::reactor::instant::{Clock, Instant};
use countersign::stats::Counters;
use countersign::{Limits, Protocol};
use mio::Registry;

use crate::limits::RelayLimits;
use crate::lookup::RelayTarget;

/// Which end of `countersign/1` this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelayRole {
    /// Accepts plain connections, and connects to the target in `countersign/1`.
    Client,
    /// Accepts `countersign/1`, and connects to the target in plain TCP.
    Server,
}

impl RelayRole {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

/// What all pairs share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) role: RelayRole,
    pub(crate) protocol: Protocol,
    /// Where pairs dial.
    pub(crate) lookup: RelayTarget,
    pub(crate) limits: RelayLimits,
    pub(crate) registry: Registry,
    pub(crate) clock: Clock,
    /// When this turn began.
    pub(crate) now: Instant,
    /// The time since 1970 then.
    pub(crate) wall: Duration,
    /// What was read.
    pub(crate) inbox: Box<[u8]>,
    /// What is relayed.
    pub(crate) outbox: Vec<u8>,
    /// What the session itself sends to the far end.
    pub(crate) control_out: Vec<u8>,
    /// The peers that have not authenticated, by slot. A proxy beside clients has none: its peers
    /// need not authenticate.
    pub(crate) admission: AdmissionControl,
    /// Received are the bytes from plain ends, sent those to plain ends.
    pub(crate) counters: Counters,
    /// Connections by the key that was proved, since the start.
    pub(crate) by_key: HashMap<Box<str>, u64>,
}

/// The rules for peers that have to authenticate, if they do in this role.
pub(crate) fn admission(role: RelayRole, limits: &RelayLimits) -> AdmissionControl {
    let limits = limits.admission.clone();
    AdmissionControl::new(match role {
        RelayRole::Client => Limits { unauthenticated: 1, failure_networks: 0, ..limits },
        RelayRole::Server => limits,
    })
}
