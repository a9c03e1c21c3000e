//! Letting newcomers in: last in a turn, a few at a time, and only where there is room.

use std::io;
use std::time::SystemTime;

use crate::contract::close::Close;
use crate::contract::peer::{PeerAddress, PeerId, SLOTS_MAX};
use crate::contract::service::Service;
use crate::proto::handshake::CHALLENGE;
use crate::proto::refusal::Refusal;
use crate::proto::session::Session;
use crate::server::conn::Conn;
use crate::server::engine::Engine;
use crate::server::gate::{Gate, GateNumber};
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
            let has_room = |gate| self.room_at(gate).is_some_and(|room| room <= now);
            let Some((socket, gate)) = self.door.caller(now, has_room) else { break };
            let counters = &mut self.gates[usize::from(gate)].counters;
            match self.net.accept(socket) {
                Ok((stream, address)) => {
                    self.door.accepted(socket);
                    counters.accepted += 1;
                    match self.receive(gate, address, now, wall) {
                        Ok(wait) => self.welcome(stream, (gate, address), wait, now, wall),
                        Err(why) => self.turn_away(gate, address, why, now),
                    }
                }
                Err(error) => match AcceptFailure::of(&error) {
                    AcceptFailure::Nobody => self.door.nobody_calls(socket),
                    AcceptFailure::Retry => counters.accept_failures += 1,
                    AcceptFailure::Pause => {
                        counters.accept_pauses += 1;
                        if self.door.pause(now) {
                            self.notes.paused(now, &error);
                        }
                        break;
                    }
                    AcceptFailure::Gone => {
                        self.door.nobody_calls(socket);
                        return Err(error);
                    }
                },
            }
        }
        Ok(())
    }

    /// When a gate has room for one more: at once, when its oldest visitor may be displaced, or not
    /// before a connection closes.
    pub(super) fn room_at(&self, gate: GateNumber) -> Option<Moment> {
        if self.conns.len() >= SLOTS_MAX {
            None
        } else if self.gates[usize::from(gate)].is_full() {
            self.oldest_visitor(gate).map(|(_, since)| self.displaceable(gate, since))
        } else {
            Some(Moment::default())
        }
    }

    /// The visitor of a gate that has waited longest for what it waits for, and since when.
    fn oldest_visitor(&self, gate: GateNumber) -> Option<(usize, Moment)> {
        let oldest = [Wait::Delay, Wait::Handshake].map(|wait| self.waits.oldest(gate, wait));
        oldest.into_iter().flatten().min_by_key(|(_, since)| *since)
    }

    fn displaceable(&self, gate: GateNumber, since: Moment) -> Moment {
        since + self.gates[usize::from(gate)].limits.handshake_timeout / GRACE
    }

    /// A newcomer finds no room, and was no connection yet.
    fn turn_away(&mut self, gate: GateNumber, address: PeerAddress, why: Close, now: Moment) {
        let gate = &mut self.gates[usize::from(gate)];
        gate.counters.count(why);
        self.notes.turned_away(now, &gate.name, address, why);
    }

    /// Looks where a newcomer comes from, and makes room for it. Says what it waits for first.
    fn receive(
        &mut self,
        gate: GateNumber,
        address: PeerAddress,
        now: Moment,
        wall: SystemTime,
    ) -> Result<Wait, Close> {
        let Gate { throttle, limits, .. } = &self.gates[usize::from(gate)];
        let wait = match throttle.reception(address, now, limits) {
            Reception::Greeted => Wait::Handshake,
            Reception::Delayed => Wait::Delay,
            // Before it has cost a visitor its place.
            Reception::Refused => return Err(Close::Refused(Refusal::Throttled)),
        };
        self.make_room(gate, address, now, wall)?;
        Ok(wait)
    }

    /// Makes room for a newcomer at the cost of the visitor that has waited longest: of its own
    /// network if that has too many, else of all who came by the gate.
    fn make_room(
        &mut self,
        number: GateNumber,
        address: PeerAddress,
        now: Moment,
        wall: SystemTime,
    ) -> Result<(), Close> {
        let crowded = Close::Refused(Refusal::Crowded);
        let gate = &self.gates[usize::from(number)];
        if gate.visitors.has_from(address, gate.limits.unauthenticated_per_address) {
            let oldest = gate.visitors.oldest_from(address).ok_or(crowded)?;
            if now < self.displaceable(number, self.waits.since(oldest)) {
                return Err(crowded);
            }
            self.displace(oldest, now, wall);
        } else if gate.is_full() {
            let (oldest, _) = self.oldest_visitor(number).ok_or(crowded)?;
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
        (number, address): (GateNumber, PeerAddress),
        wait: Wait,
        now: Moment,
        wall: SystemTime,
    ) {
        let gate = &mut self.gates[usize::from(number)];
        let generation = PeerId::generation_after(self.generation);
        let slot = self.conns.vacant_key();
        let mut nonce = [0; CHALLENGE];
        let random = match gate.protocol.dialect().authenticates() {
            true => self.net.random(&mut nonce),
            false => Ok(()),
        };
        let watched = random.and_then(|()| match wait {
            Wait::Delay => Ok(()),
            _ => self.net.watch(&mut socket, PeerId::new(slot, generation)),
        });
        if let Err(error) = watched {
            self.notes.unavailable(now, address, &error);
            gate.counters.count(Close::Unavailable);
            return;
        }
        self.generation = generation;
        let session = Session::server(&gate.protocol, nonce);
        let visitor = gate.visitors.enter(address, slot);
        gate.open += 1;
        let conn = Conn::new(socket, (number, generation), session, visitor, wait, now);
        let entered = self.conns.insert(conn);
        debug_assert_eq!(entered, slot, "the slab gives the slot that it promised");
        self.waits.enter(slot, number, wait, now);
        match wait {
            Wait::Delay => gate.counters.delayed += 1,
            _ => self.visit(slot, now, wall, Conn::greet),
        }
    }
}
