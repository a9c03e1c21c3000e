//! The engine: which connection has a turn, for how long, and when a connection ends.

mod admit;
mod end;
mod faults;
mod keys;
mod memory;

use std::fmt;
use std::io;
use std::time::{Duration, SystemTime};

use countersign_proto::{CHALLENGE, HELLO_MAX};

use crate::contract::access::Access;
use crate::contract::calls::Calls;
use crate::contract::close::CloseReason;
use crate::contract::limits::Limits;
use crate::contract::listener_id::{ListenerId, TooManyListenersError, UnknownListenerError};
use crate::contract::outbox::Outbox;
use crate::contract::peer::PeerId;
use crate::contract::reply::Reply;
use crate::contract::service::Service;
use crate::reactor::acceptor::Acceptor;
use crate::reactor::instant::Instant;
use crate::reactor::pauses::Pauses;
use crate::reactor::readiness::Readiness;
use crate::reactor::timers::Timers;
use crate::reactor::token::{SLOTS_MAX, TokenSlab, Tokened};
use crate::server::connection::{Connection, NextStep, VisitOutcome};
use crate::server::context::{Context, EngineShared, VisitProgress};
use crate::server::event_log::EventLog;
use crate::server::flags::Flags;
use crate::server::listener::{Listener, ROOM_MAX};
use crate::server::net::Net;
use crate::server::proxy_protocol::HEADER_MAX;
use crate::server::timer::{SessionAge, Timer};
use crate::stats::Stats;
use crate::stats::counters::Counters;

/// The most control bytes that a session writes at once: a nonce and a hello.
const CONTROL_OUT: usize = CHALLENGE + HELLO_MAX;

/// The reactor over any [`Net`]: it decides which connection has a turn, for how long, and when it
/// ends.
///
/// [`Server`](crate::Server) is an engine over the system's sockets. Use the engine itself for
/// sockets of another kind, or to run a server in a simulation: it reads no clock and draws no
/// random bytes. Report events with [`event`](Self::event) and
/// [`listener_ready`](Self::listener_ready), then call [`turn`](Self::turn) until its
/// [`deadline`](Self::deadline) is in the future.
pub struct Engine<N: Net, S: Service> {
    shared: EngineShared<N, S>,
    listeners: Vec<Listener>,
    conns: TokenSlab<Connection<N, S>>,
    timers: Timers<Timer>,
    /// The age of connections, for listeners that limit it.
    ages: Option<Timers<SessionAge>>,
    acceptor: Acceptor<ListenerId>,
    /// The slots whose connections have a turn, in order. A slot whose connection isn't marked as
    /// queued is stale.
    ready: Vec<usize>,
    /// The slots whose connections have another turn in the next pass.
    again: Vec<usize>,
    /// The only buffer for input.
    inbox: Box<[u8]>,
    /// Connections are closed when their keys expire.
    closes_expired: bool,
    /// When to check next whether a key has expired.
    key_expiry: Option<Instant>,
    log: EventLog,
}

impl<N: Net, S: Service> Engine<N, S> {
    /// An engine with these listeners, which get their ids in this order. The sockets that listen
    /// for them are numbered from 0, in the order of the listeners.
    ///
    /// # Errors
    ///
    /// There are more than 256 listeners.
    pub fn new(
        net: N,
        listeners: impl IntoIterator<Item = Listener>,
        service: S,
    ) -> Result<Self, TooManyListenersError> {
        let numbered = listeners.into_iter().enumerate();
        let identified = numbered.map(|(place, each)| Ok(each.identified(ListenerId::at(place)?)));
        let listeners = identified.collect::<Result<Vec<_>, _>>()?;
        let room = connections(&listeners).min(ROOM_MAX);
        let sockets = listeners.iter().flat_map(|each| vec![each.id; each.sockets]);
        let ages = listeners.iter().any(|listener| listener.limits.session_age_max.is_some());
        Ok(Self {
            conns: TokenSlab::with_capacity(room),
            timers: Timers::new(listeners.len(), room),
            ages: ages.then(|| Timers::new(listeners.len(), room)),
            acceptor: Acceptor::new(sockets),
            ready: Vec::new(),
            again: Vec::new(),
            inbox: vec![0; inbox_room(&listeners)].into(),
            shared: EngineShared {
                net,
                service,
                calls: Calls::new(outbox(&listeners)),
                control_out: Vec::with_capacity(CONTROL_OUT),
                unix_time: Duration::ZERO,
                drain: None,
                pauses: Pauses::default(),
                wakes: Pauses::default(),
            },
            closes_expired: true,
            key_expiry: None,
            log: EventLog::default(),
            listeners,
        })
    }

