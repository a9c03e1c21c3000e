//! What a server has done since it began and what it does now, as plain data.
//!
//! [`Server::stats`](crate::Server::stats) makes a [`Stats`]. It looks at every connection, so ask
//! for it when somebody wants to see it and not in each turn. Where several servers share the work,
//! each on a thread of its own, [`Stats::merge`] adds them up.

pub(crate) mod counters;
pub(crate) mod listener;
pub(crate) mod loop_times;

pub use counters::{Counters, KeyCounters};
pub use listener::{Connections, KeyInfo, ListenerInfo, ListenerStats};
pub use loop_times::LoopTimes;

pub use crate::contract::limits::Memory;

/// What a server has done since it began and what it does now, or the sum of several servers.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Stats {
    /// In the order of the server's listeners.
    pub listeners: Vec<ListenerStats>,
    /// How long turns took; empty unless the server [times its
    /// loop](crate::Server::time_loop).
    pub loop_times: LoopTimes,
    /// The most memory that the limits allow, in bytes.
    pub memory_max: Memory,
    /// Whether the server was told to stop.
    pub is_draining: bool,
}

impl Stats {
    /// Adds those of another server, which has the same listeners in the same order.
    pub fn merge(&mut self, other: &Self) {
        for (place, listener) in other.listeners.iter().enumerate() {
            match self.listeners.get_mut(place) {
                Some(sum) => sum.merge(listener),
                None => self.listeners.push(listener.clone()),
            }
        }
        self.loop_times.merge(&other.loop_times);
        self.memory_max = self.memory_max.and(other.memory_max);
        self.is_draining |= other.is_draining;
    }

    /// What all listeners have done.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.listeners.iter().map(|listener| &listener.counters).sum()
    }

    /// The bytes that all listeners keep of unfinished messages and unsent replies.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.listeners.iter().map(|listener| listener.buffered).sum()
    }
}
