//! The engine: who has a turn, for how long, and when a connection ends.

mod admit;
mod end;

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::SystemTime;

use slab::Slab;

use crate::contract::close::Close;
use crate::contract::counters::Counters;
use crate::contract::limits::{Limits, Memory};
use crate::contract::outbox::Outbox;
use crate::contract::peer::{PeerId, SLOTS_MAX};
use crate::contract::reply::Reply;
use crate::contract::service::Service;
use crate::proto::handshake::CHALLENGE;
use crate::proto::handshake::countersign::frame::HELLO_MAX;
use crate::proto::keys::KeyRing;
use crate::proto::protocol::Protocol;
use crate::proto::session::Session;
use crate::server::conn::{BATCH, Conn, MESSAGES_PER_VISIT, Visit};
use crate::server::desk::Desk;
use crate::server::door::Door;
use crate::server::moment::Moment;
use crate::server::net::{Net, Readiness};
use crate::server::notes::Notes;
use crate::server::throttle::Throttle;
use crate::server::visitors::Visitors;
use crate::server::waits::{Wait, Waits};

/// What is read at once.
const INBOX: usize = 16 << 10;

/// The most that a session has to say itself at once: a nonce and a hello.
const ASIDE: usize = CHALLENGE + HELLO_MAX;

/// The tables are allocated whole at start for so many connections at most; past that they grow.
const ROOM_MAX: usize = 1 << 16;

/// What the slab adds to an entry, at most.
const SLAB_OVERHEAD: usize = size_of::<usize>();

/// The reactor's decisions over any [`Net`]: a slab of connections, each a handshake and a line
/// buffer, that have their turns one after the other.
///
/// [`Server`](crate::Server) is this over the system's sockets. Take the engine itself for sockets
/// of another kind, or to run a server in a simulation: it reads no clock and draws no random
/// byte. Tell it of events with [`event`](Self::event) and [`call`](Self::call), then let it work
/// with [`turn`](Self::turn) until its [`deadline`](Self::deadline) says that it has time.
pub struct Engine<N: Net, S: Service> {
    net: N,
    service: S,
    protocol: Protocol,
    limits: Limits,
    conns: Slab<Conn<N, S>>,
    waits: Waits,
    /// How old the connections are, where they may become too old.
    ages: Option<Waits>,
    visitors: Visitors,
    throttle: Throttle,
    door: Door,
    /// The slots that have a turn, in order. One whose connection isn't marked as queued is stale.
    ready: Vec<usize>,
    /// Those that have another in the next.
    again: Vec<usize>,
    /// The one buffer that is read into.
    inbox: Box<[u8]>,
    /// The one buffer that replies are written to.
    outbox: Outbox,
    /// What a session has to say itself, on its way into the outbox.
    aside: Vec<u8>,
    /// The bytes that all connections keep together.
    held: usize,
    /// The generation of the latest connection.
    generation: u32,
    /// The server is stopping, and must have stopped by then.
    drain: Option<Moment>,
    counters: Counters,
    notes: Notes,
}

impl<N: Net, S: Service> Engine<N, S> {
    /// An engine with so many listeners, numbered from 0.
    pub fn new(net: N, listeners: usize, protocol: Protocol, limits: Limits, service: S) -> Self {
        let limits = Limits {
            connections: limits.connections.min(SLOTS_MAX),
            unauthenticated: limits.unauthenticated.min(limits.connections),
            ..limits
        };
        let room = limits.connections.min(ROOM_MAX);
        // Where nobody can fail, or no failure counts, nothing is kept of any.
        let counts = protocol.dialect().authenticates() && !limits.failure_forgiven.is_zero();
        let throttle = Throttle::new(if counts { limits.failure_networks } else { 0 });
        Self {
            conns: Slab::with_capacity(room),
            waits: Waits::new(room),
            ages: limits.session_age_max.map(|_| Waits::new(room)),
            visitors: Visitors::new(limits.unauthenticated.min(ROOM_MAX)),
            throttle,
            door: Door::new(listeners),
            ready: Vec::new(),
            again: Vec::new(),
            inbox: vec![0; INBOX].into(),
            // Its longest: a batch that is just not full, and one more reply.
            outbox: Outbox::new(BATCH + limits.reply_max.max(ASIDE)),
            aside: Vec::with_capacity(ASIDE),
            held: 0,
            generation: 0,
            drain: None,
            counters: Counters::default(),
            notes: Notes::default(),
            net,
            service,
            protocol,
            limits,
        }
    }