    /// A connection may be waiting at a listening socket.
    pub fn listener_ready(&mut self, socket: usize) {
        self.acceptor.ready(socket);
    }

    /// Takes an event of a socket. An event of a closed connection does no harm.
    pub fn event(&mut self, peer: PeerId, readiness: Readiness) {
        let Some(conn) = self.conns.find(peer.0) else { return };
        if conn.notice(readiness) && !conn.flags.set(Flags::QUEUED, true) {
            self.ready.push(peer.0.slot());
        }
    }

    /// Runs one pass: serves each ready connection, closes those that have timed out, and then
    /// accepts new ones. Returns the number of connections that had a turn.
    ///
    /// # Errors
    ///
    /// A listening socket fails. Nothing that a peer does is an error.
    pub fn turn(&mut self, now: Instant, wall: SystemTime) -> io::Result<usize> {
        self.close_expired(now, wall);
        self.end_pauses(now);
        self.wake_due(now, wall);
        // Connections that have used up their budget come after those that have just become ready.
        self.ready.append(&mut self.again);
        let mut ready = std::mem::take(&mut self.ready);
        for &slot in &ready {
            let is_queued = |conn: &mut Connection<N, S>| conn.flags.set(Flags::QUEUED, false);
            self.visit_if(is_queued, slot, now, wall, Connection::pump);
        }
        let visits = ready.len();
        ready.clear();
        self.ready = ready;
        self.expire(now, wall);
        self.expire_ages(now, wall);
        self.accept(now, wall)?;
        Ok(visits)
    }

