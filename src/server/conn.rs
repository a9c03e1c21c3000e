//! One entry of the slab: a socket, its session, and what it is stuck with.

mod arrival;
mod phase;

use std::io;

use crate::contract::close::CloseReason;
use crate::contract::listener_id::ListenerId;
use crate::contract::service::Service;
use crate::proto::blocks::Blocks;
use crate::proto::dialect::Dialect;
use crate::proto::framing::FrameFormat;
use crate::proto::keys::key::KeyNumber;
use crate::proto::protocol::Protocol;
use crate::proto::refusal::{Refusal, RefusalCode};
use crate::proto::session::event::Event;
use crate::proto::session::{Session, Step};
use crate::reactor::buffered_stream::write_until_blocked;
use crate::reactor::instant::{CompactInstant, Instant};
use crate::server::context::Context;
use crate::server::flags::Flags;
use crate::server::net::{Net, Readiness};
use crate::server::timer::Timer;
use crate::server::unauthenticated::UnauthenticatedId;

pub(super) use phase::Phase;

/// Once so much waits in the outbox, it is sent before more is answered.
pub(super) const BATCH: usize = 16 << 10;

/// The messages that a connection may have answered in one visit.
pub(super) const MESSAGES_PER_VISIT: usize = 1024;

/// The reads that a connection may make in one visit.
const READS_PER_VISIT: usize = 4;

/// What a peer says after our good-bye is counted in so many bytes, to keep the entry small.
const LINGER_UNIT: usize = 16;

/// What a peer may go on to say after our good-bye before we hang up: 1 MiB.
const LINGER_MAX: u16 = u16::MAX;

/// The same for one that was not let in: 4 KiB.
const LINGER_MAX_OUTSIDE: u16 = 256;

/// One entry of the slab.
pub(super) struct Conn<N: Net, S: Service> {
    socket: N::Socket,
    /// Tells this tenant of the slot from the ones before it.
    pub(super) generation: u32,
    /// When it was accepted.
    pub(super) since: CompactInstant<10>,
    /// The listener that it came by.
    pub(super) listener: ListenerId,
    session: Session,
    /// The service's, once the peer is let in.
    pub(super) state: Option<S::State>,
    /// What the connection is stuck with; none while it isn't.
    backlog: Option<Box<Backlog>>,
    phase: Phase,
    /// Its id among the unauthenticated connections, until it has authenticated.
    pub(super) unauthenticated: Option<UnauthenticatedId>,
    pub(super) flags: Flags,
    /// The list in which it waits.
    pub(super) timer: Timer,
}

/// What a connection keeps while its peer doesn't take what was written, or its visit is over.
#[derive(Debug, Default)]
struct Backlog {
    /// What was written; the front of it, up to `sent`, is gone.
    unsent: Blocks,
    sent: usize,
    /// What was read and not looked at yet: the rest of one read.
    unread: Blocks,
}

/// What a visit came to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Visit {
    /// Nothing more can be done before the next event.
    Rest,
    /// It is known where the connection comes from, and not decided yet what that comes to.
    Located,
    /// The budget is used up: more can be done at once.
    Again,
    /// The connection is to be closed now.
    Over(CloseReason),
}

impl<N: Net, S: Service> Conn<N, S> {
    /// What a stuck connection takes beside the bytes that it keeps.
    pub(super) const BACKLOG_MAX: usize = size_of::<Backlog>() + Session::CUT_MAX;

    pub(super) fn new(
        socket: N::Socket,
        (listener, generation): (ListenerId, u32),
        session: Session,
        unauthenticated: UnauthenticatedId,
        phase: Phase,
        now: Instant,
    ) -> Self {
        Self {
            socket,
            generation,
            since: now.into(),
            listener,
            session,
            state: None,
            backlog: None,
            phase,
            unauthenticated: Some(unauthenticated),
            flags: Flags::default(),
            timer: phase.first_timer(),
        }
    }

    /// Takes note of an event. Says whether it is worth a visit.
    pub(super) fn notice(&mut self, readiness: Readiness) -> bool {
        self.flags.add(readiness.into());
        readiness.readable || readiness.failed || (readiness.writable && self.has_unsent())
    }

    /// Closes once what was written is sent; an unauthenticated peer is owed nothing.
    pub(super) fn close(&mut self, why: CloseReason) {
        if self.phase.is_open() {
            self.phase = Phase::Closing { why, at_once: self.unauthenticated.is_some() };
        }
    }

