//! Faults that are injected: replies that are late, slow, cut, corrupt or missing.
//!
//! A reply with a fault is alone in the outbox, and moves to the backlog of its connection, which
//! is then held: nothing more is read or served until the reply was sent.

use std::io;
use std::time::Duration;

use countersign_proto::{Blocks, FrameFormat, Step};

use crate::contract::close::CloseReason;
use crate::contract::service::Service;
use crate::faults::corrupt::flip;
use crate::faults::delivery::{Delivery, DeliveryEnd, DeliveryStep};
use crate::faults::kind::FaultKind;
use crate::faults::message::{MessageFault, Outcome};
use crate::faults::part::part_of;
use crate::reactor::buffered_stream::write_until_blocked;
use crate::reactor::instant::Instant;
use crate::server::connection::{Connection, NextStep, State};
use crate::server::context::Context;
use crate::server::flags::Flags;
use crate::server::net::Net;

/// The pieces of a reply that are sent to one connection before the others have their turn: each is
/// a system call, and a reply can have as many as it has bytes.
const PIECES_PER_VISIT: u32 = 64;

impl<N: Net, S: Service> Connection<N, S> {
    /// Answers what was read, where messages can have faults. What can't be answered now is kept.
    #[cold]
    #[inline(never)]
    pub(super) fn process_with_faults(
        &mut self,
        mut input: &[u8],
        cx: &mut Context<'_, N, S>,
    ) -> io::Result<()> {
        loop {
            let mut faulted = None;
            let is_over = match &mut self.state {
                State::Open(state) => {
                    let served = cx.serve_with_faults(&mut self.session, state, &mut input);
                    faulted = served.1;
                    match served.0 {
                        Ok(Step::NeedsInput) => true,
                        step => {
                            self.follow(step, cx);
                            false
                        }
                    }
                }
                State::Handshake(_) => {
                    self.authenticate(&mut input, cx);
                    false
                }
                _ => true,
            };
            self.session.release();
            match faulted {
                Some((fault, form)) => self.hold_reply(&fault, form, cx),
                None => self.hold_handshake(cx),
            }
            let is_held = self.flags.has(Flags::HELD);
            if !is_held {
                self.send(cx)?;
            }
            if is_over || input.is_empty() && !self.session.is_due() && !is_held {
                return Ok(());
            }
            if is_held || cx.shared.calls.is_exhausted() || self.has_unsent() {
                if self.state.is_active() {
                    self.backlog.get_or_insert_default().unread = input.into();
                }
                return Ok(());
            }
        }
    }

    /// Holds the connection for the reply with these faults, which is in the outbox.
    pub(super) fn hold_reply(
        &mut self,
        fault: &MessageFault,
        form: FrameFormat,
        cx: &mut Context<'_, N, S>,
    ) {
        // A service that has panicked, or closes the connection, has its way.
        self.seal(cx);
        let outbox = &mut cx.shared.calls.outbox;
        let mut corrupted = false;
        if let Some(part) = fault.corrupt {
            corrupted = flip(outbox.bytes_mut(), form, part);
        }
        if let Outcome::Truncate(part) = fault.outcome {
            outbox.cut(part_of(outbox.len(), part));
        }
        let length = outbox.len();
        let (id, slot, now) = (cx.listener.id, cx.slot, cx.now);
        let Some(injector) = cx.shared.service.injector_mut() else { return };
        let (due, is_limited) = injector.due(id, slot, fault, now);
        injector.begin(id, slot, Delivery::new(fault, due, length));
        self.hold(cx);
        let kinds = [
            fault.delay.map(|_| FaultKind::Delay),
            is_limited.then_some(FaultKind::Rate),
            corrupted.then_some(FaultKind::Corrupt),
            fault.outcome.kind(),
            fault.pace.kind().filter(|_| fault.has_reply()),
        ];
        kinds.into_iter().flatten().for_each(|kind| cx.count_fault(kind));
    }

    /// Holds a connection whose peer has just authenticated, if the answer to its proof is late.
    pub(super) fn hold_handshake(&mut self, cx: &mut Context<'_, N, S>) {
        let slot = cx.slot;
        let injector = cx.shared.service.injector_mut().filter(|_| self.is_open());
        let delay = injector.and_then(|injector| injector.take_handshake_delay(slot));
        if let Some(delay) = delay {
            self.seal(cx);
            self.pause(delay, FaultKind::HandshakeDelay, cx);
        }
    }

    /// Holds a connection that was just accepted, before anything is sent or read.
    pub(in crate::server) fn hold_accepted(
        &mut self,
        delay: Duration,
        cx: &mut Context<'_, N, S>,
    ) -> io::Result<NextStep> {
        self.pause(delay, FaultKind::AcceptDelay, cx);
        Ok(self.begin_pause(cx.now + delay, cx))
    }

