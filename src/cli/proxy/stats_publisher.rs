//! What the proxy shows of itself on the admin pages.

use std::sync::Arc;

use countersign::{Connections, KeyCounters};
use mio::Waker;

use super::desk::{Desk, Role};
use super::pair::Stage;
use super::pump::BUFFERS_MAX;
use super::relay::Relay;
use crate::cli::admin::{
    Aggregate, Counts, KeyInfo, Labels, ListenerInfo, ShownListener, Snapshot, Turns, Wake,
};
use crate::cli::reload::Progress;

/// Publishes the stats of the proxy when somebody asks for them.
#[derive(Debug)]
pub(super) struct StatsPublisher {
    aggregate: Arc<Aggregate>,
    /// Where the proxy listens.
    addresses: Vec<String>,
}

/// Wakes the loop of the relay.
#[derive(Debug)]
pub(super) struct RelayWaker(pub(super) Arc<Waker>);

impl Wake for RelayWaker {
    fn wake(&self) {
        let _ = self.0.wake();
    }
}

impl StatsPublisher {
    /// Shows that the proxy serves.
    pub(super) fn begin(aggregate: Arc<Aggregate>, addresses: Vec<String>, relay: &Relay) -> Self {
        let publisher = Self { aggregate, addresses };
        publisher.aggregate.publish(0, relay.snapshot(&publisher.addresses), false);
        publisher
    }

    /// Shows what the relay does now, if somebody asks.
    pub(super) fn turn(&self, relay: &Relay, progress: &Progress) {
        if self.aggregate.awaits(0) {
            self.aggregate.set_reloads(progress.outcomes().into());
            self.aggregate.publish(0, relay.snapshot(&self.addresses), false);
        }
    }

    /// Newcomers are turned away from now on.
    pub(super) fn drain(&self) {
        self.aggregate.drain();
    }
}

impl Relay {
    /// What it does now. It looks at every connection.
    fn snapshot(&self, addresses: &[String]) -> Snapshot {
        let Desk { role, protocol, carried, counters, callers, now, .. } = &self.desk;
        let mut connections = Connections::default();
        let (mut held, most) = (0, self.desk.bounds.max_connections);
        for (_, pair) in &self.pairs {
            held += pair.plain.waiting() + pair.far.waiting();
            *match pair.stage {
                Stage::Delayed => &mut connections.delayed,
                Stage::Greeting | Stage::Dialling => &mut connections.handshake,
                Stage::Carrying => &mut connections.open,
                Stage::Leaving(_) => &mut connections.closing,
            } += 1;
        }
        let keys = protocol.keys().keys().map(|key| {
            let mut counts = KeyCounters::default();
            counts.authenticated = self.desk.by_key.get(key.id()).copied().unwrap_or_default();
            let by_it = self.pairs.iter().filter(|(_, pair)| pair.key.as_deref() == Some(key.id()));
            counts.open = by_it.count() as u64;
            counts
        });
        let service = match role {
            Role::Client => "proxy beside clients",
            Role::Server => "proxy beside a server",
        };
        let labels = Labels { dialect: "countersign/1", framing: "records", service };
        let info = ListenerInfo {
            name: "proxy".to_owned(),
            addresses: addresses.to_vec(),
            labels,
            keys: KeyInfo::all(protocol.keys()),
        };
        let listener = ShownListener {
            info: Arc::new(info),
            counts: Counts { received: carried.out, sent: carried.back, ..counters.into() },
            connections,
            connections_max: most as u64,
            held: held as u64,
            buffered_max: (BUFFERS_MAX * most) as u64,
            throttled: callers.throttled(*now) as u64,
            keys: keys.collect(),
        };
        Snapshot {
            buffered_max: listener.buffered_max,
            listeners: vec![listener],
            turns: Turns::default(),
            memory_max: self.memory_max() as u64,
            is_draining: self.is_draining(),
        }
    }
}
