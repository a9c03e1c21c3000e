//! The status report in the log.

use std::time::Instant;

use countersign::stats::ListenerStats;
use countersign::{Key, Listener, Server};
use countersign_serve::ServedService;
use log::info;

use crate::reload::Reloads;
use crate::system;
use crate::version::VERSION;

/// One line for the process, of which this is one worker's server.
pub(super) fn log_process(
    server: &Server<ServedService>,
    workers: usize,
    began: Instant,
    reloads: &Reloads,
) {
    let up = system::monotonic().saturating_duration_since(began);
    info!(
        version = VERSION,
        pid = std::process::id(),
        uptime_s = up.as_secs(),
        workers,
        memory_max = workers * server.memory_max().total,
        draining = server.is_draining(),
        reloads = reloads.succeeded,
        reloads_failed = reloads.failed,
        last_reload = reloads.last.map(|date| date.to_string()),
        reload_error = reloads.last_error.as_deref();
        "status"
    );
}

/// One line for each listener.
pub(super) fn log(server: &Server<ServedService>, worker: Option<usize>) {
    for (listener, stats) in server.listeners().iter().zip(server.stats().listeners) {
        let ListenerStats { info, counters, connections, .. } = &stats;
        let ended = counters.closed_by_reason().filter(|(_, count)| *count > 0);
        let ended: Vec<_> = ended.map(|(why, count)| format!("{why}:{count}")).collect();
        let faults = counters.faults_by_kind().filter(|(_, count)| *count > 0);
        let faults: Vec<_> = faults.map(|(kind, count)| format!("{kind}:{count}")).collect();
        info!(
            worker,
            listener = info.name.as_str(),
            addresses = info.addresses.join(","),
            keys = keys(listener),
            delayed = connections.delayed,
            handshake = connections.handshake,
            open = connections.open,
            closing = connections.closing,
            most = stats.connections_max,
            buffered = stats.buffered,
            buffered_max = stats.buffered_max,
            throttled = stats.throttled,
            accepted = counters.accepted,
            authenticated = counters.authenticated,
            messages = counters.messages,
            received = counters.bytes_in,
            sent = counters.bytes_out,
            accept_pauses = counters.accept_pauses,
            ended = ended.join(","),
            faults = faults.join(",");
            "status of a listener"
        );
    }
}

fn keys(listener: &Listener) -> String {
    let Some(ring) = listener.config().keys() else { return String::new() };
    let now = system::unix_time();
    ring.keys().filter(|key| key.is_valid_at(now)).map(Key::id).collect::<Vec<_>>().join(",")
}
