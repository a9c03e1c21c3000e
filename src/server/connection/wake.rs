//! Calls of the service that no message has caused.

use std::io;
use std::time::Duration;

use crate::contract::service::Service;
use crate::reactor::instant::Instant;
use crate::server::connection::{Connection, NextStep, State};
use crate::server::context::{Context, EngineShared};
use crate::server::flags::Flags;
use crate::server::net::Net;

/// The least time between two calls.
const GAP_MIN: Duration = Duration::from_micros(10);

impl<N: Net, S: Service> Connection<N, S> {
    /// Calls the service at a time that it has chosen, unless output waits to be sent.
    #[cold]
    #[inline(never)]
    pub(in crate::server) fn wake(
        &mut self,
        due: Instant,
        inbox: &mut [u8],
        cx: &mut Context<'_, N, S>,
    ) -> io::Result<NextStep> {
        let is_free = !self.has_unsent() && !self.flags.has(Flags::HELD);
        let form = self.form(&cx.listener.config);
        if let State::Open(state) = &mut self.state
            && is_free
        {
            let EngineShared { service, calls, .. } = &mut *cx.shared;
            let called = calls.guard(|calls| calls.call(form, |reply| service.wake(state, reply)));
            if let Some(why) = called.map_or_else(Some, |((), end)| end) {
                self.close(why);
            }
            self.send(cx)?;
        }
        self.plan_wake(due, cx);
        match self.is_open() {
            true => Ok(NextStep::Wait),
            false => self.wind_up(inbox, cx),
        }
    }

    /// Asks the service when it wants to be called next, counted from this instant.
    #[inline]
    pub(super) fn plan_wake(&mut self, since: Instant, cx: &mut Context<'_, N, S>) {
        let State::Open(state) = &mut self.state else { return };
        if let Some(after) = cx.shared.service.wake_after(state) {
            let token = self.peer(cx.slot).0;
            cx.shared.wakes.begin(token, since + after.max(GAP_MIN));
        }
    }

    /// Tells the service that the peer has ended its stream.
    pub(super) fn tell_end(&mut self, cx: &mut Context<'_, N, S>) {
        let form = self.form(&cx.listener.config);
        if let State::Open(state) = &mut self.state {
            let EngineShared { service, calls, .. } = &mut *cx.shared;
            // The connection ends anyway.
            let _ = calls.guard(|calls| calls.call(form, |reply| service.ended(state, reply)));
        }
    }
}
