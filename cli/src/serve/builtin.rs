//! The built-in services, with what they need of the terminal and the system.

use std::fs;
use std::path::Path;

use countersign::Peer;
use countersign_serve::{AnyService, Faults, ListenerService, ServedService, with_faults};
use log::warn;

use crate::output::announce;

/// The services and the faults of the listeners, in their order, for a worker with this seed and
/// number. Peers whose handshake alone was wanted are printed on stdout.
pub(super) fn service(
    served: Vec<ListenerService>,
    faults: Vec<Faults>,
    seed: (u64, usize),
) -> ServedService {
    with_faults(AnyService::new(served, print_verified), faults, seed)
}

fn print_verified(peer: &Peer<'_>) {
    let key = peer.key().unwrap_or("-");
    announce(format_args!("verified {} key={key}", peer.address()));
}

/// chrono takes the zone of the system, or UTC, for one that it can't find, and says nothing.
pub(super) fn warn_of_unknown_zone() {
    let Ok(zone) = std::env::var("TZ") else { return };
    let name = zone.trim_start_matches(':');
    let posix = name.contains(|c: char| c.is_ascii_digit());
    let found = ["/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/etc/zoneinfo"]
        .iter()
        .filter_map(|directory| fs::read(Path::new(directory).join(name)).ok())
        // As such a file begins (RFC 9636, 3.1).
        .any(|file| file.starts_with(b"TZif"));
    if !(name.is_empty() || name == "UTC" || posix || found) {
        warn!("unknown time zone {name} in TZ: it is ignored");
    }
}
