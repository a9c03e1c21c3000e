//! What a connection sends: replies, unsent output, and its end.

use std::io;

use countersign_proto::Blocks;

use crate::contract::close::CloseReason;
use crate::contract::limits::Limits;
use crate::contract::service::Service;
use crate::reactor::buffered_stream::write_until_blocked;
use crate::server::connection::{Connection, NextStep, State};
use crate::server::context::Context;
use crate::server::flags::Flags;
use crate::server::net::Net;

impl<N: Net, S: Service> Connection<N, S> {
    /// Sends the outbox; what the socket doesn't take is kept as unsent.
    #[inline(never)]
    pub(super) fn send(&mut self, cx: &mut Context<'_, N, S>) -> io::Result<()> {
        self.send_here(cx)
    }

    /// The same, inlined by force: a call costs a message 30 instructions (budget
    /// "instructions/message").
    #[inline(always)]
    pub(super) fn send_here(&mut self, cx: &mut Context<'_, N, S>) -> io::Result<()> {
        if cx.shared.calls.outbox.len() == 0 {
            return Ok(());
        }
        self.seal(cx);
        if self.has_unsent() {
            self.backlog.get_or_insert_default().unsent.push(cx.shared.calls.outbox.bytes());
            cx.shared.calls.outbox.clear();
            return Ok(());
        }
        let sent = write_until_blocked(cx.shared.calls.outbox.bytes(), |bytes| {
            cx.shared.net.write(&mut self.socket, bytes)
        })?;
        cx.done.written += sent;
        if sent < cx.shared.calls.outbox.len() {
            self.backlog.get_or_insert_default().unsent =
                cx.shared.calls.outbox.bytes()[sent..].into();
        }
        cx.shared.calls.outbox.clear();
        Ok(())
    }

    /// Makes the outbox ready to be sent.
    #[inline(always)]
    pub(super) fn seal(&mut self, cx: &mut Context<'_, N, S>) {
        let sealed = self.session.seal(cx.shared.calls.outbox.bytes_mut());
        cx.shared.calls.outbox.cut(sealed.unwrap_or_else(|error| error.ready));
        if sealed.is_err() {
            // A connection with an unsent reply isn't finished, and its stream isn't ended.
            if let State::Handshake(_) | State::Open(_) | State::Closing { .. } = self.state {
                self.state.close(CloseReason::ReplyTooLong, false);
            }
        }
    }

    /// Sends what an earlier visit has left unsent, by way of the inbox, which is free. Returns
    /// whether everything was sent.
    #[cold]
    pub(super) fn send_unsent(
        &mut self,
        inbox: &mut [u8],
        cx: &mut Context<'_, N, S>,
    ) -> io::Result<bool> {
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
                cx.shared.net.write(&mut self.socket, bytes)
            })?;
            cx.done.written += sent;
            backlog.sent += sent;
            if sent < length {
                return Ok(false);
            }
        }
    }

    /// Sends a message of the host, which is in the outbox. Returns whether there was room: unsent
    /// output is limited to what one visit can leave.
    pub(in crate::server) fn tell(&mut self, cx: &mut Context<'_, N, S>) -> io::Result<bool> {
        if self.flags.has(Flags::HELD) {
            return Ok(false);
        }
        let waiting = self.backlog.as_ref().map_or(0, |backlog| backlog.unsent.len());
        let Limits { reply_max, batch_max, .. } = cx.listener.limits;
        if waiting + cx.shared.calls.outbox.len() > batch_max + reply_max {
            return Ok(false);
        }
        self.send(cx).map(|_| true)
    }

    /// Closes as far as possible: sends unsent output, then ends our stream, then waits for the end
    /// of the peer's.
    #[inline(never)]
    pub(super) fn wind_up(
        &mut self,
        inbox: &mut [u8],
        cx: &mut Context<'_, N, S>,
    ) -> io::Result<NextStep> {
        if self.flags.has(Flags::HELD) {
            return self.deliver(inbox, cx);
        }
        if let State::Closing { why, .. } = &self.state {
            // Nothing more is answered, and what is unsent may wait for long.
            self.session.discard_partial();
            if why.is_orderly() {
                self.session.finish(&mut cx.shared.control_out);
                cx.shared.calls.outbox.append(&mut cx.shared.control_out);
            }
        }
        self.send(cx)?;
        if self.has_unsent() {
            return Ok(NextStep::Wait);
        }
        loop {
            match &mut self.state {
                State::AwaitingProxyHeader(_) | State::Delayed { .. } => return Ok(NextStep::Wait),
                State::Handshake(_) | State::Open(_) | State::Closed => {
                    return Ok(NextStep::Continue);
                }
                State::Closing { why, at_once: true, .. } => return Ok(NextStep::Close(*why)),
                State::Closing { .. } => {
                    // It isn't needed any more, and `relieve`, which follows the timers of messages
                    // and writes, could not find it here.
                    self.backlog = None;
                    cx.shared.net.shutdown(&mut self.socket)?;
                    self.state.linger();
                }
                State::Lingering { why, .. } if !self.flags.has(Flags::READABLE) => {
                    debug_assert!(*why != CloseReason::Finished, "the peer has not ended");
                    return Ok(NextStep::Wait);
                }
                State::Lingering { .. } => {
                    let length = self.read(inbox, cx)?;
                    if self.linger_on(length) {
                        return Ok(NextStep::Close(self.reason(CloseReason::Reset)));
                    }
                }
            }
        }
    }

    /// Counts what a peer sends after the end of our stream. Returns whether it has ended its own,
    /// or has sent too much.
    fn linger_on(&mut self, length: Option<usize>) -> bool {
        let State::Lingering { left, .. } = &mut self.state else { return false };
        left.spend(length.unwrap_or_default()) || length == Some(0)
    }
}