    /// A listener may have somebody waiting.
    pub fn call(&mut self, listener: usize) {
        self.door.call(listener);
    }

    /// Something has happened at a socket. An event for a connection that is gone is no harm.
    pub fn event(&mut self, peer: PeerId, readiness: Readiness) {
        let Some((slot, conn)) = find(&mut self.conns, peer) else { return };
        if conn.notice(readiness) && !std::mem::replace(&mut conn.queued, true) {
            self.ready.push(slot);
        }
    }

    /// One pass: everyone who is ready has a turn, those whose time is up are closed, and last
    /// newcomers are let in. Returns the number of connections that had a turn.
    ///
    /// # Errors
    ///
    /// A listener is gone. Nothing that a peer does is an error.
    pub fn turn(&mut self, now: Moment, wall: SystemTime) -> io::Result<usize> {
        self.protocol.set_time(wall);
        // Those who have used up their budget stand behind those who have just become ready.
        self.ready.append(&mut self.again);
        let visits = self.ready.len();
        for at in 0..visits {
            let slot = self.ready[at];
            let waiting = self.conns.get_mut(slot).map(|conn| &mut conn.queued);
            if waiting.is_some_and(std::mem::take) {
                self.visit(slot, now, wall, Conn::pump);
            }
        }
        self.ready.clear();
        self.expire(now, wall);
        self.retire(now, wall);
        self.admit(now, wall)?;
        Ok(visits)
    }

    /// When the next turn is due, if no event comes before: at once if there is work left over,
    /// never if nobody waits for anything.
    #[must_use]
    pub fn deadline(&self) -> Option<Moment> {
        if !self.again.is_empty() || !self.ready.is_empty() {
            return Some(Moment::default());
        }
        let door = self.door.deadline().and_then(|door| self.room_at().map(|room| door.max(room)));
        let age = self.ages.as_ref().and_then(|ages| ages.deadline(&self.limits));
        [self.waits.deadline(&self.limits), age, door, self.drain].into_iter().flatten().min()
    }

    /// Sends a message to a peer of our own accord. See [`Server::tell`](crate::Server::tell).
    ///
    /// # Errors
    ///
    /// The connection is closed or closing, or the message finds no room.
    pub fn tell(
        &mut self,
        peer: PeerId,
        message: &[u8],
        now: Moment,
        wall: SystemTime,
    ) -> Result<(), TellError> {
        let found = find(&mut self.conns, peer).filter(|(_, conn)| conn.is_talking());
        let (slot, _) = found.ok_or(TellError::Gone)?;
        let mut told = Ok(());
        self.visit(slot, now, wall, |conn, _, desk| {
            let form = conn.form(desk.protocol);
            let mut reply = Reply::new(desk.outbox.room(desk.limits.reply_max), form, wall);
            reply.message(message);
            let (said, verdict) = reply.finish();
            desk.outbox.keep(said);
            let fits = verdict.is_none() && conn.takes(message.len());
            match if fits { conn.tell(desk) } else { Ok(false) } {
                Ok(true) => Visit::Rest,
                Ok(false) => {
                    told = Err(TellError::Full);
                    Visit::Rest
                }
                Err(_) => {
                    told = Err(TellError::Gone);
                    Visit::Over(Close::Reset)
                }
            }
        });
        told
    }

    /// Serves newcomers with other keys. Those who are in stay.
    pub fn replace_keys(&mut self, keys: KeyRing) {
        self.protocol.replace_keys(keys);
    }

    /// What the engine has done since it began.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The limits in force.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What the listeners speak.
    #[must_use]
    pub fn protocol(&self) -> &Protocol {
        &self.protocol
    }

    /// The service.
    pub fn service(&mut self) -> &mut S {
        &mut self.service
    }

    /// The network.
    #[must_use]
    pub fn net(&self) -> &N {
        &self.net
    }

    /// The network, to be changed.
    pub fn net_mut(&mut self) -> &mut N {
        &mut self.net
    }

    /// The bytes that the connections keep now of unfinished messages and unsent replies.
    #[must_use]
    pub fn bytes_held(&self) -> usize {
        self.held
    }

