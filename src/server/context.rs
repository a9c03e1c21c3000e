//! What the loop lends to the connection whose turn it is.

mod faults;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use countersign_proto::{FrameFormat, Message, Refusal, SessionCore, Step};

use crate::contract::calls::Calls;
use crate::contract::close::CloseReason;
use crate::contract::messages::{Messages, Processed};
use crate::contract::peer::Peer;
use crate::contract::service::Service;
use crate::reactor::instant::Instant;
use crate::reactor::pauses::Pauses;
use crate::server::listener::Listener;
use crate::server::net::Net;

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
    pub(super) service: S,
    /// The calls of the service in this visit, and their replies.
    pub(super) calls: Calls,
    /// Control bytes of a session, until they are moved to the outbox.
    pub(super) control_out: Vec<u8>,
    /// The time of day of this turn, since 1970: which keys are valid.
    pub(super) unix_time: Duration,
    /// When the server is draining, and only answers what has arrived: the instant at which it
    /// stops at the latest.
    pub(super) drain: Option<Instant>,
    /// The pauses of connections that are held for a fault.
    pub(super) pauses: Pauses,
    /// When the service wants to be called.
    pub(super) wakes: Pauses,
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

impl<N: Net, S: Service> Context<'_, N, S> {
    /// Passes messages at the front of the input to the service, until one ends the connection, the
    /// maximum number is answered, or the outbox has to be sent. Returns why it has stopped, with
    /// why the connection ends, if it does, and the rest of the input.
    #[inline]
    pub(super) fn serve<'i>(
        &mut self,
        session: &mut SessionCore,
        state: &mut S::State,
        input: &'i [u8],
    ) -> (Result<Step<Option<CloseReason>>, Refusal>, &'i [u8]) {
        let Self { shared: EngineShared { service, calls, control_out, .. }, listener, .. } = self;
        let config = &listener.config;
        let processed = calls.guard(
            #[inline(always)]
            |calls| {
                calls.is_calling = true;
                let messages = Messages { session, config, input, control_out, calls };
                let processed = service.messages(state, messages);
                calls.is_calling = false;
                processed
            },
        );
        match processed {
            // Nearly always.
            Ok(Processed { step, left: 0 }) => (step, &[]),
            Ok(Processed { step, left }) => {
                (step, input.get(input.len() - left..).unwrap_or_default())
            }
            Err(panicked) => (Ok(Step::Stopped(Some(panicked))), input),
        }
    }

    /// Passes the message that the end of the stream has completed to the service.
    pub(super) fn answer_last(
        &mut self,
        state: &mut S::State,
        message: Message<'_>,
    ) -> Option<CloseReason> {
        let Message { bytes, form, .. } = message;
        let EngineShared { service, calls, .. } = &mut *self.shared;
        calls.answered += 1;
        let called =
            calls.guard(|calls| calls.call(form, |reply| service.message(state, bytes, reply)));
        called.map_or_else(Some, |((), end)| end)
    }
}

impl<N, S: Service> EngineShared<N, S> {
    /// Has the service open the connection of a peer that has authenticated. Returns the service's
    /// state, and why the connection ends, if it does.
    pub(super) fn open(
        &mut self,
        peer: &Peer<'_>,
        form: FrameFormat,
    ) -> Result<(S::State, Option<CloseReason>), CloseReason> {
        let Self { service, calls, .. } = self;
        calls.guard(|calls| calls.call(form, |reply| service.open(peer, reply)))
    }
}

/// Tells the service that a connection has ended. A panic there has no further effect.
pub(super) fn closed<S: Service>(service: &mut S, state: S::State, why: CloseReason) {
    // The panic hook has reported it, and the connection is already closed.
    let _ = catch_unwind(AssertUnwindSafe(|| service.close(state, why)));
}
