//! Letting newcomers in: last in a turn, a few at a time, and only where there is room.

use std::io;
use std::time::SystemTime;

use crate::contract::close::Close;
use crate::contract::peer::{PeerAddress, PeerId};
use crate::contract::service::Service;
use crate::proto::handshake::CHALLENGE;
use crate::proto::refusal::Refusal;
use crate::proto::session::Session;
use crate::server::conn::Conn;
use crate::server::engine::Engine;
use crate::server::moment::Moment;
use crate::server::net::{AcceptFailure, Net};
use crate::server::throttle::Reception;
use crate::server::waits::Wait;

/// The connections that one turn accepts, so that those who are in have their turns too.
const ACCEPTS_PER_TURN: usize = 256;

/// A visitor may be displaced once it has had this part of the handshake's time: an honest one is
/// through by then.
const GRACE: u32 = 10;

impl<N: Net, S: Service> Engine<N, S> {
    pub(super) fn admit(&mut self, now: Moment, wall: SystemTime) -> io::Result<()> {
        for _ in 0..ACCEPTS_PER_TURN {
            if self.room_at().is_none_or(|room| now < room) {
                break;
            }
            let Some(listener) = self.door.caller(now) else { break };
            match self.net.accept(listener) {
                Ok((socket, address)) => {
                    self.door.accepted(listener);
                    self.counters.accepted += 1;
                    match self.receive(address, now, wall) {
                        Ok(wait) => self.welcome(socket, address, wait, now, wall),
                        Err(why) => {
                            self.notes.turned_away(now, address, why);
                            self.counters.count(why);
                        }
                    }
                }
                Err(error) => match AcceptFailure::of(&error) {
                    AcceptFailure::Nobody => self.door.nobody_calls(listener),
                    AcceptFailure::Retry => self.counters.accept_failures += 1,
                    AcceptFailure::Pause => {
                        self.counters.accept_pauses += 1;
                        if self.door.pause(now) {
                            self.notes.paused(now, &error);
                        }
                        break;
                    }
                    AcceptFailure::Gone => {
                        self.door.nobody_calls(listener);
                        return Err(error);
                    }
                },
            }
        }
        Ok(())
    }

    /// When there is room for one more: at once, when the oldest visitor may be displaced, or not
    /// before a connection closes.
    pub(super) fn room_at(&self) -> Option<Moment> {
        if self.is_full() {
            self.oldest_visitor().map(|(_, since)| self.displaceable(since))
        } else {
            Some(Moment::default())
        }
    }

    /// The visitor that has waited longest for what it waits for, and since when.
    pub(super) fn oldest_visitor(&self) -> Option<(usize, Moment)> {
        let oldest = [Wait::Delay, Wait::Handshake].map(|wait| self.waits.oldest(wait));
        oldest.into_iter().flatten().min_by_key(|(_, since)| *since)
    }

    fn is_full(&self) -> bool {
        self.conns.len() >= self.limits.connections
            || self.visitors.count() >= self.limits.unauthenticated
    }

    fn displaceable(&self, since: Moment) -> Moment {
        since + self.limits.handshake_timeout / GRACE
    }

    /// Looks where a newcomer comes from, and makes room for it. Says what it waits for first.
    fn receive(
        &mut self,
        address: PeerAddress,
        now: Moment,
        wall: SystemTime,
    ) -> Result<Wait, Close> {
        let wait = match self.throttle.reception(address, now, &self.limits) {
            Reception::Greeted => Wait::Handshake,
            Reception::Delayed => Wait::Delay,
            // Before it has cost a visitor its place.
            Reception::Refused => return Err(Close::Refused(Refusal::Throttled)),
        };
        self.make_room(address, now, wall)?;
        Ok(wait)
    }

    /// Makes room for a newcomer at the cost of the visitor that has waited longest: of its own
    /// network if that has too many, else of all.
    fn make_room(
        &mut self,
        address: PeerAddress,
        now: Moment,
        wall: SystemTime,
    ) -> Result<(), Close> {
        let crowded = Close::Refused(Refusal::Crowded);
        if self.visitors.has_from(address, self.limits.unauthenticated_per_address) {
            let oldest = self.visitors.oldest_from(address).ok_or(crowded)?;
            if now < self.displaceable(self.waits.since(oldest)) {
                return Err(crowded);
            }
            self.displace(oldest, now, wall);
        } else if self.is_full() {
            let (oldest, _) = self.oldest_visitor().ok_or(crowded)?;
            self.displace(oldest, now, wall);
        }
        Ok(())
    }

    /// Tells a visitor that there is no room, and hangs up at once: the room is needed now. One
    /// that was refused already is refused for what it did.
    fn displace(&mut self, slot: usize, now: Moment, wall: SystemTime) {
        self.give_up(slot, Refusal::Crowded, now, wall);
        self.drop_now(slot, Close::Refused(Refusal::Crowded), now);
    }

    /// Gives a newcomer its place, and its challenge unless that is put off. Until then the system
    /// isn't asked to tell of it, so that no event needs to be checked for whom it is.
    fn welcome(
        &mut self,
        mut socket: N::Socket,
        address: PeerAddress,
        wait: Wait,
        now: Moment,
        wall: SystemTime,
    ) {
        let generation = PeerId::generation_after(self.generation);
        let slot = self.conns.vacant_key();
        let mut nonce = [0; CHALLENGE];
        let random = match self.protocol.dialect().authenticates() {
            true => self.net.random(&mut nonce),
            false => Ok(()),
        };
        let watched = random.and_then(|()| match wait {
            Wait::Delay => Ok(()),
            _ => self.net.watch(&mut socket, PeerId::new(slot, generation)),
        });
        if let Err(error) = watched {
            self.notes.unavailable(now, address, &error);
            self.counters.count(Close::Unavailable);
            return;
        }
        self.generation = generation;
        let session = Session::server(&self.protocol, nonce);
        let visitor = self.visitors.enter(address, slot);
        let entered = self.conns.insert(Conn::new(socket, generation, session, visitor, wait));
        debug_assert_eq!(entered, slot, "the slab gives the slot that it promised");
        self.waits.enter(slot, wait, now);
        match wait {
            Wait::Delay => self.counters.delayed += 1,
            _ => self.visit(slot, now, wall, Conn::greet),
        }
    }
}
