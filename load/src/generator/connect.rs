//! How the clients of a load connect and disconnect.

use std::sync::Arc;
use std::time::Duration;

use countersign::engine::Dial;
use countersign::session::SessionCore;

use super::Load;
use crate::client::ClientOutcome;
use crate::dial;
use crate::failure::FailureKind;
use crate::pacer::Nanos;
use crate::plan::{Arrival, Disconnect, Plan};

/// The random bytes of a client's handshake.
const NONCE: usize = 32;

/// The connections that are begun before events are looked at again.
const DIALS: usize = 64;

impl Load {
    /// When the next connection is to be begun.
    pub(super) fn next_dial(&self) -> Option<Nanos> {
        let slot = *self.disconnected.front()?;
        let allowed = self.dials.next().unwrap_or_default();
        let wanted = if self.reconnects(slot) { self.cx.message_source.next()? } else { 0 };
        Some(allowed.max(wanted))
    }

    /// Whether each message of this client has a connection of its own.
    pub(super) fn reconnects(&self, slot: usize) -> bool {
        self.cx.plan.reconnect && self.clients[slot].sends()
    }

    /// Whether this client connects for a message that is due. In a closed loop one always is, and
    /// fails if the client can't connect. In an open loop, another client can send it, unless each
    /// message has a connection of its own.
    fn has_message(&self, slot: usize) -> bool {
        let Plan { reconnect, arrival, .. } = self.cx.plan;
        self.clients[slot].sends() && (reconnect || arrival == Arrival::Closed)
    }

    /// Begins the connections that are due.
    pub(super) fn dial(&mut self, now: Nanos) {
        while let Some(&(end, slot)) = self.backing_off.front()
            && end <= now
        {
            self.backing_off.pop_front();
            // An idle client doesn't wait behind those that wait for a message.
            match self.clients[slot].sends() {
                true => self.disconnected.push_back(slot),
                false => self.disconnected.push_front(slot),
            }
        }
        for _ in 0..DIALS {
            if self.next_dial().is_none_or(|due| due > now) || self.dials.take(now).is_none() {
                break;
            }
            let Some(slot) = self.disconnected.pop_front() else { break };
            let due = self.has_message(slot).then(|| self.cx.message_source.take(now)).flatten();
            self.clients[slot].reserve(due);
            let visit = self.begin(slot, now).unwrap_or_else(ClientOutcome::Lost);
            self.settle(slot, visit, now);
        }
    }

    fn begin(&mut self, slot: usize, now: Nanos) -> Result<ClientOutcome, FailureKind> {
        let sources = &self.cx.plan.sources;
        let number = self.share.number(self.dialled) % sources.len().max(1);
        let source = sources.get(number).copied();
        self.dialled += 1;
        let mut nonce = [0; NONCE];
        self.random.take(&mut nonce).map_err(|error| dial::why(&error))?;
        let session = SessionCore::client(&self.config, self.cx.wall, nonce)
            .map_err(|_| FailureKind::Connect)?;
        let (addresses, timeout) = (&self.cx.addresses, self.cx.plan.connect_timeout);
        let begun = self.cx.epoch + Duration::from_nanos(now);
        let dial = Dial::new(Arc::clone(addresses), begun, timeout);
        let dial = source.into_iter().fold(dial, Dial::with_source);
        let client = &mut self.clients[slot];
        Ok(client.begin(slot, dial, session, now, &self.config, &mut self.cx))
    }

    pub(super) fn disconnect(&mut self, slot: usize) {
        let mut how = self.cx.plan.disconnect;
        if how == Disconnect::Fin {
            self.clients[slot].finish(&mut self.cx);
        }
        if self.clients[slot].has_unsent() {
            // The server may have a part of a message, and must not take it for the whole.
            how = Disconnect::Rst;
        }
        if let Some(stream) = self.clients[slot].end() {
            dial::disconnect(stream, how);
        }
    }
}
