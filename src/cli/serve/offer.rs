//! The services that the program brings, as one: each connection is served what its listener
//! offers.

use std::path::Path;

use clap::builder::PossibleValue;
use countersign::services::{Echo, Timestamp};
use countersign::{CloseReason, Peer, Reply, Service};
use log::warn;

use crate::cli::output::announce;

/// A service, by the name that is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offer {
    Timestamp,
    Echo,
    Discard,
}

impl Offer {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Timestamp => "timestamp",
            Self::Echo => "echo",
            Self::Discard => "discard",
        }
    }
}

pub(super) fn offers() -> Vec<(Offer, PossibleValue)> {
    let offer = |offer: Offer, help| (offer, PossibleValue::new(offer.name()).help(help));
    vec![
        offer(Offer::Timestamp, "each message comes back with the time in front"),
        offer(Offer::Echo, "each message comes back"),
        offer(Offer::Discard, "each message is dropped"),
    ]
}

/// What one listener serves; every connection keeps a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Served {
    /// Stamps in local time.
    Local,
    /// Stamps in UTC.
    Utc,
    Echo,
    Discard,
    /// Nothing but the handshake: who was verified is said on stdout.
    Verdict,
}

/// The services of all listeners.
#[derive(Debug)]
pub(super) struct Offered {
    local: Timestamp,
    utc: Timestamp,
    /// What each listener serves, in their order.
    served: Vec<Served>,
}

impl Offered {
    pub(super) fn new(served: Vec<Served>) -> Self {
        Self { local: Timestamp::local(), utc: Timestamp::utc(), served }
    }

    /// What isn't the default: apart, so that it doesn't keep that from becoming a part of the
    /// loop.
    #[inline(never)]
    fn other(&mut self, served: Served, message: &[u8], reply: &mut Reply<'_>) {
        match served {
            Served::Local | Served::Discard | Served::Verdict => {}
            Served::Utc => self.utc.message(&mut (), message, reply),
            Served::Echo => Echo.message(&mut (), message, reply),
        }
    }

    /// What the listener serves that a peer came by.
    fn served_to(&self, peer: &Peer<'_>) -> Served {
        self.served.get(peer.listener()).copied().unwrap_or(Served::Discard)
    }
}

impl Service for Offered {
    type State = Served;

    fn open(&mut self, peer: &Peer<'_>, _reply: &mut Reply<'_>) -> Served {
        let served = self.served_to(peer);
        if served == Served::Verdict {
            let key = peer.key().unwrap_or("-");
            announce(format_args!("verified {} key={key}", peer.address()));
        }
        served
    }

    #[inline(always)]
    fn message(&mut self, served: &mut Served, message: &[u8], reply: &mut Reply<'_>) {
        match served {
            Served::Local => self.local.message(&mut (), message, reply),
            _ => self.other(*served, message, reply),
        }
    }

    fn close(&mut self, _served: Served, _why: CloseReason) {}
}

/// chrono gives UTC for a zone that it can't find, and says nothing.
pub(super) fn warn_of_unknown_zone() {
    let Ok(zone) = std::env::var("TZ") else { return };
    let name = zone.trim_start_matches(':');
    let posix = name.contains(|c: char| c.is_ascii_digit());
    let found = ["/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/etc/zoneinfo"]
        .iter()
        .any(|directory| Path::new(directory).join(name).is_file());
    if !(name.is_empty() || name == "UTC" || posix || found) {
        warn!("the time zone {name} in TZ isn't known here: stamps are in UTC");
    }
}
