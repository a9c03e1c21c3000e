//! State that all pairs share, lent to the pair whose turn it is.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use countersign::config::SessionConfig;
use countersign::engine::AdmissionControl;
use countersign::reactor::instant::{Clock, Instant};
use countersign::stats::Counters;
use countersign::{ClientConfig, KeyRing, Limits, ServerConfig};
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

/// The configuration towards the far end, as its client or its server.
#[derive(Debug, Clone)]
pub enum RelayConfig {
    /// Accepts plain connections, and connects to the target in `countersign/1`.
    Client(Arc<ClientConfig>),
    /// Accepts `countersign/1`, and connects to the target in plain TCP.
    Server(Arc<ServerConfig>),
}

impl RelayConfig {
    /// The end that it is for.
    #[must_use]
    pub fn role(&self) -> RelayRole {
        match self {
            Self::Client(_) => RelayRole::Client,
            Self::Server(_) => RelayRole::Server,
        }
    }

    /// The same configuration with other keys.
    pub(crate) fn with_keys(&self, ring: KeyRing) -> Self {
        match self {
            Self::Client(config) => Self::Client(Arc::new(config.with_keys(ring))),
            Self::Server(config) => Self::Server(Arc::new(config.with_keys(ring))),
        }
    }
}

impl Deref for RelayConfig {
    type Target = SessionConfig;

    fn deref(&self) -> &SessionConfig {
        match self {
            Self::Client(config) => config,
            Self::Server(config) => config,
        }
    }
}

/// What all pairs share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) role: RelayRole,
    pub(crate) config: RelayConfig,
    /// Where pairs dial.
    pub(crate) lookup: RelayTarget,
    pub(crate) limits: RelayLimits,
    pub(crate) registry: Registry,
    pub(crate) clock: Clock,
    /// When this turn began.
    pub(crate) now: Instant,
    /// The time since 1970 at that instant.
    pub(crate) wall: Duration,
    /// The buffer for input.
    pub(crate) inbox: Box<[u8]>,
    /// The buffer for relayed data.
    pub(crate) outbox: Vec<u8>,
    /// The buffer for what the session itself sends to the far end.
    pub(crate) control_out: Vec<u8>,
    /// The peers that have not authenticated, by slot. A proxy beside clients has none: its peers
    /// need not authenticate.
    pub(crate) admission: AdmissionControl,
    /// The counters. Bytes count as received from plain ends, and as sent to them.
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
