//! Serving messages that have faults.

use std::ops::ControlFlow;

use countersign_proto::{FrameFormat, Message, Refusal, SessionCore, Step};

use crate::contract::close::CloseReason;
use crate::contract::listener_id::ListenerId;
use crate::contract::service::Service;
use crate::faults::kind::FaultKind;
use crate::faults::message::{MessageFault, Outcome};
use crate::server::context::{Context, EngineShared};
use crate::server::net::Net;

/// A message that has faults and was served, and how its reply is framed.
pub(in crate::server) type Faulted = (MessageFault, FrameFormat);

impl<N: Net, S: Service> Context<'_, N, S> {
    /// Whether messages of this connection can have faults.
    #[inline(always)]
    pub(in crate::server) fn has_faults(&self) -> bool {
        let injector = self.shared.service.injector();
        injector.is_some_and(|injector| injector.is_on(self.listener.id))
    }

    /// Counts a fault.
    pub(in crate::server) fn count_fault(&mut self, kind: FaultKind) {
        self.listener.counters.count_fault(kind);
    }

    /// Passes the message that the end of the stream has completed to the service, as
    /// [`answer_last`](Self::answer_last) does, with the faults of that message.
    pub(in crate::server) fn answer_last_with_faults(
        &mut self,
        state: &mut S::State,
        message: Message<'_>,
    ) -> (Option<CloseReason>, Option<Faulted>) {
        let (id, slot) = (self.listener.id, self.slot);
        let injector = self.shared.service.injector_mut();
        let fault = injector.and_then(|injector| injector.take(id, slot));
        let is_served = fault.is_none_or(|fault| fault.outcome != Outcome::CloseBefore);
        let form = message.form;
        let end = is_served.then(|| self.answer_last(state, message)).flatten();
        if fault.is_some_and(|fault| !fault.has_reply()) {
            self.shared.calls.outbox.clear();
        }
        (end, fault.map(|fault| (fault, form)))
    }

    /// Passes messages to the service, as [`serve`](Self::serve) does, but stops also before a
    /// message that has a fault, unless nothing precedes it in the outbox, and behind it. Returns
    /// its faults.
    pub(in crate::server) fn serve_with_faults(
        &mut self,
        session: &mut SessionCore,
        state: &mut S::State,
        input: &mut &[u8],
    ) -> (Result<Step<Option<CloseReason>>, Refusal>, Option<Faulted>) {
        let (id, slot) = (self.listener.id, self.slot);
        let (shared, config) = (&mut *self.shared, &self.listener.config);
        let EngineShared { service, calls, control_out, .. } = shared;
        let mut faulted = None;
        let processed = calls.guard(|calls| {
            session.process_messages(config, input, control_out, |message| {
                let injector = service.injector_mut();
                let fault = injector.and_then(|injector| injector.take(id, slot));
                let is_served = fault.is_none_or(|fault| fault.outcome != Outcome::CloseBefore);
                let mut end = None;
                if is_served {
                    calls.answered += 1;
                    ((), end) = calls.call(message.form, |reply| {
                        service.message(state, message.bytes, reply);
                    });
                }
                if let Some(fault) = fault {
                    if !fault.has_reply() {
                        calls.outbox.clear();
                    }
                    faulted = Some((fault, message.form));
                    return ControlFlow::Break(end);
                }
                match end {
                    None if calls.may_go_on() && !has_fault_next(service, id, slot) => {
                        ControlFlow::Continue(())
                    }
                    end => ControlFlow::Break(end),
                }
            })
        });
        let step = processed.unwrap_or_else(|panicked| Ok(Step::Stopped(Some(panicked))));
        (step, faulted)
    }
}

/// Whether the next message of a connection has a fault, so that it is served alone.
fn has_fault_next(service: &mut impl Service, listener: ListenerId, slot: usize) -> bool {
    let injector = service.injector_mut();
    injector.is_some_and(|injector| injector.next(listener, slot).is_some())
}
