//! What has its turn besides the relay: signals, reloads and the service manager.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use countersign::KeyRing;
use countersign::stats::{Counters, ListenerStats};
use countersign_relay::Relay;
use log::info;

use super::tunnel::Tunnel;
use crate::admin::{Aggregate, StatsPublisher};
use crate::reload::{PendingReload, Reloader};
use crate::signals::{POLL_INTERVAL, SignalSet, Signals};
use crate::system;
use crate::systemd::SdNotify;
use crate::version::VERSION;

/// A relay, and what has a turn beside it.
pub(super) struct Daemon {
    relay: Relay,
    signals: Signals,
    tunnel: Tunnel,
    /// Reads the keys again, which there are none of where no protocol has them.
    reloader: Reloader<Option<KeyRing>>,
    manager: SdNotify,
    /// None without an admin listener.
    publisher: Option<StatsPublisher>,
    aggregate: Arc<Aggregate>,
    began: Instant,
    is_stopping: bool,
}

impl Daemon {
    /// Begins, and notifies the service manager that new connections are served.
    pub(super) fn begin(
        relay: Relay,
        signals: Signals,
        tunnel: Tunnel,
        (publisher, aggregate): (Option<StatsPublisher>, Arc<Aggregate>),
        (started, began): (SystemTime, Instant),
    ) -> Self {
        Self {
            relay,
            signals,
            tunnel,
            reloader: Reloader::new(started),
            manager: SdNotify::ready(),
            publisher,
            aggregate,
            began,
            is_stopping: false,
        }
    }

    /// Runs until a signal drains it; the next one stops it at once.
    pub(super) fn run(mut self) -> io::Result<()> {
        while !self.is_stopping || self.relay.open() > 0 {
            let latest = system::monotonic() + POLL_INTERVAL;
            let due = self.manager.due().map_or(latest, |due| due.min(latest));
            self.relay.turn(Some(due))?;
            self.handle_signals();
            self.reload();
            if let Some(publisher) = &self.publisher {
                publisher.publish(false, || self.relay.stats());
            }
            let stopping = "stopping: open connections continue to their end";
            self.manager.turn(self.is_stopping, stopping, || true);
        }
        let Counters { accepted, bytes_in, bytes_out, .. } = self.relay.counters();
        info!("stopped; {accepted} connections, {bytes_in} bytes out, {bytes_out} bytes back");
        Ok(())
    }

    /// Continues the reload, and begins the next.
    fn reload(&mut self) {
        if let Some(keys) = self.reloader.read() {
            keys.into_iter().for_each(|keys| self.relay.replace_keys(keys));
            // There is no other loop to wait for.
            let rings = self.tunnel.file.path().into_iter().collect();
            self.reloader.applying(PendingReload::default(), rings);
        }
        if let Some(reloads) = self.reloader.ended() {
            self.manager.reloaded(reloads);
            self.aggregate.set_reloads(reloads.clone());
        }
        if self.reloader.is_due() {
            self.manager.reloading();
            let (tunnel, role) = (self.tunnel.clone(), self.relay.role());
            let read = move || Ok(tunnel.config(role)?.keys().cloned());
            self.reloader.begin(self.relay.waker(), read);
        }
    }

    /// Handles the signals.
    fn handle_signals(&mut self) {
        let SignalSet { stop, reload, status } = self.signals.take();
        if stop {
            if std::mem::replace(&mut self.is_stopping, true) {
                self.relay.stop();
            } else {
                self.relay.drain();
                self.aggregate.drain();
            }
        }
        if reload {
            self.reloader.request();
        }
        if status {
            let up = system::monotonic().saturating_duration_since(self.began);
            self.log_status(up);
        }
    }

    /// Logs the status.
    fn log_status(&self, up: Duration) {
        let (stats, reloads) = (self.relay.stats(), self.reloader.reloads());
        let Some(listener) = stats.listeners.first() else { return };
        let ListenerStats { counters, connections, .. } = listener;
        let ended = counters.closed_by_reason().filter(|(_, count)| *count > 0);
        let ended: Vec<_> = ended.map(|(cause, count)| format!("{cause}:{count}")).collect();
        info!(
            version = VERSION,
            pid = std::process::id(),
            uptime_s = up.as_secs(),
            role = self.relay.role().name(),
            handshake = connections.delayed + connections.handshake + connections.closing,
            open = connections.open,
            most = listener.connections_max,
            memory_max = self.relay.memory_max(),
            throttled = listener.throttled,
            accepted = counters.accepted,
            authenticated = counters.authenticated,
            received = counters.bytes_in,
            sent = counters.bytes_out,
            ended = ended.join(","),
            draining = stats.is_draining,
            reloads = reloads.succeeded,
            reloads_failed = reloads.failed,
            last_reload = reloads.last.map(|date| date.to_string()),
            reload_error = reloads.last_error.as_deref();
            "status"
        );
    }
}
