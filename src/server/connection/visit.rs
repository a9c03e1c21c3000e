//! The visit of a connection: it sends what is unsent, then reads, answers and sends.

use std::io;

use countersign_proto::{Dialect, Event, Key, Refusal, RefusalCode, Step};

use crate::contract::close::CloseReason;
use crate::contract::peer::Peer;
use crate::contract::service::Service;
use crate::server::connection::{AuthStatus, Connection, NextStep, State, VisitOutcome};
use crate::server::context::{Context, EngineShared};
use crate::server::event_log;
use crate::server::flags::Flags;
use crate::server::listener::Listener;
use crate::server::net::Net;

/// The reads that a connection may make in one visit.
const READS_PER_VISIT: usize = 4;

impl<N: Net, S: Service> Connection<N, S> {
    /// Lets the connection work, within the budget of one visit.
    // Inlined by force: a call costs a message 30 instructions (budget "instructions/message").
    #[inline(always)]
    pub(in crate::server) fn visit(
        &mut self,
        inbox: &mut [u8],
        mut cx: Context<'_, N, S>,
        act: impl FnOnce(&mut Self, &mut [u8], &mut Context<'_, N, S>) -> io::Result<NextStep>,
    ) -> VisitOutcome {
        let buffered_before = self.bytes_buffered();
        let next = act(self, inbox, &mut cx);
        let next = next.unwrap_or_else(|error| self.broken(&error, &mut cx));
        self.check();
        VisitOutcome {
            done: cx.done,
            answered: cx.shared.calls.answered,
            buffered_before,
            buffered: self.bytes_buffered(),
            next,
        }
    }

    /// The socket has failed. If its connection has not, the system may still deliver what it took
    /// of a reply, so the connection is reset: a peer must not take that for the whole.
    #[cold]
    fn broken(&mut self, error: &io::Error, cx: &mut Context<'_, N, S>) -> NextStep {
        use io::ErrorKind::{BrokenPipe, ConnectionReset};
        if !matches!(error.kind(), BrokenPipe | ConnectionReset) {
            cx.shared.net.reset(&mut self.socket);
        }
        NextStep::Close(self.reason(CloseReason::Reset))
    }

    /// Sends what is unsent, then reads, answers and sends until there is nothing more or the
    /// budget is used up. While anything waits to be sent, nothing is read.
    pub(in crate::server) fn pump(
        &mut self,
        inbox: &mut [u8],
        cx: &mut Context<'_, N, S>,
    ) -> io::Result<NextStep> {
        if self.flags.has(Flags::FAILED_OR_HELD) {
            return match self.flags.has(Flags::FAILED) {
                true => Ok(NextStep::Close(self.reason(CloseReason::Reset))),
                false => self.deliver(inbox, cx),
            };
        }
        match self.state {
            State::AwaitingProxyHeader(id) => return self.read_proxy_header(id, inbox, cx),
            // Nothing is read before the greeting.
            State::Delayed { .. } => return Ok(NextStep::Wait),
            _ => {}
        }
        let mut unread = 0;
        if self.backlog.is_some() {
            if !self.send_unsent(inbox, cx)? {
                return Ok(NextStep::Wait);
            }
            unread = self.take_unread(inbox);
        }
        let mut input = (unread > 0 || self.session.is_due()).then_some(unread);
        let mut reads = READS_PER_VISIT;
        loop {
            if let Some(length) = input.take() {
                self.process_input(&inbox[..length], cx)?;
            }
            if !self.state.is_active() || self.backlog.is_some() {
                return self.wind_up(inbox, cx);
            } else if !self.flags.has(Flags::READABLE) {
                if cx.shared.drain.is_none() {
                    return Ok(NextStep::Wait);
                }
                self.refuse(RefusalCode::Busy, CloseReason::Stopped, cx);
                self.close(CloseReason::Stopped);
            } else if reads == 0 || cx.shared.calls.is_exhausted() {
                return Ok(NextStep::Continue);
            } else {
                reads -= 1;
                input = self.read(inbox, cx)?;
                if input == Some(0) {
                    input = None;
                    self.finish(cx)?;
                }
            }
        }
    }

    /// Moves the rest of an earlier read to the inbox. Returns its length.
    #[cold]
    fn take_unread(&mut self, inbox: &mut [u8]) -> usize {
        self.backlog.take().map_or(0, |backlog| backlog.unread.copy(0, inbox))
    }

    /// Reads once. A short read means that the socket is empty, which saves a second read, unless
    /// the event that reported the bytes also reported the end of the stream, or urgent data,
    /// before which the system stops a read.
    #[inline]
    pub(super) fn read(
        &mut self,
        inbox: &mut [u8],
        cx: &mut Context<'_, N, S>,
    ) -> io::Result<Option<usize>> {
        loop {
            match cx.shared.net.read(&mut self.socket, inbox) {
                Ok(length) => {
                    if length < inbox.len() && !self.flags.has(Flags::MORE) {
                        self.flags.set(Flags::READABLE, false);
                    }
                    cx.done.read += length;
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
    #[inline]
    fn process_input(&mut self, mut input: &[u8], cx: &mut Context<'_, N, S>) -> io::Result<()> {
        if cx.has_faults() {
            return self.process_with_faults(input, cx);
        }
        loop {
            let is_over = match &mut self.state {
                State::Open(state) => {
                    let (step, rest) = cx.serve(&mut self.session, state, input);
                    input = rest;
                    match step {
                        Ok(Step::NeedsInput) => true,
                        step => {
                            self.follow(step, cx);
                            false
                        }
                    }
                }
                State::Handshake(_) => {
                    // A copy, so that the other one stays in registers.
                    let mut rest = input;
                    self.authenticate(&mut rest, cx);
                    input = rest;
                    false
                }
                _ => true,
            };
            // A batch that was handed on in part may lie in the session.
            let is_over = is_over || input.is_empty() && !self.session.is_due();
            let is_exhausted = cx.shared.calls.is_exhausted();
            if is_over || is_exhausted || cx.shared.calls.is_full() {
                // From now on the reply or the rest of the input is what is kept, not the message.
                self.session.release();
                self.send_here(cx)?;
            }
            if is_over {
                return Ok(());
            }
            if is_exhausted || self.has_unsent() {
                if self.state.is_active() {
                    self.backlog.get_or_insert_default().unread = input.into();
                }
                return Ok(());
            }
        }
    }

    /// Handles what the session has found other than messages.
    #[inline]
    pub(super) fn follow(
        &mut self,
        step: Result<Step<Option<CloseReason>>, Refusal>,
        cx: &mut Context<'_, N, S>,
    ) {
        if !matches!(step, Ok(Step::NeedsInput | Step::Stopped(None))) {
            cx.shared.calls.outbox.append(&mut cx.shared.control_out);
        }
        match step {
            Ok(Step::NeedsInput | Step::Stopped(None)) => {
                debug_assert!(cx.shared.control_out.is_empty(), "messages have no control bytes");
            }
            // Their number is limited by the reads of a visit.
            Ok(Step::Control) => cx.done.has_control = true,
            Ok(Step::Finished) => {
                self.tell_end(cx);
                self.state.close(CloseReason::Finished, true);
            }
            Ok(Step::End) => self.close(CloseReason::Answered),
            Ok(Step::Stopped(Some(why))) => self.close(why),
            Err(refusal) => self.close(refusal.into()),
        }
    }

    /// Continues the handshake.
    #[cold]
    pub(super) fn authenticate(&mut self, input: &mut &[u8], cx: &mut Context<'_, N, S>) {
        let peer = self.peer(cx.slot);
        let Context { shared, listener, done, .. } = cx;
        let EngineShared { net, calls, unix_time, control_out, .. } = &mut **shared;
        let Listener { config, unauthenticated, keys, name, .. } = &mut **listener;
        let event = self.session.next(config, *unix_time, input, control_out);
        calls.outbox.append(control_out);
        match (event, &self.state) {
            (Ok(Some(Event::Open(opened))), State::Handshake(id)) => {
                // Python sends its last part of the handshake in a write of its own, and its system
                // holds back the first message until that is acknowledged: for 40 ms, if our system
                // delays the acknowledgement.
                if opened.dialect == Dialect::Multiprocessing && input.is_empty() {
                    net.acknowledge(&mut self.socket);
                }
                done.has_authenticated = true;
                if let Some(key) = opened.key {
                    keys.opened(key.number());
                }
                let peer = Peer {
                    id: peer,
                    key: opened.key.map(Key::id),
                    dialect: opened.dialect,
                    is_protected: opened.is_protected,
                    is_sealed: opened.is_sealed,
                    exporter: opened.exporter.as_ref(),
                    address: unauthenticated.leave(*id),
                    listener: self.listener,
                };
                event_log::opened(&peer, name, (self.since, cx.now));
                let (state, end) = match shared.open(&peer, opened.form) {
                    Ok((state, end)) => (State::Open(state), end),
                    Err(why) => {
                        let auth = AuthStatus::Authenticated(None);
                        (State::Closing { auth, why, at_once: false }, None)
                    }
                };
                self.state = state;
                self.plan_wake(cx.now, cx);
                if let Some(why) = end {
                    self.close(why);
                }
            }
            (Ok(event), _) => debug_assert!(event.is_none(), "a handshake precedes all else"),
            (Err(refusal), _) => {
                // If the peer is sent a reason, closing at once could destroy it on its way.
                self.state.close(refusal.into(), calls.outbox.len() == 0);
            }
        }
    }

    /// The peer has ended its stream: what is left without a terminator is one last message.
    #[cold]
    fn finish(&mut self, cx: &mut Context<'_, N, S>) -> io::Result<()> {
        let mut faulted = None;
        let end = match (self.session.input_ended(&cx.listener.config), &mut self.state) {
            (Ok(Some(message)), State::Open(state)) if cx.has_faults() => {
                let answered = cx.answer_last_with_faults(state, message);
                faulted = answered.1;
                answered.0
            }
            (Ok(Some(message)), State::Open(state)) => cx.answer_last(state, message),
            (Ok(_), _) => None,
            (Err(refusal), _) => Some(refusal.into()),
        };
        self.session.release();
        // What the service says at the end is sent with the reply.
        if end.is_none() && faulted.is_none_or(|(fault, _)| fault.continues()) {
            self.tell_end(cx);
        }
        self.state.close(end.unwrap_or(CloseReason::Finished), true);
        if let Some((fault, form)) = faulted {
            self.hold_reply(&fault, form, cx);
            return Ok(());
        }
        self.send(cx)
    }
}