    /// What the limits come to, in bytes: no peer can make the engine use more.
    #[must_use]
    pub fn memory_max(&self) -> Memory {
        let Limits { connections, unauthenticated, reply_max, held_max, .. } = self.limits;
        let keys = Session::keys_max(&self.protocol);
        let entry = size_of::<Conn<N, S>>() + SLAB_OVERHEAD + keys;
        // A slot can stand in both queues, and a queue that grows doubles.
        let queues = 4 * size_of::<usize>();
        let ages = if self.ages.is_some() { Waits::NODE } else { 0 };
        let per_connection = entry + Waits::NODE + ages + queues + Conn::<N, S>::STUCK_MAX;
        let held_per_connection = self.protocol.unit_max().max(INBOX) + BATCH + reply_max;
        // The limit on what is held is seen when it is passed, so one connection may lie above it.
        let all_held = held_per_connection.saturating_mul(connections);
        let held = all_held.min(held_max.saturating_add(held_per_connection));
        let buffers = INBOX + ASIDE + self.outbox.capacity();
        let fixed = buffers + self.throttle.bytes() + unauthenticated * Visitors::ENTRY;
        let total = fixed.saturating_add(per_connection.saturating_mul(connections));
        Memory {
            fixed,
            per_connection,
            held_per_connection,
            held,
            total: total.saturating_add(held),
        }
    }

    /// Gives a connection its turn, and sees to what came of it.
    fn visit(
        &mut self,
        slot: usize,
        now: Moment,
        wall: SystemTime,
        act: impl FnOnce(&mut Conn<N, S>, &mut [u8], &mut Desk<'_, N, S>) -> Visit,
    ) {
        let Some(conn) = self.conns.get_mut(slot) else { return };
        let held = conn.bytes_held();
        let Counters { bytes_in, bytes_out, authenticated, .. } = self.counters;
        self.outbox.clear();
        let mut desk = Desk {
            net: &mut self.net,
            service: &mut self.service,
            protocol: &self.protocol,
            limits: &self.limits,
            visitors: &mut self.visitors,
            counters: &mut self.counters,
            outbox: &mut self.outbox,
            aside: &mut self.aside,
            messages: MESSAGES_PER_VISIT,
            controlled: false,
            peer: PeerId::new(slot, conn.generation),
            wall,
            draining: self.drain.is_some(),
        };
        // One guard for all that a visit calls. The loop's buffers are lent, so they aren't lost.
        let acted = catch_unwind(AssertUnwindSafe(|| act(conn, &mut self.inbox, &mut desk)));
        let visit = acted.unwrap_or_else(|_| conn.recover(&mut self.inbox, &mut desk));
        let (messages, controlled) = ((MESSAGES_PER_VISIT - desk.messages) as u64, desk.controlled);
        self.counters.messages += messages;
        let held_now = conn.bytes_held();
        self.held = self.held - held + held_now;
        if let Some(ages) = &mut self.ages
            && self.counters.authenticated > authenticated
        {
            ages.enter(slot, Wait::Age, now);
        }
        match visit {
            Visit::Over(why) => return self.remove(slot, why, now),
            Visit::Again if !std::mem::replace(&mut conn.queued, true) => self.again.push(slot),
            Visit::Again | Visit::Rest => {}
        }
        if self.held > self.limits.held_max && held_now > held {
            return self.remove(slot, Close::Overloaded, now);
        }
        let wait = conn.waits_for();
        let progress = match wait {
            // A visit may answer what an earlier one has read.
            Wait::Idle => self.counters.bytes_in > bytes_in || messages > 0,
            // What lies there in part now has just begun.
            Wait::Message => messages > 0 || controlled,
            Wait::Write => self.counters.bytes_out > bytes_out,
            Wait::Delay | Wait::Handshake | Wait::Linger | Wait::Age => false,
        };
        if std::mem::replace(&mut conn.wait, wait) != wait || progress {
            self.waits.leave(slot);
            self.waits.enter(slot, wait, now);
        }
    }
}

/// The connection of a name, if it is still that one.
fn find<N: Net, S: Service>(
    conns: &mut Slab<Conn<N, S>>,
    peer: PeerId,
) -> Option<(usize, &mut Conn<N, S>)> {
    let conn = conns.get_mut(peer.slot())?;
    (conn.generation as usize == peer.generation()).then_some((peer.slot(), conn))
}

impl<N: Net, S: Service> fmt::Debug for Engine<N, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("protocol", &self.protocol)
            .field("limits", &self.limits)
            .field("connections", &self.conns.len())
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

/// Why a message was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TellError {
    /// The connection is closed or closing.
    Gone,
    /// The peer doesn't take what was written before, or the message passes
    /// [`Limits::reply_max`]. Nothing of it was sent.
    Full,
}

impl fmt::Display for TellError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gone => "the connection is closed or closing",
            Self::Full => "the peer doesn't take what was written before",
        })
    }
}

impl std::error::Error for TellError {}
