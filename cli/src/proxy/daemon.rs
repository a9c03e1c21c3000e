//! What has a turn beside the relay: signals, reloads and the service manager.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::time::Instant;

use countersign::KeyRing;
use countersign::stats::Counters;
use log::{info, warn};
use mio::Waker;

use super::Tunnel;
use super::relay::Relay;
use super::shared::Role;
use super::stats::RelayPublisher;
use crate::exit::Failure;
use crate::reload::{self, PATIENCE, Progress, Reloader};
use crate::signals::{SignalSet, Signals};
use crate::system;
use crate::systemd::ServiceManager;

/// A relay, and what has a turn beside it.
#[derive(Debug)]
pub(super) struct Daemon {
    relay: Relay,
    signals: Signals,
    reloader: Reloader,
    progress: Arc<Progress>,
    /// Where keys arrive that were reloaded.
    keys: Receiver<Keys>,
    manager: ServiceManager,
    /// None without an admin listener.
    publisher: Option<RelayPublisher>,
    began: Instant,
    is_stopping: bool,
}

/// Keys that were reloaded.
#[derive(Debug)]
struct Keys {
    ring: KeyRing,
    /// Here the relay says that it has them.
    taken: Sender<()>,
}

/// Reads the keys again.
#[derive(Debug)]
struct Reload {
    tunnel: Tunnel,
    role: Role,
    keys: SyncSender<Keys>,
    waker: Arc<Waker>,
}

impl reload::Task for Reload {
    fn once(&mut self) -> Result<(), Failure> {
        let protocol = self.tunnel.protocol(self.role)?;
        let Some(ring) = protocol.keys().cloned() else { return Ok(()) };
        let (taken, takes) = channel();
        // There is room: the relay has taken those before, or it is past help.
        let sent = self.keys.try_send(Keys { ring, taken });
        self.wake();
        if sent.is_err() || takes.recv_timeout(PATIENCE).is_err() {
            warn!("the relay has not applied the new keys after {} s", PATIENCE.as_secs());
        }
        Ok(())
    }

    fn rings(&self) -> Vec<PathBuf> {
        self.tunnel.ring_path().into_iter().collect()
    }

    fn wake(&self) {
        // A loop that can't be woken looks when it next wakes.
        let _ = self.waker.wake();
    }
}

impl Daemon {
    /// Begins: the service manager hears that whoever connects is served.
    pub(super) fn begin(
        relay: Relay,
        signals: Signals,
        tunnel: Tunnel,
        publisher: Option<RelayPublisher>,
        progress: Arc<Progress>,
        began: Instant,
    ) -> Self {
        let (sender, keys) = sync_channel(1);
        let (role, waker) = (relay.role(), relay.waker());
        let task = Reload { tunnel, role, keys: sender, waker };
        Self {
            relay,
            signals,
            reloader: Reloader::new(task, Arc::clone(&progress)),
            keys,
            manager: ServiceManager::ready(Arc::clone(&progress)),
            progress,
            publisher,
            began,
            is_stopping: false,
        }
    }

    /// Carries until a signal drains it; the next one stops it at once.
    pub(super) fn run(mut self) -> io::Result<()> {
        while !self.is_stopping || self.relay.open() > 0 {
            self.relay.turn(self.manager.due())?;
            self.handle_signals();
            if let Ok(Keys { ring, taken }) = self.keys.try_recv() {
                self.relay.replace_keys(ring);
                // Who has lost patience doesn't listen any more.
                let _ = taken.send(());
            }
            if let Some(publisher) = &self.publisher {
                publisher.turn(&self.relay);
            }
            let stopping = "stopping: open connections continue to their end";
            self.manager.turn(self.is_stopping, stopping, || true);
        }
        let Counters { accepted, bytes_in, bytes_out, .. } = &self.relay.shared.counters;
        info!("stopped; {accepted} connections, {bytes_in} bytes out, {bytes_out} bytes back");
        Ok(())
    }

    /// Does what signals have asked for.
    fn handle_signals(&mut self) {
        let SignalSet { stop, reload, status } = self.signals.take();
        if stop {
            if std::mem::replace(&mut self.is_stopping, true) {
                self.relay.stop();
            } else {
                self.relay.drain();
                self.publisher.iter().for_each(RelayPublisher::drain);
            }
        }
        if reload {
            self.reloader.ask();
        }
        if status {
            let up = system::monotonic().saturating_duration_since(self.began);
            self.relay.log_status(up, &self.progress.outcomes());
        }
    }
}
