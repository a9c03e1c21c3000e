//! What all pairs share, lent to the one whose turn it is.

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use countersign::Protocol;
use countersign::stats::Counters;
use mio::Registry;

use super::admission::Callers;
use super::bounds::Bounds;
use super::lookup::Lookup;

/// Which end of `countersign/1` this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Role {
    /// Accepts plain connections at --listen, and connects to --to in countersign/1
    Client,
    /// Accepts countersign/1 at --listen, and connects to --to in plain TCP
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
    pub(super) bounds: Bounds,
    /// How long a caller is delayed whose network has failed too often.
    pub(super) failure_delay: Duration,
    pub(super) registry: Registry,
    /// When this turn began.
    pub(super) now: Instant,
    /// What was read.
    pub(super) inbox: Box<[u8]>,
    /// What is carried on.
    pub(super) outbox: Vec<u8>,
    /// What the session itself has to say to the far end.
    pub(super) words: Vec<u8>,
    pub(super) bytes: ByteCounts,
    /// The callers that have not authenticated.
    pub(super) callers: Callers,
    pub(super) counters: Counters,
    /// Connections by the key that was proved, since the start.
    pub(super) by_key: HashMap<Box<str>, u64>,
}

/// How much was carried, in bytes.
#[derive(Debug, Default)]
pub(super) struct ByteCounts {
    /// From plain ends.
    pub(super) out: u64,
    /// To plain ends.
    pub(super) back: u64,
}

impl fmt::Display for ByteCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { out, back } = self;
        write!(f, "{out} bytes out, {back} bytes back")
    }
}