    /// When the next turn is due, if no event comes before: at once if there is work left, never if
    /// no timer is running.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        if !self.again.is_empty() || !self.ready.is_empty() {
            return Some(Instant::default());
        }
        let acceptor = self.acceptor.deadline(|listener| self.room_at(listener));
        let age = self.ages.as_ref().and_then(|ages| ages.deadline(self.age_max()));
        let timers = self.timers.deadline(self.length());
        let pauses = [self.pause_end(), self.shared.wakes.deadline()].into_iter().flatten().min();
        [timers, age, acceptor, pauses, self.key_expiry, self.shared.drain]
            .into_iter()
            .flatten()
            .min()
    }

    /// Sends a message to a peer between turns. See [`Server::tell`](crate::Server::tell).
    ///
    /// # Errors
    ///
    /// The connection is closed or closing, the peer is slow, or the message is too long for it.
    pub fn tell(
        &mut self,
        peer: PeerId,
        message: &[u8],
        now: Instant,
        wall: SystemTime,
    ) -> Result<(), TellError> {
        let found = self.conns.find(peer.0).filter(|conn| conn.is_open());
        let slot = found.map(|_| peer.0.slot()).ok_or(TellError::Gone)?;
        let mut told = Ok(());
        self.visit(slot, now, wall, |conn, _, cx| {
            let form = conn.form(&cx.listener.config);
            let outbox = &mut cx.shared.calls.outbox;
            let mut reply = Reply::new(outbox, cx.listener.limits.reply_max, form, wall);
            reply.message(message);
            let verdict = reply.finish();
            if verdict.is_some() || !conn.takes(message.len()) {
                told = Err(match verdict {
                    Some(CloseReason::ReplyUnsendable) => TellError::Unsendable,
                    _ => TellError::TooLong,
                });
                return Ok(NextStep::Wait);
            }
            match conn.tell(cx) {
                Ok(true) => {}
                Ok(false) => told = Err(TellError::Full),
                Err(_) => {
                    told = Err(TellError::Gone);
                    return Ok(NextStep::Close(CloseReason::Reset));
                }
            }
            Ok(NextStep::Wait)
        });
        told
    }

    /// Closes a connection at once. See [`Server::dismiss`](crate::Server::dismiss).
    pub fn dismiss(&mut self, peer: PeerId, now: Instant) -> bool {
        let found = self.conns.find(peer.0).map(|_| peer.0.slot());
        found.inspect(|slot| self.remove(*slot, CloseReason::ClosedByService, now)).is_some()
    }

    /// Replaces a listener's limits. Open connections stay, even if they are more than the new
    /// limits allow; if their age had no limit, it counts from now. Until they have closed, they
    /// can use more than the new [`memory_max`](Self::memory_max).
    ///
    /// # Errors
    ///
    /// The engine has no such listener.
    pub fn replace_limits(
        &mut self,
        id: ListenerId,
        limits: Limits,
        now: Instant,
    ) -> Result<(), UnknownListenerError> {
        let replaced = self.listener_mut(id)?;
        let ages_before = replaced.limits.session_age_max.is_some();
        replaced.replace_limits(limits);
        let ages_now = replaced.limits.session_age_max.is_some();
        if ages_before != ages_now {
            self.change_ages(id.index(), ages_now, now);
        }
        // They never shrink: a connection may have kept as much of a read as was in the inbox.
        if outbox_room(&self.listeners) > self.shared.calls.outbox.capacity() {
            self.shared.calls.outbox = outbox(&self.listeners);
        }
        if inbox_room(&self.listeners) > self.inbox.len() {
            self.inbox = vec![0; inbox_room(&self.listeners)].into();
        }
        Ok(())
    }

    /// Replaces a listener's access list. It applies to new connections; open ones stay.
    ///
    /// # Errors
    ///
    /// The engine has no such listener.
    pub fn replace_access(
        &mut self,
        id: ListenerId,
        access: Access,
    ) -> Result<(), UnknownListenerError> {
        self.listener_mut(id)?.access = access;
        Ok(())
    }

    fn listener_mut(&mut self, id: ListenerId) -> Result<&mut Listener, UnknownListenerError> {
        self.listeners.get_mut(id.index()).ok_or(UnknownListenerError(id))
    }

    /// The listeners, as they are now.
    #[must_use]
    pub fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    /// What all listeners have done since they began.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.listeners.iter().map(|listener| &listener.counters).sum()
    }

    /// What the engine has done since it began and what it does now. It looks at every connection.
    #[must_use]
    pub fn stats(&self, now: Instant) -> Stats {
        let mut listeners: Vec<_> = self.listeners.iter().map(|each| each.stats(now)).collect();
        for (_, conn) in self.conns.iter() {
            let connections = &mut listeners[usize::from(conn.listener)].connections;
            *match conn.timer {
                Timer::Delay => &mut connections.delayed,
                _ if conn.is_open() => &mut connections.open,
                Timer::Handshake => &mut connections.handshake,
                _ => &mut connections.closing,
            } += 1;
        }
        let (memory_max, is_draining) = (self.memory_max(), self.is_draining());
        Stats { listeners, memory_max, is_draining, ..Stats::default() }
    }

    /// The service.
    #[must_use]
    pub fn service(&self) -> &S {
        &self.shared.service
    }

    /// The service, to change it.
    pub fn service_mut(&mut self) -> &mut S {
        &mut self.shared.service
    }

    /// The network.
    #[must_use]
    pub fn net(&self) -> &N {
        &self.shared.net
    }

    /// The network, to change it.
    pub fn net_mut(&mut self) -> &mut N {
        &mut self.shared.net
    }

    /// The bytes that the connections keep now of unfinished messages and unsent replies.
    #[must_use]
    pub fn bytes_buffered(&self) -> usize {
        self.listeners.iter().map(|listener| listener.held).sum()
    }

    /// Gives a connection its turn, and handles the outcome.
    fn visit(
        &mut self,
        slot: usize,
        now: Instant,
        wall: SystemTime,
        act: impl FnOnce(
            &mut Connection<N, S>,
            &mut [u8],
            &mut Context<'_, N, S>,
        ) -> io::Result<NextStep>,
    ) {
        self.visit_if(|_| true, slot, now, wall, act);
    }

    /// The same, if the connection has a turn.
    #[inline]
    fn visit_if(
        &mut self,
        has_turn: impl FnOnce(&mut Connection<N, S>) -> bool,
        slot: usize,
        now: Instant,
        wall: SystemTime,
        act: impl FnOnce(
            &mut Connection<N, S>,
            &mut [u8],
            &mut Context<'_, N, S>,
        ) -> io::Result<NextStep>,
    ) {
        let Some(conn) = self.conns.get_mut(slot) else { return };
        if !has_turn(conn) {
            return;
        }
        let listener = &mut self.listeners[usize::from(conn.listener)];
        self.shared.calls.begin(&listener.limits, wall);
        let (shared, done) = (&mut self.shared, VisitProgress::default());
        let cx = Context { shared, listener, done, slot, now };
        let visit = conn.visit(&mut self.inbox, cx, act);
        count(listener, &visit);
        let (number, group) = (conn.listener, usize::from(conn.listener));
        if visit.done.has_authenticated
            && let Some(ages) = &mut self.ages
            && listener.limits.session_age_max.is_some()
        {
            ages.start(slot, (group, SessionAge), now);
        }
        match visit.next {
            NextStep::Close(why) => return self.remove(slot, why, now),
            NextStep::Continue if !conn.flags.set(Flags::QUEUED, true) => self.again.push(slot),
            NextStep::Continue | NextStep::CheckSource | NextStep::Wait => {}
        }
        let timer = conn.timer();
        let before = std::mem::replace(&mut conn.timer, timer);
        if before != timer {
            self.timers.stop(slot, (group, before));
            self.timers.start(slot, (group, timer), now);
        } else if visit.restarts(timer) {
            self.timers.restart(slot, (group, timer), now);
        }
        if visit.buffered > visit.buffered_before {
            // Bytes above a limit that was lowered stay, but no more are added.
            let others = listener.held - (visit.buffered - visit.buffered_before);
            let buffered_max = listener.limits.buffered_max.max(others);
            self.relieve(number, buffered_max, slot, now);
        }
        if let NextStep::CheckSource = visit.next {
            self.check_located_source(slot, now, wall);
        }
    }
}

