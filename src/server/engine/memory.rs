//! How much memory an engine can use.

use countersign_proto::{Blocks, Dialect, SessionCore};

use crate::contract::limits::{Limits, Memory};
use crate::contract::service::Service;
use crate::reactor::timers::Timers;
use crate::server::connection::Connection;
use crate::server::engine::{CONTROL_OUT, Engine};
use crate::server::listener::Listener;
use crate::server::net::Net;
use crate::server::timer::{SessionAge, Timer};
use crate::server::unauthenticated::Unauthenticated;

/// What the slab adds to an entry, at most.
const SLAB_OVERHEAD: usize = size_of::<usize>();

impl<N: Net, S: Service> Engine<N, S> {
    /// The most memory that the limits allow, in bytes: no peer can make the engine use more. For
    /// several listeners it is the sum, except for the memory of one connection, which is the
    /// maximum.
    #[must_use]
    pub fn memory_max(&self) -> Memory {
        // A message in several blocks is passed on in one piece, one message at a time.
        let whole =
            self.listeners.iter().map(|listener| listener.config.frame_max()).max().unwrap_or(0);
        let fixed = (self.inbox.len() + CONTROL_OUT + self.shared.calls.outbox.capacity())
            .saturating_add(whole);
        let start = Memory { fixed, ..Memory::default() };
        let sum =
            self.listeners.iter().map(|listener| self.memory_of(listener)).fold(start, Memory::and);
        Memory { total: sum.total.saturating_add(fixed), ..sum }
    }

    /// The share of one listener.
    fn memory_of(&self, listener: &Listener) -> Memory {
        let Listener { config, limits, throttle, .. } = listener;
        let Limits { connections, unauthenticated, reply_max, batch_max, buffered_max, .. } =
            *limits;
        let entry = size_of::<Connection<N, S>>() + SLAB_OVERHEAD + SessionCore::keys_max(config);
        // A slot can stand in both queues, and a queue that grows doubles.
        let queues = 4 * size_of::<usize>();
        let ages = if self.ages.is_some() { Timers::<SessionAge>::ENTRY } else { 0 };
        let faults = self.faults_entry();
        let per_connection = entry
            + Timers::<Timer>::ENTRY
            + ages
            + faults
            + queues
            + Connection::<N, S>::BACKLOG_MAX;
        // An unfinished message, or the rest of a read; in records both, if the message is a batch
        // that was handed on in part.
        let [frame, unread] = [config.frame_max(), self.inbox.len()].map(Blocks::taken_by);
        let has_batches = config.dialect() == Dialect::Countersign;
        let received = if has_batches { frame.saturating_add(unread) } else { frame.max(unread) };
        // What one visit can leave unsent, which a close message may follow.
        let unsent_max = batch_max.saturating_add(reply_max).saturating_add(CONTROL_OUT);
        let buffered_per_connection = received.saturating_add(Blocks::taken_by(unsent_max));
        // The limit is checked after it is exceeded, so one connection may be above it.
        let all_buffered = buffered_per_connection.saturating_mul(connections);
        let buffered = all_buffered.min(buffered_max.saturating_add(buffered_per_connection));
        let fixed = throttle.bytes() + unauthenticated * Unauthenticated::ENTRY;
        let total = fixed.saturating_add(per_connection.saturating_mul(connections));
        let total = total.saturating_add(buffered);
        Memory { fixed, per_connection, buffered_per_connection, buffered, total }
    }
}
