//! The limits of all listeners, within the descriptors that the system gives.

use countersign::Limits;
use log::warn;

use crate::args::listener::ListenerArgs;
use crate::exit::Failure;
use crate::system::{DESCRIPTORS_RESERVED, raise_descriptors};

/// The limits of each listener, with enough descriptors for all of them and this many more, or as
/// many as the system allows.
pub(super) fn limits(listeners: &[ListenerArgs], beside: usize) -> Result<Vec<Limits>, Failure> {
    let wanted = listeners.iter().map(|args| args.limits.max_connections);
    let wanted = wanted.fold(0, usize::saturating_add);
    let given = raise_descriptors(wanted.saturating_add(beside) as u64)?;
    let room = usize::try_from(given.saturating_sub(DESCRIPTORS_RESERVED)).unwrap_or(usize::MAX);
    let room = room.saturating_sub(beside);
    let shares: Vec<usize> =
        listeners.iter().map(|args| share(args.limits.max_connections, wanted, room)).collect();
    if room < wanted {
        let room: usize = shares.iter().sum();
        let set = |args: &ListenerArgs| args.origins.assignment("max-connections");
        let set: String =
            listeners.iter().filter_map(set).map(|assignment| format!("; {assignment}")).collect();
        warn!("{given} descriptors allow for {room} connections; raise ulimit -n{set}");
    }
    let limits = listeners.iter().zip(shares).map(|(args, connections)| {
        let ListenerArgs { limits, protocol, service, .. } = args;
        Limits { connections, ..limits.limits(protocol.message_max.max(service.reply_max())) }
    });
    Ok(limits.collect())
}

/// The share of the room for one listener, in proportion to what it wants; at least one.
fn share(wants: usize, wanted: usize, room: usize) -> usize {
    if wanted <= room {
        return wants;
    }
    let share = wants as u128 * room as u128 / wanted.max(1) as u128;
    usize::try_from(share).unwrap_or(room).max(1)
}
