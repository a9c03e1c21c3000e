//! One connection: a socket, its session, its state, and its backlog while it is blocked.

mod arrival;
mod faults;
mod output;
mod state;
mod visit;
mod wake;

use std::time::Duration;

use countersign_proto::{
    Blocks, FrameFormat, KeyNumber, Refusal, RefusalCode, ServerConfig, SessionCore,
};

use crate::contract::close::CloseReason;
use crate::contract::listener_id::ListenerId;
use crate::contract::peer::PeerId;
use crate::contract::service::Service;
use crate::reactor::instant::{CompactInstant, Instant};
use crate::reactor::readiness::Readiness;
use crate::reactor::token::Token;
use crate::server::context::{Context, VisitProgress};
use crate::server::flags::Flags;
use crate::server::net::Net;
use crate::server::timer::Timer;

pub(super) use state::{AuthStatus, State};

/// One connection, an entry of the slab.
pub(super) struct Connection<N: Net, S: Service> {
    socket: N::Socket,
    /// Distinguishes this connection from earlier ones in the same slot.
    pub(super) generation: u32,
    /// When it was accepted.
    pub(super) since: CompactInstant<10>,
    /// The listener that accepted it.
    pub(super) listener: ListenerId,
    /// The readiness that the events of its socket have reported.
    pub(super) flags: Flags,
    /// The timer that runs for it: what [`timer`](Self::timer) was after the last visit.
    pub(super) timer: Timer,
    /// Its handshake and then its framing. It lasts from accept to the end.
    session: SessionCore,
    pub(super) state: State<S::State>,
    /// The bytes that it keeps while it is blocked; none while it isn't.
    backlog: Option<Box<Backlog>>,
}

/// The bytes that a connection keeps while its peer doesn't read, or until its next visit.
#[derive(Debug, Default)]
struct Backlog {
    /// Output, of which the first `sent` bytes have been sent.
    unsent: Blocks,
    sent: usize,
    /// Input that has not been processed yet: the rest of one read.
    unread: Blocks,
}

/// What a visit did, and what comes next.
#[derive(Debug)]
pub(super) struct VisitOutcome {
    pub(super) done: VisitProgress,
    /// The messages that were answered.
    pub(super) answered: usize,
    /// The bytes that the connection kept before the visit, beside its entry.
    pub(super) buffered_before: usize,
    /// The bytes that it keeps now.
    pub(super) buffered: usize,
    pub(super) next: NextStep,
}

/// What comes after a visit.
#[derive(Debug, Clone, Copy)]
pub(super) enum NextStep {
    /// Nothing more can be done before the next event.
    Wait,
    /// The source of the connection is known now, and admission has to be decided.
    CheckSource,
    /// The budget is used up: more can be done at once.
    Continue,
    /// The connection is to be closed now.
    Close(CloseReason),
}

impl VisitOutcome {
    /// Whether the visit did what a timer of this kind waits for, so that the timer restarts.
    /// Timers that are absolute never restart.
    pub(super) fn restarts(&self, timer: Timer) -> bool {
        // A visit may answer what an earlier one has read.
        if timer == Timer::Idle {
            return self.done.read > 0 || self.answered > 0;
        }
        match timer {
            // A message that is incomplete now has just begun.
            Timer::Message => self.answered > 0 || self.done.has_control,
            Timer::Write => self.done.written > 0,
            Timer::Idle | Timer::Delay | Timer::Handshake | Timer::Linger => false,
        }
    }
}

impl<N: Net, S: Service> Connection<N, S> {
    /// The memory of a blocked connection besides the bytes that it keeps.
    pub(super) const BACKLOG_MAX: usize = size_of::<Backlog>() + SessionCore::CUT_MAX;

    pub(super) fn new(
        socket: N::Socket,
        (listener, generation): (ListenerId, u32),
        session: SessionCore,
        state: State<S::State>,
        now: Instant,
    ) -> Self {
        let timer = match state {
            State::Delayed { .. } => Timer::Delay,
            _ => Timer::Handshake,
        };
        Self {
            socket,
            generation,
            since: now.into(),
            listener,
            flags: Flags::default(),
            timer,
            session,
            state,
            backlog: None,
        }
    }

    /// Records an event. Returns whether the connection needs a visit.
    pub(super) fn notice(&mut self, readiness: Readiness) -> bool {
        self.flags.add(readiness.into());
        readiness.readable || readiness.failed || (readiness.writable && self.has_unsent())
    }

    /// The timer that must run for it now.
    #[inline]
    pub(super) fn timer(&self) -> Timer {
        // Nearly always, and then nothing else has to be told apart.
        if self.is_open() && self.keeps_nothing() {
            return Timer::Idle;
        }
        match &self.state {
            State::Delayed { .. } => Timer::Delay,
            State::AwaitingProxyHeader(_)
            | State::Handshake(_)
            | State::Closing { auth: AuthStatus::Unauthenticated(_), .. } => Timer::Handshake,
            State::Open(_) | State::Closing { .. } if self.has_unsent() => Timer::Write,
            State::Open(_) | State::Closing { .. } if self.session.is_partial() => Timer::Message,
            State::Open(_) | State::Closing { .. } => Timer::Idle,
            State::Lingering { .. } | State::Closed => Timer::Linger,
        }
    }

