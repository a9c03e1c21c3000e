//! Replacing keys, and closing the connections of keys that are no longer valid.

use std::time::{Duration, SystemTime};

use countersign_proto::KeyRing;

use crate::contract::close::CloseReason;
use crate::contract::listener_id::{ListenerId, UnknownListenerError};
use crate::contract::service::Service;
use crate::reactor::instant::Instant;
use crate::server::engine::Engine;
use crate::server::event_log;
use crate::server::net::Net;
use crate::unix_time::since_epoch;

/// How long the engine relies on the time of day to continue: somebody may set the clock.
const CLOCK_TRUSTED: Duration = Duration::from_secs(60);

impl<N: Net, S: Service> Engine<N, S> {
    /// Replaces a listener's keys. They apply to new connections; open ones stay until
    /// [`close_revoked`](Self::close_revoked) checks them or a key of the new ring expires.
    ///
    /// # Errors
    ///
    /// The engine has no such listener.
    pub fn replace_keys(
        &mut self,
        id: ListenerId,
        keys: KeyRing,
    ) -> Result<(), UnknownListenerError> {
        self.listener_mut(id)?.replace_keys(keys);
        // The next turn finds out when these expire.
        self.key_expiry = Some(Instant::default());
        Ok(())
    }

    /// Closes the connections whose peers could no longer authenticate as they did, because their
    /// keys were removed from the ring, have other secrets, have expired, or are no longer for the
    /// same dialect and audience. Returns how many were closed.
    pub fn close_revoked(&mut self, now: Instant, wall: SystemTime) -> usize {
        let (listeners, time) = (&self.listeners, since_epoch(wall));
        let revoked = self.conns.iter().filter(|(_, conn)| {
            conn.is_revoked(&listeners[usize::from(conn.listener)].config, time)
        });
        let slots: Vec<usize> = revoked.map(|(slot, _)| slot).collect();
        if !slots.is_empty() {
            event_log::revoked(slots.len());
        }
        for &slot in &slots {
            self.close_gracefully(slot, CloseReason::Revoked, now, wall);
        }
        slots.len()
    }

    /// Sets whether connections are closed when their keys expire; the default is yes. Connections
    /// whose keys expired before it is turned on stay until [`close_revoked`](Self::close_revoked).
    pub fn set_close_expired(&mut self, closes: bool) {
        self.closes_expired = closes;
        self.key_expiry = closes.then(Instant::default);
    }

    /// Closes the connections whose keys have expired, before their input is processed.
    pub(super) fn close_expired(&mut self, now: Instant, wall: SystemTime) {
        let (mut has_expired, mut next) = (false, None);
        self.shared.unix_time = since_epoch(wall);
        let time = self.shared.unix_time;
        for listener in &mut self.listeners {
            has_expired |= listener.expiry.passes(time, listener.config.keys());
            if listener.open > 0 {
                next = next.into_iter().chain(listener.expiry.time_left(time)).min();
            }
        }
        if !self.closes_expired {
            return;
        }
        self.key_expiry = next.map(|left| now + left.min(CLOCK_TRUSTED));
        if has_expired {
            self.close_revoked(now, wall);
        }
    }
}
