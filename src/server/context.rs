//! What the loop lends to the connection whose turn it is.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, SystemTime};

use countersign_proto::{FrameFormat, Key, Message, Opened, Protocol, Refusal, Session, Step};

use crate::contract::close::CloseReason;
use crate::contract::limits::Limits;
use crate::contract::listener_id::ListenerId;
use crate::contract::outbox::Outbox;
use crate::contract::peer::{Peer, PeerId};
use crate::contract::reply::Reply;
use crate::contract::service::Service;
use crate::reactor::instant::{CompactInstant, Instant};
use crate::server::event_log;
use crate::server::listener::key_table::KeyTable;
use crate::server::net::Net;
use crate::server::unauthenticated::{Unauthenticated, UnauthenticatedId};

/// When the outbox has this many bytes, it is sent before more messages are answered.
pub(super) const BATCH: usize = 16 << 10;

/// The messages that a connection may have answered in one visit.
const MESSAGES_PER_VISIT: usize = 1024;

/// What the loop lends to the connection whose turn it is. The inbox is lent beside it.
pub(super) struct Context<'t, N: Net, S: Service> {
    pub(super) net: &'t mut N,
    pub(super) calls: Calls<'t, S>,
    pub(super) protocol: &'t Protocol,
    /// The time of day of this turn, since 1970: which keys are valid.
    pub(super) unix_time: &'t Duration,
    pub(super) limits: &'t Limits,
    pub(super) unauthenticated: &'t mut Unauthenticated,
    pub(super) keys: &'t mut KeyTable,
    /// Control bytes of the session, until they are moved to the outbox.
    pub(super) control_out: &'t mut Vec<u8>,
    /// What this visit has done so far.
    pub(super) done: Done,
    /// The name of the connection.
    pub(super) peer: PeerId,
    /// The name of its listener.
    pub(super) listener: &'t str,
    /// The time of this turn.
    pub(super) now: Instant,
    /// The server is draining: it only answers what has arrived.
    pub(super) draining: bool,
}

/// What a visit has done.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Done {
    /// The bytes that were read.
    pub(super) read: usize,
    /// The bytes that were written.
    pub(super) written: usize,
    /// A complete record has arrived that isn't a message.
    pub(super) has_control: bool,
    /// The peer has authenticated.
    pub(super) has_authenticated: bool,
}

/// What calls to the service need.
pub(super) struct Calls<'t, S> {
    pub(super) service: &'t mut S,
    /// The connection's output, until it is sent or the connection is blocked.
    pub(super) outbox: &'t mut Outbox,
    /// The longest reply to one message.
    pub(super) reply_max: usize,
    /// The time of day of this turn.
    pub(super) wall: SystemTime,
    /// The messages that were answered in this visit.
    pub(super) answered: usize,
    /// The service is being called, so a panic is the service's.
    pub(super) is_calling: bool,
}

impl<N: Net, S: Service> Context<'_, N, S> {
    /// Has the service open the connection of a peer that has authenticated. Returns the service's
    /// state, and why the connection ends, if it does.
    pub(super) fn open(
        &mut self,
        id: UnauthenticatedId,
        opened: &Opened<'_>,
        (listener, since): (ListenerId, CompactInstant<10>),
    ) -> Result<(S::State, Option<CloseReason>), CloseReason> {
        let address = self.unauthenticated.leave(id);
        self.done.has_authenticated = true;
        let Opened { key, dialect, form, is_protected, exporter, .. } = opened;
        if let Some(key) = key {
            self.keys.opened(key.number());
        }
        let peer = Peer {
            id: self.peer,
            key: key.map(Key::id),
            dialect: *dialect,
            is_protected: *is_protected,
            exporter: exporter.as_ref(),
            address,
            listener,
        };
        event_log::opened(&peer, self.listener, since.passed(self.now));
        self.calls.guard(|calls| calls.call(*form, |service, reply| service.open(&peer, reply)))
    }

    /// Passes messages at the front of the input to the service, until one ends the connection, the
    /// maximum number is answered, or the outbox has to be sent. Returns why the connection ends,
    /// if it does.
    #[inline]
    pub(super) fn serve(
        &mut self,
        session: &mut Session,
        state: &mut S::State,
        input: &mut &[u8],
    ) -> Result<Step<Option<CloseReason>>, Refusal> {
        let Self { protocol, control_out, calls, .. } = self;
        let processed = calls.guard(
            #[inline(always)]
            |calls| {
                session.process_messages(
                    protocol,
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
        self.calls.answered += 1;
        let called = self
            .calls
            .guard(|calls| calls.call(form, |service, reply| service.message(state, bytes, reply)));
        called.map_or_else(Some, |((), end)| end)
    }
}

impl<'t, S: Service> Calls<'t, S> {
    pub(super) fn new(
        service: &'t mut S,
        outbox: &'t mut Outbox,
        limits: &Limits,
        wall: SystemTime,
    ) -> Self {
        let reply_max = limits.reply_max;
        Self { service, outbox, reply_max, wall, answered: 0, is_calling: false }
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
        let value = call(self.service, &mut reply);
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
        let (mut service, mut outbox) = (Echo, Outbox::new(64));
        let mut calls =
            Calls::new(&mut service, &mut outbox, &Limits::default(), SystemTime::UNIX_EPOCH);
        let form = FrameFormat::Record;
        let outside = |calls: &mut Calls<'_, Echo>| {
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
