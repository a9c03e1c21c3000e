//! What the loop lends to the connection whose turn it is.

mod faults;

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, SystemTime};

use countersign_proto::{FrameFormat, Message, Refusal, SessionCore, Step};

use crate::contract::close::CloseReason;
use crate::contract::limits::Limits;
use crate::contract::outbox::Outbox;
use crate::contract::peer::Peer;
use crate::contract::reply::Reply;
use crate::contract::service::Service;
use crate::reactor::instant::Instant;
use crate::reactor::pauses::Pauses;
use crate::server::listener::Listener;
use crate::server::net::Net;

/// When the outbox has this many bytes, it is sent before more messages are answered.
pub(super) const BATCH: usize = 16 << 10;

/// The messages that a connection may have answered in one visit.
const MESSAGES_PER_VISIT: usize = 1024;

/// What the loop lends to the connection whose turn it is. The inbox is lent beside it.
///
/// Laid out anew for each visit, so it has little in it.
pub(super) struct Context<'t, N: Net, S: Service> {
    pub(super) shared: &'t mut EngineShared<N, S>,
    /// The listener that the connection came by.
    pub(super) listener: &'t mut Listener,
    /// What this visit has done so far.
    pub(super) done: VisitProgress,
    /// The slot of the connection.
    pub(super) slot: usize,
    /// The time of this turn.
    pub(super) now: Instant,
}

/// What all connections share, whatever their listener.
pub(super) struct EngineShared<N, S> {
    pub(super) net: N,
    pub(super) calls: Dispatcher<S>,
    /// Control bytes of a session, until they are moved to the outbox.
    pub(super) control_out: Vec<u8>,
    /// The time of day of this turn, since 1970: which keys are valid.
    pub(super) unix_time: Duration,
    /// When the server is draining, and only answers what has arrived: the instant at which it
    /// stops at the latest.
    pub(super) drain: Option<Instant>,
    /// The pauses of connections that are held for a fault.
    pub(super) pauses: Pauses,
}

/// What a visit has done.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct VisitProgress {
    /// The bytes that were read.
    pub(super) read: usize,
    /// The bytes that were written.
    pub(super) written: usize,
    /// A complete record has arrived that isn't a message.
    pub(super) has_control: bool,
    /// The peer has authenticated.
    pub(super) has_authenticated: bool,
}

/// Calls the service, and guards against its panics.
pub(super) struct Dispatcher<S> {
    pub(super) service: S,
    /// The only buffer for replies: the output of the connection that has its turn, until it is
    /// sent or the connection is blocked.
    pub(super) outbox: Outbox,
    /// The longest reply to one message.
    reply_max: usize,
    /// The time of day of this turn.
    wall: SystemTime,
    /// The messages that were answered in this visit.
    pub(super) answered: usize,
    /// The service is being called, so a panic is the service's.
    is_calling: bool,
}

impl<N: Net, S: Service> Context<'_, N, S> {
    /// Passes messages at the front of the input to the service, until one ends the connection, the
    /// maximum number is answered, or the outbox has to be sent. Returns why the connection ends,
    /// if it does.
    #[inline]
    pub(super) fn serve(
        &mut self,
        session: &mut SessionCore,
        state: &mut S::State,
        input: &mut &[u8],
    ) -> Result<Step<Option<CloseReason>>, Refusal> {
        let Self { shared: EngineShared { calls, control_out, .. }, listener, .. } = self;
        let processed = calls.guard(
            #[inline(always)]
            |calls| {
                session.process_messages(
                    &listener.config,
                    input,
                    control_out,
                    #[inline(always)]
                    |message| {
                        calls.answered += 1;
                        let ((), end) = calls.call(
                            message.form,
                            #[inline(always)]
                            |service, reply| service.message(state, message.bytes, reply),
                        );
                        match end {
                            None if !calls.is_exhausted() && calls.outbox.len() < BATCH => {
                                ControlFlow::Continue(())
                            }
                            end => ControlFlow::Break(end),
                        }
                    },
                )
            },
        );
        processed.unwrap_or_else(|panicked| Ok(Step::Stopped(Some(panicked))))
    }

    /// Passes the message that the end of the stream has completed to the service.
    pub(super) fn answer_last(
        &mut self,
        state: &mut S::State,
        message: Message<'_>,
    ) -> Option<CloseReason> {
        let Message { bytes, form, .. } = message;
        let calls = &mut self.shared.calls;
        calls.answered += 1;
        let called = calls
            .guard(|calls| calls.call(form, |service, reply| service.message(state, bytes, reply)));
        called.map_or_else(Some, |((), end)| end)
    }
}

