//! Letting callers in: last in a turn, a few at a time, and as the library's rules have it for
//! those that have not authenticated.

use std::net::SocketAddr;
use std::time::Instant;

use countersign::server::instant;
use countersign::{Admission, AdmissionControl, Limits, Refusal, RefusalCode, Session};
use mio::net::TcpStream;

use super::acceptor::Accepted;
use super::bounds::Bounds;
use super::event_log::{CloseCause, PairInfo};
use super::pair::{Pair, Visit};
use super::pair_id::PairId;
use super::relay::Relay;
use super::shared::{Role, Shared};
use crate::system;

/// The connections that one turn accepts, so that those who are in have their turns too.
const ACCEPTS_PER_TURN: usize = 64;

/// The callers that have not authenticated, by slot. At a client's proxy there are none: whoever
/// reaches it is let through.
#[derive(Debug)]
pub(super) struct Callers {
    rules: Option<AdmissionControl>,
    connections_max: usize,
    /// When the rules' clock began.
    epoch: Instant,
}

impl Callers {
    pub(super) fn new(role: Role, bounds: &Bounds, epoch: Instant) -> Self {
        let limits: Limits = bounds.limits();
        let connections_max = limits.connections;
        let rules = (role == Role::Server).then(|| AdmissionControl::new(limits));
        Self { rules, connections_max, epoch }
    }

    /// Bytes that the rules can take.
    pub(super) fn memory_max(&self) -> usize {
        self.rules.as_ref().map_or(0, AdmissionControl::memory_max)
    }

    /// The networks whose callers are delayed or refused.
    pub(super) fn throttled(&self, now: Instant) -> usize {
        self.rules.as_ref().map_or(0, |rules| rules.throttled(self.engine_time(now)))
    }

    /// When there is room for one more, where so many are open; none before one closes.
    pub(super) fn room_at(&self, open: usize) -> Option<Instant> {
        match &self.rules {
            Some(rules) => rules.room_at(open).map(|at| self.epoch + at.elapsed()),
            None => (open < self.connections_max).then_some(self.epoch),
        }
    }

    fn admit(&self, from: SocketAddr, open: usize, now: Instant) -> (Admission, Option<usize>) {
        let accepted = (Admission::Accept, None);
        self.rules
            .as_ref()
            .map_or(accepted, |it| it.admit(from.into(), open, self.engine_time(now)))
    }

    fn enter(&mut self, slot: usize, from: SocketAddr, now: Instant) {
        let now = self.engine_time(now);
        if let Some(rules) = &mut self.rules {
            rules.enter(slot, from.into(), now);
        }
    }

    /// The delay of a caller is over.
    pub(super) fn greet(&mut self, slot: usize, now: Instant) {
        let now = self.engine_time(now);
        if let Some(rules) = &mut self.rules {
            rules.greet(slot, now);
        }
    }

    /// A caller has authenticated, or is over, perhaps for a refusal. Says how callers from its
    /// network are received from now on, if that is worse.
    pub(super) fn leave(
        &mut self,
        slot: usize,
        refusal: Option<Refusal>,
        now: Instant,
    ) -> Option<Admission> {
        let now = self.engine_time(now);
        self.rules.as_mut()?.leave(slot, refusal, now)
    }

    fn engine_time(&self, now: Instant) -> instant::Instant {
        instant::Instant::after(now.saturating_duration_since(self.epoch))
    }
}

impl Relay {
    /// Lets newcomers in, where there is room.
    pub(super) fn admit(&mut self) {
        let now = self.shared.now;
        for _ in 0..ACCEPTS_PER_TURN {
            if self.accept_due(now).is_none_or(|due| now < due) {
                return;
            }
            match self.acceptor.accept(now) {
                Accepted::Connection(socket, address) => self.meet(socket, address),
                Accepted::Empty => return,
                Accepted::Aborted => self.shared.counters.accept_failures += 1,
                Accepted::Paused(error) => {
                    self.shared.counters.accept_pauses += 1;
                    return self.log.paused(now, &error);
                }
            }
        }
    }

    /// When the next accept is due, if somebody may be waiting.
    pub(super) fn accept_due(&self, now: Instant) -> Option<Instant> {
        let room = self.shared.callers.room_at(self.pairs.len())?;
        self.acceptor.due(now).map(|due| due.max(room))
    }

    /// Decides on a newcomer.
    fn meet(&mut self, socket: TcpStream, address: SocketAddr) {
        let Shared { role, now, .. } = self.shared;
        self.shared.counters.accepted += 1;
        let number = self.shared.counters.accepted;
        let info = PairInfo { role, address, number, is_open: false };
        let (admission, evicted) = self.shared.callers.admit(address, self.pairs.len(), now);
        let is_delayed = admission == Admission::Delay;
        let session = match admission {
            Admission::Reject(refusal) => Err(CloseCause::Refused(refusal)),
            Admission::Accept | Admission::Delay => self.session(),
        };
        if let Some(slot) = evicted {
            self.visit(slot, Pair::evict);
        }
        match session {
            Ok(session) => self.register(socket, info, session, is_delayed),
            Err(cause) => {
                self.shared.counters.count(cause.close());
                self.log.ended(now, info, &cause);
            }
        }
    }

    fn session(&self) -> Result<Session, CloseCause> {
        let nonce = system::random().map_err(CloseCause::Unavailable)?;
        match self.shared.role {
            Role::Client => {
                Session::client(&self.shared.protocol, nonce).map_err(CloseCause::NoKey)
            }
            Role::Server => Ok(Session::server(&self.shared.protocol, nonce)),
        }
    }

    /// Gives a newcomer its place.
    fn register(&mut self, socket: TcpStream, info: PairInfo, session: Session, is_delayed: bool) {
        let now = self.shared.now;
        self.generation = PairId::generation_after(self.generation);
        let id = PairId { slot: self.pairs.vacant_key(), generation: self.generation };
        let mut pair = Pair::new(id, (socket, info), session, now);
        if is_delayed {
            self.shared.counters.delayed += 1;
            pair.delay();
        }
        let slot = self.pairs.insert(pair);
        debug_assert_eq!(slot, id.slot, "the slab gives the slot that it promised");
        self.shared.callers.enter(slot, info.address, now);
        self.visit(slot, |pair, shared| if is_delayed { Visit::Rest } else { pair.begin(shared) });
    }
}

impl Pair {
    /// Tells a caller that there is no room, and closes it at once, because the room is needed. One
    /// that was refused already is refused for what it did.
    fn evict(&mut self, shared: &mut Shared) -> Visit {
        if let Some(refusal) = self.refusal() {
            return Visit::Over(CloseCause::Refused(refusal));
        }
        shared.words.clear();
        self.session.give_up(RefusalCode::Busy, &mut shared.words);
        // Where it takes nothing, it hears nothing.
        let _ = self.secure.send(&shared.words);
        Visit::Over(CloseCause::Refused(Refusal::TooManyConnections))
    }
}