    /// Holds the connection for this time.
    fn pause(&mut self, delay: Duration, kind: FaultKind, cx: &mut Context<'_, N, S>) {
        let (id, slot, due) = (cx.listener.id, cx.slot, cx.now + delay);
        if let Some(injector) = cx.shared.service.injector_mut() {
            injector.begin(id, slot, Delivery::pause(due));
            cx.count_fault(kind);
            self.hold(cx);
        }
    }

    /// Moves the outbox to the backlog. Nothing is sent, read or served until it was delivered.
    fn hold(&mut self, cx: &mut Context<'_, N, S>) {
        let outbox = &mut cx.shared.calls.outbox;
        // There is a backlog even if nothing is sent, so that the visit ends in `wind_up`.
        let backlog = self.backlog.get_or_insert_default();
        if outbox.len() > 0 {
            backlog.unsent.push(outbox.bytes());
            outbox.clear();
        }
        self.flags.set(Flags::HELD, true);
    }

    /// Delivers what the connection is held for, as far as it can be done now.
    #[cold]
    #[inline(never)]
    pub(super) fn deliver(
        &mut self,
        inbox: &mut [u8],
        cx: &mut Context<'_, N, S>,
    ) -> io::Result<NextStep> {
        let mut pieces = PIECES_PER_VISIT;
        while !self.flags.has(Flags::PAUSED) {
            if pieces == 0 {
                return Ok(NextStep::Continue);
            }
            pieces -= 1;
            let unsent = self.unsent();
            let injector = cx.shared.service.injector_mut();
            let step = injector.and_then(|injector| injector.step(cx.slot, cx.now, unsent));
            match step.unwrap_or(DeliveryStep::End(DeliveryEnd::Continue)) {
                DeliveryStep::Wait(end) => return Ok(self.begin_pause(end, cx)),
                DeliveryStep::Send(bytes) => {
                    if !self.send_piece(bytes, inbox, cx)? {
                        return Ok(NextStep::Wait);
                    }
                }
                DeliveryStep::End(end) => {
                    self.flags.set(Flags::HELD, false);
                    return self.end_delivery(end, inbox, cx);
                }
            }
        }
        Ok(NextStep::Wait)
    }

    fn begin_pause(&mut self, end: Instant, cx: &mut Context<'_, N, S>) -> NextStep {
        self.flags.set(Flags::PAUSED, true);
        cx.shared.pauses.begin(self.peer(cx.slot).0, end);
        NextStep::Wait
    }

    fn end_delivery(
        &mut self,
        end: DeliveryEnd,
        inbox: &mut [u8],
        cx: &mut Context<'_, N, S>,
    ) -> io::Result<NextStep> {
        match end {
            // The rest of the input has its turn, unless the service has closed the connection.
            DeliveryEnd::Continue if self.state.is_active() || self.awaits_proxy_header() => {
                if self.backlog.as_ref().is_some_and(|backlog| backlog.unread.is_empty()) {
                    self.backlog = None;
                }
                return Ok(NextStep::Continue);
            }
            DeliveryEnd::Continue => {}
            DeliveryEnd::Close => {
                self.backlog = None;
                // A peer that has ended its stream is not waited for.
                let at_once = matches!(self.state, State::Closing { at_once: true, .. });
                self.state.close(CloseReason::InjectedFault, at_once);
            }
            DeliveryEnd::Reset => {
                cx.shared.net.reset(&mut self.socket);
                return Ok(NextStep::Close(CloseReason::InjectedFault));
            }
        }
        self.wind_up(inbox, cx)
    }

    /// Sends so many unsent bytes, by way of the inbox, which is free. Returns whether the socket
    /// took them.
    fn send_piece(
        &mut self,
        bytes: usize,
        inbox: &mut [u8],
        cx: &mut Context<'_, N, S>,
    ) -> io::Result<bool> {
        let Some(backlog) = &mut self.backlog else { return Ok(true) };
        let room = inbox.len().min(bytes);
        let length = backlog.unsent.copy(backlog.sent, &mut inbox[..room]);
        let sent = write_until_blocked(&inbox[..length], |bytes| {
            cx.shared.net.write(&mut self.socket, bytes)
        })?;
        cx.done.written += sent;
        backlog.sent += sent;
        let unsent = self.unsent();
        if unsent == 0
            && let Some(backlog) = &mut self.backlog
        {
            (backlog.unsent, backlog.sent) = (Blocks::default(), 0);
        }
        if let Some(injector) = cx.shared.service.injector_mut() {
            injector.sent(cx.slot, sent, unsent, cx.now);
        }
        Ok(sent == length)
    }

    fn unsent(&self) -> usize {
        self.backlog.as_ref().map_or(0, |backlog| backlog.unsent.len() - backlog.sent)
    }
}