impl<S: Service> Dispatcher<S> {
    pub(super) fn new(service: S, outbox: Outbox) -> Self {
        let wall = SystemTime::UNIX_EPOCH;
        Self { service, outbox, reply_max: 0, wall, answered: 0, is_calling: false }
    }

    /// Begins a visit.
    #[inline]
    pub(super) fn begin(&mut self, limits: &Limits, wall: SystemTime) {
        self.outbox.clear();
        (self.reply_max, self.wall, self.answered) = (limits.reply_max, wall, 0);
    }

    /// Has the service open the connection of a peer that has authenticated. Returns the service's
    /// state, and why the connection ends, if it does.
    pub(super) fn open(
        &mut self,
        peer: &Peer<'_>,
        form: FrameFormat,
    ) -> Result<(S::State, Option<CloseReason>), CloseReason> {
        self.guard(|calls| calls.call(form, |service, reply| service.open(peer, reply)))
    }

    /// Whether no more messages may be answered in this visit.
    pub(super) fn is_exhausted(&self) -> bool {
        self.answered >= MESSAGES_PER_VISIT
    }

    /// Runs a function that calls the service. If the service panics, the connection must end: the
    /// reply to that call is lost, but earlier ones are not.
    ///
    /// A guard for each call would cost a message 65 instructions (budget "instructions/message"),
    /// so there is one for all calls of a read. Only a panic of the service ends here.
    #[inline(always)]
    fn guard<R>(&mut self, act: impl FnOnce(&mut Self) -> R) -> Result<R, CloseReason> {
        let acted = catch_unwind(AssertUnwindSafe(|| act(self)));
        acted.or_else(|panic| match std::mem::take(&mut self.is_calling) {
            // The panic hook has reported it.
            true => Err(CloseReason::Panicked),
            false => resume_unwind(panic),
        })
    }

    /// Calls the service. If a call writes too much, nothing of its reply is sent.
    // Inlined by force, like everything on this path: the reply then stays in registers (budget
    // "instructions/message").
    #[inline(always)]
    fn call<R>(
        &mut self,
        form: FrameFormat,
        call: impl FnOnce(&mut S, &mut Reply<'_>) -> R,
    ) -> (R, Option<CloseReason>) {
        let room = self.outbox.room(self.reply_max);
        let mut reply = Reply::new(room, form, self.wall);
        self.is_calling = true;
        let value = call(&mut self.service, &mut reply);
        self.is_calling = false;
        let (said, end) = reply.finish();
        self.outbox.keep(said);
        (value, end)
    }
}

/// Tells the service that a connection has ended. A panic there has no further effect.
pub(super) fn closed<S: Service>(service: &mut S, state: S::State, why: CloseReason) {
    // The panic hook has reported it, and the connection is already closed.
    let _ = catch_unwind(AssertUnwindSafe(|| service.close(state, why)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::Echo;

    fn panicked(act: impl FnOnce()) -> Option<&'static str> {
        let panic = catch_unwind(AssertUnwindSafe(act)).err()?;
        panic.downcast_ref().copied()
    }

    #[test]
    fn only_a_panic_of_the_service_ends_at_the_guard() {
        let mut calls = Dispatcher::new(Echo, Outbox::new(64));
        calls.begin(&Limits::default(), SystemTime::UNIX_EPOCH);
        let form = FrameFormat::Record;
        let outside = |calls: &mut Dispatcher<Echo>| {
            panicked(|| {
                let _ = calls.guard(|_| panic!("not the service"));
            })
        };
        assert_eq!(outside(&mut calls), Some("not the service"), "before the first call");
        let answered = calls.guard(|calls| calls.call(form, |_, reply| reply.message(b"one")));
        assert_eq!(answered, Ok(((), None)));
        let written = calls.outbox.len();
        assert_eq!(outside(&mut calls), Some("not the service"), "after a call");
        let lost = calls.guard(|calls| {
            calls.call(form, |_, reply| {
                reply.message(b"two");
                panic!("the service");
            })
        });
        assert_eq!(lost, Err::<((), _), _>(CloseReason::Panicked));
        assert_eq!(calls.outbox.len(), written, "the reply is lost, and the one before is not");
        assert_eq!(outside(&mut calls), Some("not the service"), "after a call that panicked");
        let behind = panicked(|| {
            let _ = calls.guard(|calls| {
                let _ = calls.call(form, |_, _| ());
                panic!("behind a call")
            });
        });
        assert_eq!(behind, Some("behind a call"));
    }
}
