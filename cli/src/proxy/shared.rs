//! What all pairs share, lent to the one whose turn it is.

use std::collections::HashMap;

use clap::ValueEnum;
use countersign::engine::AdmissionControl;
use countersign::reactor::instant::{Clock, Instant};
use countersign::stats::Counters;
use countersign::{Limits, Protocol};
use mio::Registry;

use super::limits::RelayLimits;
use super::lookup::Lookup;

/// Which end of `countersign/1` this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Role {
    /// Accepts plain connections at --listen, and connects to --target in countersign/1
    Client,
    /// Accepts countersign/1 at --listen, and connects to --target in plain TCP
    Server,
}

impl Role {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

/// What all pairs share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) role: Role,
    pub(super) protocol: Protocol,
    /// Where pairs dial.
    pub(super) lookup: Lookup,
    pub(super) limits: RelayLimits,
    pub(super) registry: Registry,
    pub(super) clock: Clock,
    /// When this turn began.
    pub(super) now: Instant,
    /// What was read.
    pub(super) inbox: Box<[u8]>,
    /// What is relayed.
    pub(super) outbox: Vec<u8>,
    /// What the session itself sends to the far end.
    pub(super) control_out: Vec<u8>,
    /// The peers that have not authenticated, by slot. A proxy beside clients has none: its peers
    /// need not authenticate.
    pub(super) admission: AdmissionControl,
    /// Received are the bytes from plain ends, sent those to plain ends.
    pub(super) counters: Counters,
    /// Connections by the key that was proved, since the start.
    pub(super) by_key: HashMap<Box<str>, u64>,
}

/// The rules for peers that have to authenticate, if they do in this role.
pub(super) fn admission(role: Role, limits: &RelayLimits) -> AdmissionControl {
    let limits = limits.admission();
    AdmissionControl::new(match role {
        Role::Client => Limits { unauthenticated: 1, failure_networks: 0, ..limits },
        Role::Server => limits,
    })
}
