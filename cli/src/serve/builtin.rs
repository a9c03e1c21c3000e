//! The services of the program, as one: a connection gets the service of its listener.

use std::path::Path;

use countersign::services::{Echo, Messages, Processed, Timestamp};
use countersign::{Peer, Reply, Service};
use log::warn;

use crate::output::announce;

/// What one listener serves; every connection keeps a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ServiceState {
    /// Stamps in local time.
    Local,
    /// Stamps in UTC.
    Utc,
    Echo,
    Discard,
    /// Only the handshake: verified peers are printed on stdout.
    Verdict,
}

/// The services of all listeners.
#[derive(Debug)]
pub(super) struct AnyService {
    local: Timestamp,
    utc: Timestamp,
    /// What each listener serves, in their order.
    served: Vec<ServiceState>,
}

impl AnyService {
    pub(super) fn new(served: Vec<ServiceState>) -> Self {
        Self { local: Timestamp::local(), utc: Timestamp::utc(), served }
    }

    /// The other services, in a function of their own, so that only the usual ones are inlined into
    /// the loop.
    #[inline(never)]
    fn other(&mut self, served: ServiceState, message: &[u8], reply: &mut Reply<'_>) {
        match served {
            ServiceState::Local | ServiceState::Discard | ServiceState::Verdict => {}
            ServiceState::Utc => self.utc.message(&mut (), message, reply),
            ServiceState::Echo => Echo.message(&mut (), message, reply),
        }
    }
}

impl Service for AnyService {
    type State = ServiceState;

    fn open(&mut self, peer: &Peer<'_>, _reply: &mut Reply<'_>) -> ServiceState {
        let served = self.served.get(peer.listener().index()).copied();
        let served = served.unwrap_or(ServiceState::Discard);
        if served == ServiceState::Verdict {
            let key = peer.key().unwrap_or("-");
            announce(format_args!("verified {} key={key}", peer.address()));
        }
        served
    }

    #[inline(always)]
    fn message(&mut self, served: &mut ServiceState, message: &[u8], reply: &mut Reply<'_>) {
        match served {
            ServiceState::Local => self.local.message(&mut (), message, reply),
            _ => self.other(*served, message, reply),
        }
    }

    #[inline(always)]
    fn messages(&mut self, served: &mut ServiceState, messages: Messages<'_>) -> Processed {
        match served {
            ServiceState::Local => self.local.messages(&mut (), messages),
            ServiceState::Echo => Echo.messages(&mut (), messages),
            _ => messages.for_each(|message, reply| self.other(*served, message, reply)),
        }
    }
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
        warn!("unknown time zone {name} in TZ: timestamps are in UTC");
    }
}