    /// Ends a handshake of our own accord, without a word to those who weren't greeted.
    pub(super) fn give_up(
        &mut self,
        code: RefusalCode,
        why: CloseReason,
        cx: &mut Context<'_, N, S>,
    ) {
        if !self.phase.is_greeted() {
            self.phase = Phase::Closing { why, at_once: true };
        }
        if self.phase.is_open() && self.unauthenticated.is_some() {
            // What has arrived of a late proof may tell more than that it is late.
            let suspected = self.session.suspect(cx.protocol).map(CloseReason::from);
            let is_late = why == CloseReason::Refused(Refusal::HandshakeTimeout);
            let why = suspected.filter(|_| is_late).unwrap_or(why);
            self.session.give_up(code, cx.control_out);
            cx.calls.outbox.append(cx.control_out);
            self.phase = Phase::Closing { why, at_once: cx.calls.outbox.len() == 0 };
        }
    }

    /// Whether the peer takes a message of so many bytes.
    pub(super) fn takes(&self, length: usize) -> bool {
        self.session.takes(length)
    }

    /// How a message of ours is framed.
    pub(super) fn form(&self, protocol: &Protocol) -> FrameFormat {
        self.session.form(protocol)
    }

    /// The key that the peer has proved.
    pub(super) fn key(&self) -> Option<KeyNumber> {
        self.session.credential().map(|credential| credential.number)
    }

    /// Whether messages are answered here, though the peer couldn't be let in any more.
    pub(super) fn is_revoked(&self, protocol: &Protocol) -> bool {
        self.is_open() && self.session.is_revoked(protocol)
    }

    /// The bytes that it keeps beside its entry.
    pub(super) fn bytes_buffered(&self) -> usize {
        let backlog = self.backlog.as_ref();
        self.session.bytes_buffered()
            + backlog.map_or(0, |backlog| backlog.unsent.taken() + backlog.unread.taken())
    }

    /// What it waits for now.
    pub(super) fn timer(&self) -> Timer {
        match self.phase {
            Phase::Lingering { .. } => Timer::Linger,
            Phase::Delayed { .. } => Timer::Delay,
            _ if self.unauthenticated.is_some() => Timer::Handshake,
            _ if self.has_unsent() => Timer::Write,
            _ if self.session.is_partial() => Timer::Message,
            _ => Timer::Idle,
        }
    }

    fn has_unsent(&self) -> bool {
        self.backlog.as_ref().is_some_and(|backlog| !backlog.unsent.is_empty())
    }

    /// Says what the dialect begins with.
    pub(super) fn greet(&mut self, inbox: &mut [u8], cx: &mut Context<'_, N, S>) -> Visit {
        let greeted = self.process_input(&[], cx);
        let visit = greeted.and_then(|()| match self.phase {
            Phase::Open => Ok(Visit::Rest),
            _ => self.wind_up(inbox, cx),
        });
        visit.unwrap_or(Visit::Over(CloseReason::Reset))
    }

    /// Has its turn: sends what waits, then reads, answers and sends until there is nothing more
    /// or the budget is used up. While anything waits to be sent, nothing is read.
    pub(super) fn pump(&mut self, inbox: &mut [u8], cx: &mut Context<'_, N, S>) -> Visit {
        if self.flags.has(Flags::FAILED) {
            return Visit::Over(self.reason(CloseReason::Reset));
        }
        let visit = match self.phase.is_greeted() {
            true => self.turn(inbox, cx),
            false => self.read_proxy_header(inbox, cx),
        };
        visit.unwrap_or_else(|_| Visit::Over(self.reason(CloseReason::Reset)))
    }

    fn turn(&mut self, inbox: &mut [u8], cx: &mut Context<'_, N, S>) -> io::Result<Visit> {
        if !self.send_unsent(inbox, cx)? {
            return Ok(Visit::Rest);
        }
        let unread = self.backlog.take().map_or(0, |backlog| backlog.unread.copy(0, inbox));
        if unread > 0 {
            self.process_input(&inbox[..unread], cx)?;
        }
        let mut reads = READS_PER_VISIT;
        while self.phase.is_open() && self.backlog.is_none() {
            if !self.flags.has(Flags::READABLE) {
                if !cx.draining {
                    return Ok(Visit::Rest);
                }
                self.give_up(RefusalCode::Busy, CloseReason::Stopped, cx);
                self.close(CloseReason::Stopped);
            } else if reads == 0 || cx.calls.messages == 0 {
                return Ok(Visit::Again);
            } else {
                reads -= 1;
                match self.read(inbox, cx)? {
                    None => {}
                    Some(0) => self.finish(cx)?,
                    Some(length) => self.process_input(&inbox[..length], cx)?,
                }
            }
        }
        self.wind_up(inbox, cx)
    }