/// Adds the counts of a visit to the counters of its listener.
fn count(listener: &mut Listener, visit: &VisitOutcome) {
    let VisitProgress { read, written, has_authenticated, .. } = visit.done;
    listener.counters.bytes_in += read as u64;
    listener.counters.bytes_out += written as u64;
    listener.counters.messages += visit.answered as u64;
    listener.counters.authenticated += u64::from(has_authenticated);
    if visit.buffered != visit.buffered_before {
        listener.held = listener.held - visit.buffered_before + visit.buffered;
    }
}

/// The maximum number of connections of all listeners.
fn connections(listeners: &[Listener]) -> usize {
    let limits = listeners.iter().map(|listener| listener.limits.connections);
    limits.fold(0, usize::saturating_add).min(SLOTS_MAX)
}

/// The size of the buffer for replies: at its longest, it has a batch that is just not full, one
/// more reply, and what the session has to say.
fn outbox(listeners: &[Listener]) -> Outbox {
    Outbox::new(outbox_room(listeners))
}

fn outbox_room(listeners: &[Listener]) -> usize {
    let room = |Limits { reply_max, batch_max, .. }: &Limits| batch_max + reply_max;
    let most = listeners.iter().map(|listener| room(&listener.limits)).max();
    most.unwrap_or_default() + CONTROL_OUT
}

/// The size of the buffer for input, which has room for the header of a load balancer.
fn inbox_room(listeners: &[Listener]) -> usize {
    let room = |listener: &Listener| {
        let header = if listener.is_by_balancers() { HEADER_MAX } else { 0 };
        listener.limits.read_max.max(header)
    };
    listeners.iter().map(room).max().unwrap_or(1)
}

impl<N: Net, S: Service> Tokened for Connection<N, S> {
    fn generation(&self) -> u32 {
        self.generation
    }
}

impl<N: Net, S: Service> fmt::Debug for Engine<N, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("listeners", &self.listeners)
            .field("connections", &self.conns.len())
            .finish_non_exhaustive()
    }
}

/// Why a message was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TellError {
    /// The connection is closed or closing.
    Gone,
    /// The peer has not yet taken what was written before. Try again later: the same message fits
    /// as soon as the peer has taken that.
    Full,
    /// The message, with its frame, is longer than [`Limits::reply_max`] or than the peer takes. It
    /// will never fit: split it, or raise the limit.
    TooLong,
    /// The message has a line feed inside, and the connection's framing is `lines` without records.
    Unsendable,
}

impl fmt::Display for TellError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gone => "the connection is closed or closing",
            Self::Full => "the peer has not yet taken what was written before; try again later",
            Self::TooLong => "the message is longer than reply_max or than the peer takes",
            Self::Unsendable => "the message has a line feed inside, and the framing is lines",
        })
    }
}

impl std::error::Error for TellError {}
