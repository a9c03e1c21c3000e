//! The stats of the proxy, which the admin pages show.

use std::sync::Arc;

use countersign::KeyRing;
use countersign::stats::{Connections, KeyCounters, ListenerInfo, ListenerStats, Stats};

use crate::pair::{Pair, PairState};
use crate::pump::BUFFERS_MAX;
use crate::relay::Relay;
use crate::shared::Shared;

impl Relay {
    /// What it has done and what it does now. It looks at every connection.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let Shared { config, counters, admission, now, .. } = &self.shared;
        let info = Arc::new(ListenerInfo::new("proxy", self.addresses().to_vec(), config.keys()));
        let mut listener = ListenerStats::new(info);
        listener.counters = counters.clone();
        let Connections { delayed, handshake, open, closing, .. } = &mut listener.connections;
        for (_, pair) in self.pairs.iter() {
            listener.buffered += pair.plain.buffered() + pair.secure.buffered();
            *match pair.state {
                PairState::Delayed => &mut *delayed,
                PairState::Handshake | PairState::LookingUp | PairState::Connecting { .. } => {
                    &mut *handshake
                }
                PairState::Established => &mut *open,
                PairState::Rejected(_) => &mut *closing,
            } += 1;
        }
        let most = self.shared.limits.admission.connections;
        (listener.connections_max, listener.buffered_max) = (most, BUFFERS_MAX * most);
        listener.throttled = admission.throttled(*now);
        for (key, KeyCounters { authenticated, open, .. }) in
            config.keys().into_iter().flat_map(KeyRing::keys).zip(&mut listener.keys)
        {
            let has_it = |pair: &&Pair| pair.key.as_deref() == Some(key.id());
            *authenticated = self.shared.by_key.get(key.id()).copied().unwrap_or_default();
            *open = self.pairs.iter().map(|(_, pair)| pair).filter(has_it).count() as u64;
        }
        let mut stats = Stats::default();
        (stats.memory_max.total, stats.memory_max.buffered) =
            (self.memory_max(), listener.buffered_max);
        stats.listeners = vec![listener];
        stats.is_draining = self.is_draining();
        stats
    }
}