    /// Reads once. A short read has emptied the socket, so a second that only says so is saved;
    /// the end of the stream, though, may have come with the very event that told of the bytes, and
    /// so may urgent data, before which the system stops a read.
    #[inline]
    fn read(&mut self, inbox: &mut [u8], cx: &mut Context<'_, N, S>) -> io::Result<Option<usize>> {
        loop {
            match cx.net.read(&mut self.socket, inbox) {
                Ok(length) => {
                    let more = length == inbox.len() || self.flags.has(Flags::MORE);
                    self.flags.set(Flags::READABLE, more);
                    cx.counters.bytes_in += length as u64;
                    return Ok(Some(length));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.flags.set(Flags::READABLE, false);
                    self.flags.set(Flags::URGENT, false);
                    return Ok(None);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Answers what was read. What can't be answered now is kept.
    fn process_input(&mut self, mut input: &[u8], cx: &mut Context<'_, N, S>) -> io::Result<()> {
        while self.phase.is_open() && (!input.is_empty() || self.session.is_due()) {
            match &mut self.state {
                Some(state) => {
                    let step = cx.serve(&mut self.session, state, &mut input);
                    self.follow(step, cx);
                }
                None => self.authenticate(&mut input, cx),
            }
            let is_full = cx.calls.outbox.len() >= BATCH && !self.send(cx)?;
            if (is_full || cx.calls.messages == 0) && !input.is_empty() {
                if self.phase.is_open() {
                    self.backlog.get_or_insert_default().unread = input.into();
                }
                break;
            }
        }
        // What keeps bytes from now on is the reply or the rest of the input, not the message.
        self.session.release();
        self.send(cx).map(|_| ())
    }

    /// Does what the session has found beside messages.
    #[inline]
    fn follow(
        &mut self,
        step: Result<Step<Option<CloseReason>>, Refusal>,
        cx: &mut Context<'_, N, S>,
    ) {
        if let Ok(Step::NeedsInput | Step::Stopped(None)) = step {
            return debug_assert!(cx.control_out.is_empty(), "messages come without words of ours");
        }
        cx.calls.outbox.append(cx.control_out);
        match step {
            Ok(Step::NeedsInput | Step::Stopped(None)) => {}
            // How many there can be, the reads of a visit limit.
            Ok(Step::Control) => cx.controlled = true,
            Ok(Step::Finished) => {
                self.phase = Phase::Closing { why: CloseReason::Finished, at_once: true };
            }
            Ok(Step::End) => self.close(CloseReason::Answered),
            Ok(Step::Stopped(Some(why))) => self.close(why),
            Err(refusal) => self.close(refusal.into()),
        }
    }

    /// Goes on with the handshake.
    #[cold]
    fn authenticate(&mut self, input: &mut &[u8], cx: &mut Context<'_, N, S>) {
        let event = self.session.next(cx.protocol, input, cx.control_out);
        cx.calls.outbox.append(cx.control_out);
        match event {
            Ok(Some(Event::Open(opened))) => {
                // A Python's last word is a write of its own, and its system holds back the first
                // message until that has arrived: for 40 ms, if ours is as slow to say so.
                if opened.dialect == Dialect::Multiprocessing && input.is_empty() {
                    cx.net.acknowledge(&mut self.socket);
                }
                let (state, end) =
                    cx.open(self.unauthenticated.take(), &opened, (self.listener, self.since));
                self.state = state;
                if let Some(why) = end {
                    self.close(why);
                }
            }
            Ok(event) => debug_assert!(event.is_none(), "a handshake precedes all else"),
            Err(refusal) => {
                // One that isn't let in may have a word of ours to lose: the reason.
                let at_once = cx.calls.outbox.len() == 0;
                self.phase = Phase::Closing { why: refusal.into(), at_once };
            }
        }
    }

    /// The peer has ended its stream: what is left without a terminator is one last message.
    fn finish(&mut self, cx: &mut Context<'_, N, S>) -> io::Result<()> {
        let verdict = match (self.session.finish(cx.protocol), &mut self.state) {
            (Ok(Some(message)), Some(state)) => cx.answer_last(state, message),
            (Ok(_), _) => None,
            (Err(refusal), _) => Some(refusal.into()),
        };
        self.session.release();
        self.phase =
            Phase::Closing { why: verdict.unwrap_or(CloseReason::Finished), at_once: true };
        self.send(cx).map(|_| ())
    }

    /// Sends the outbox; what the socket doesn't take is kept. Says whether all of it went.
    fn send(&mut self, cx: &mut Context<'_, N, S>) -> io::Result<bool> {
        let sealed = self.session.seal(cx.calls.outbox.bytes_mut());
        if sealed < cx.calls.outbox.len() {
            cx.calls.outbox.cut(sealed);
            // Nobody has finished, or been told good-bye, who lacks a reply.
            if let Phase::Open | Phase::Closing { .. } = self.phase {
                self.phase = Phase::Closing { why: CloseReason::ReplyTooLong, at_once: false };
            }
        }
        if self.has_unsent() {
            self.backlog.get_or_insert_default().unsent.push(cx.calls.outbox.bytes());
            cx.calls.outbox.clear();
            return Ok(false);
        }
        let sent = write_until_blocked(cx.calls.outbox.bytes(), |bytes| {
            cx.net.write(&mut self.socket, bytes)
        })?;
        cx.counters.bytes_out += sent as u64;
        let all = sent == cx.calls.outbox.len();
        if !all {
            self.backlog.get_or_insert_default().unsent = cx.calls.outbox.bytes()[sent..].into();
        }
        cx.calls.outbox.clear();
        Ok(all)
    }

    /// Sends what waits from an earlier visit, by way of the inbox, which is free. Says whether all
    /// of it went.
    fn send_unsent(&mut self, inbox: &mut [u8], cx: &mut Context<'_, N, S>) -> io::Result<bool> {
        let Some(backlog) = self.backlog.as_mut().filter(|backlog| !backlog.unsent.is_empty())
        else {
            return Ok(true);
        };
        loop {
            let length = backlog.unsent.copy(backlog.sent, inbox);
            if length == 0 {
                backlog.unsent = Blocks::default();
                backlog.sent = 0;
                return Ok(true);
            }
            let sent = write_until_blocked(&inbox[..length], |bytes| {
                cx.net.write(&mut self.socket, bytes)
            })?;
            cx.counters.bytes_out += sent as u64;
            backlog.sent += sent;
            if sent < length {
                return Ok(false);
            }
        }
    }

    /// Sends a message of our own accord, which lies in the outbox. Says whether there was room:
    /// what waits unsent is limited to what one visit can leave.
    pub(super) fn tell(&mut self, cx: &mut Context<'_, N, S>) -> io::Result<bool> {
        let waiting = self.backlog.as_ref().map_or(0, |backlog| backlog.unsent.len());
        if waiting + cx.calls.outbox.len() > BATCH + cx.limits.reply_max {
            return Ok(false);
        }
        self.send(cx).map(|_| true)
    }

    /// Whether messages are answered here.
    pub(super) fn is_open(&self) -> bool {
        self.phase.is_open() && self.state.is_some()
    }

    /// Goes as far towards the end as it can: sends what waits, then says good-bye, then waits
    /// for the peer's.
    fn wind_up(&mut self, inbox: &mut [u8], cx: &mut Context<'_, N, S>) -> io::Result<Visit> {
        if let Phase::Closing { why, .. } = self.phase
            && why.is_orderly()
        {
            self.session.say_goodbye(cx.control_out);
            cx.calls.outbox.append(cx.control_out);
        }
        if !self.send(cx)? || self.has_unsent() {
            return Ok(Visit::Rest);
        }
        loop {
            match self.phase {
                Phase::AwaitingProxyHeader | Phase::Delayed { .. } => return Ok(Visit::Rest),
                Phase::Open => return Ok(Visit::Again),
                Phase::Closing { why, at_once: true } => return Ok(Visit::Over(why)),
                Phase::Closing { why, .. } => {
                    self.backlog = None;
                    cx.net.shutdown(&mut self.socket)?;
                    let is_inside = self.unauthenticated.is_none();
                    let left = if is_inside { LINGER_MAX } else { LINGER_MAX_OUTSIDE };
                    self.phase = Phase::Lingering { why, left };
                }
                Phase::Lingering { why, .. } if !self.flags.has(Flags::READABLE) => {
                    debug_assert!(why != CloseReason::Finished, "the peer has not ended");
                    return Ok(Visit::Rest);
                }
                Phase::Lingering { why, left } => {
                    let length = self.read(inbox, cx)?;
                    let units = length.unwrap_or_default().div_ceil(LINGER_UNIT);
                    let left = left.checked_sub(u16::try_from(units).unwrap_or(u16::MAX));
                    match left.filter(|left| *left > 0 && length != Some(0)) {
                        Some(left) => self.phase = Phase::Lingering { why, left },
                        None => return Ok(Visit::Over(why)),
                    }
                }
            }
        }
    }

    /// Why the connection ends, if it ends now and there was no reason before.
    pub(super) fn reason(&self, otherwise: CloseReason) -> CloseReason {
        self.phase.reason(otherwise)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::mio_net::MioNet;
    use crate::services::Timestamp;

    #[test]
    fn an_idle_connection_is_small() {
        // In debug builds, mio's sockets carry the number of their poll, which may hide more.
        let debug = if cfg!(debug_assertions) { 16 } else { 0 };
        assert!(size_of::<Phase>() <= 4, "{}", size_of::<Phase>());
        let entry = size_of::<Conn<MioNet, Timestamp>>() - debug;
        assert!(entry + crate::reactor::timers::Timers::<Timer>::ENTRY <= 92, "{entry}");
    }
}