    /// The name of the connection, which stands in this slot.
    pub(super) fn peer(&self, slot: usize) -> PeerId {
        PeerId(Token::new(slot, self.generation))
    }

    /// Whether its peer has authenticated.
    pub(super) fn is_authenticated(&self) -> bool {
        self.state.unauthenticated().is_none()
    }

    /// Whether messages are answered here.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// Closes the connection once its output is sent, or at once if the peer has not authenticated.
    pub(super) fn close(&mut self, why: CloseReason) {
        if self.state.is_active() {
            self.state.close(why, !self.is_authenticated());
        }
    }

    /// Ends a handshake on the server's side, without a message to a peer that was not sent a
    /// challenge.
    #[cold]
    pub(super) fn refuse(
        &mut self,
        code: RefusalCode,
        why: CloseReason,
        cx: &mut Context<'_, N, S>,
    ) {
        match self.state {
            State::AwaitingProxyHeader(_) | State::Delayed { .. } => self.state.close(why, true),
            State::Handshake(_) => {
                // The part of a late proof that has arrived may give a more precise reason than the
                // timeout.
                let suspected = self.session.suspect(&cx.listener.config).map(CloseReason::from);
                let is_late = why == CloseReason::Refused(Refusal::HandshakeTimeout);
                let why = suspected.filter(|_| is_late).unwrap_or(why);
                self.session.refuse(code, &mut cx.shared.control_out);
                cx.shared.calls.outbox.append(&mut cx.shared.control_out);
                self.state.close(why, cx.shared.calls.outbox.len() == 0);
            }
            State::Open(_) | State::Closing { .. } | State::Lingering { .. } | State::Closed => {}
        }
    }

    /// Whether the peer accepts a message of this many bytes.
    pub(super) fn takes(&self, length: usize) -> bool {
        self.session.takes(length)
    }

    /// How to frame a message of the server.
    pub(super) fn form(&self, config: &ServerConfig) -> FrameFormat {
        self.session.form(config)
    }

    /// The key that the peer has proved.
    pub(super) fn key(&self) -> Option<KeyNumber> {
        self.session.credential().map(|credential| credential.number)
    }

    /// Whether messages are still answered, though the peer could no longer authenticate.
    pub(super) fn is_revoked(&self, config: &ServerConfig, wall: Duration) -> bool {
        self.is_open() && self.session.is_revoked(config, wall)
    }

    /// The bytes that it keeps beside its entry.
    pub(super) fn bytes_buffered(&self) -> usize {
        let backlog = self.backlog.as_ref();
        self.session.bytes_buffered()
            + backlog.map_or(0, |backlog| backlog.unsent.taken() + backlog.unread.taken())
    }

    /// Whether it is blocked with nothing.
    #[inline]
    fn keeps_nothing(&self) -> bool {
        self.backlog.is_none() && !self.session.is_partial()
    }

    fn has_unsent(&self) -> bool {
        self.backlog.as_ref().is_some_and(|backlog| !backlog.unsent.is_empty())
    }

    /// Makes dropping the socket reset the connection if the peer may have a part of a reply. At an
    /// orderly end of the stream it would take that for the whole, where framing doesn't tell.
    pub(super) fn reset_if_unsent(&mut self, net: &mut N) {
        let is_held = self.flags.has(Flags::HELD);
        let has_part = |backlog: &Backlog| backlog.sent > 0 || !is_held;
        if self.has_unsent() && self.backlog.as_deref().is_some_and(has_part) {
            net.reset(&mut self.socket);
        }
    }

    /// Why the connection ends, if it ends now and there was no reason before.
    pub(super) fn reason(&self, otherwise: CloseReason) -> CloseReason {
        self.state.reason(otherwise)
    }

    /// The invariants between two visits.
    fn check(&self) {
        debug_assert!(!matches!(self.state, State::Closed), "what is over is removed");
        let owes = self.has_unsent();
        let has_written = match self.state {
            State::AwaitingProxyHeader(_) | State::Delayed { .. } | State::Lingering { .. } => {
                false
            }
            State::Handshake(_) | State::Open(_) | State::Closing { .. } | State::Closed => true,
        };
        debug_assert!(has_written || !owes, "nothing is sent before the greeting or after the end");
        let lingers = matches!(self.state, State::Lingering { .. });
        debug_assert!(!lingers || self.bytes_buffered() == 0, "after our end nothing is kept");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::timers::Timers;
    use crate::server::mio_net::MioNet;
    use crate::services::Timestamp;

    #[test]
    fn an_idle_connection_is_small() {
        assert!(size_of::<State<()>>() <= 9, "{}", size_of::<State<()>>());
        // In debug builds, mio's sockets carry the number of their poll, so its connection tells
        // less than the sum of the parts: a socket, two numbers, and three bytes.
        let parts = size_of::<SessionCore>() + size_of::<Option<Box<Backlog>>>() + 3 * 4 + 3;
        let entry = (parts + size_of::<State<()>>()).next_multiple_of(8);
        assert!(entry + Timers::<Timer>::ENTRY <= 92, "{entry}");
        let whole = size_of::<Connection<MioNet, Timestamp>>();
        assert!(whole <= entry || cfg!(debug_assertions), "{whole}");
    }
}
