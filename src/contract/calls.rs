//! The calls of a service while one connection has its turn.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::SystemTime;

use countersign_proto::FrameFormat;

use crate::contract::close::CloseReason;
use crate::contract::limits::Limits;
use crate::contract::outbox::Outbox;
use crate::contract::reply::Reply;

/// The messages that a connection may have answered in one visit.
const MESSAGES_PER_VISIT: usize = 1024;

/// The calls of a service in one visit: lends each the outbox, counts them, and guards against
/// panics.
#[derive(Debug)]
pub(crate) struct Calls {
    /// The only buffer for replies: the output of the connection that has its turn, until it is
    /// sent or the connection is blocked.
    pub(crate) outbox: Outbox,
    /// The longest reply to one message.
    reply_max: usize,
    /// When the outbox has this many bytes, it is sent before more messages are answered.
    batch_max: usize,
    /// The time of day of this turn.
    now: SystemTime,
    /// The messages that were answered in this visit.
    pub(crate) answered: usize,
    /// The service is being called, so a panic is the service's.
    pub(crate) is_calling: bool,
}

impl Calls {
    pub(crate) fn new(outbox: Outbox) -> Self {
        let now = SystemTime::UNIX_EPOCH;
        Self { outbox, reply_max: 0, batch_max: 0, now, answered: 0, is_calling: false }
    }

    /// Begins a visit.
    #[inline]
    pub(crate) fn begin(&mut self, limits: &Limits, now: SystemTime) {
        self.outbox.clear();
        (self.reply_max, self.batch_max) = (limits.reply_max, limits.batch_max);
        (self.now, self.answered) = (now, 0);
    }

    /// Whether no more messages may be answered in this visit.
    #[inline]
    pub(crate) fn is_exhausted(&self) -> bool {
        self.answered >= MESSAGES_PER_VISIT
    }

    /// Whether the outbox has to be sent before more messages are answered.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.outbox.len() >= self.batch_max
    }

    /// Whether one more message may be answered now.
    #[inline]
    pub(crate) fn may_go_on(&self) -> bool {
        !self.is_exhausted() && !self.is_full()
    }

    /// The time of day of this turn.
    #[inline]
    pub(crate) fn now(&self) -> SystemTime {
        self.now
    }

    /// Runs a function that calls the service. If the service panics, the connection must end: the
    /// reply to that call is lost, but earlier ones are not.
    ///
    /// A guard for each call would cost a message 65 instructions (budget "instructions/message"),
    /// so there is one for all calls of a read. Only a panic of the service ends here.
    #[inline(always)]
    pub(crate) fn guard<R>(&mut self, act: impl FnOnce(&mut Self) -> R) -> Result<R, CloseReason> {
        let acted = catch_unwind(AssertUnwindSafe(|| act(self)));
        acted.or_else(|panic| match std::mem::take(&mut self.is_calling) {
            // The panic hook has reported it.
            true => Err(CloseReason::Panicked),
            false => resume_unwind(panic),
        })
    }

    /// Calls the service, which writes a reply in this format. Returns why the connection ends, if
    /// it does. If a call writes too much, nothing of its reply is sent.
    // Inlined by force, like everything on this path: the reply then stays in registers (budget
    // "instructions/message").
    #[inline(always)]
    pub(crate) fn call<R>(
        &mut self,
        form: FrameFormat,
        call: impl FnOnce(&mut Reply<'_>) -> R,
    ) -> (R, Option<CloseReason>) {
        let mut reply = Reply::new(&mut self.outbox, self.reply_max, form, self.now);
        self.is_calling = true;
        let value = call(&mut reply);
        self.is_calling = false;
        (value, reply.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panicked(act: impl FnOnce()) -> Option<&'static str> {
        let panic = catch_unwind(AssertUnwindSafe(act)).err()?;
        panic.downcast_ref().copied()
    }

    #[test]
    fn only_a_panic_of_the_service_ends_at_the_guard() {
        let mut calls = Calls::new(Outbox::new(64));
        calls.begin(&Limits::default(), SystemTime::UNIX_EPOCH);
        let form = FrameFormat::Record;
        let outside = |calls: &mut Calls| {
            panicked(|| {
                let _ = calls.guard(|_| panic!("not the service"));
            })
        };
        assert_eq!(outside(&mut calls), Some("not the service"), "before the first call");
        let answered = calls.guard(|calls| calls.call(form, |reply| reply.message(b"one")));
        assert_eq!(answered, Ok(((), None)));
        let written = calls.outbox.len();
        assert_eq!(outside(&mut calls), Some("not the service"), "after a call");
        let lost = calls.guard(|calls| {
            calls.call(form, |reply| {
                reply.message(b"two");
                panic!("the service");
            })
        });
        assert_eq!(lost, Err::<((), _), _>(CloseReason::Panicked));
        assert_eq!(calls.outbox.len(), written, "the reply is lost, and the one before is not");
        assert_eq!(outside(&mut calls), Some("not the service"), "after a call that panicked");
        let behind = panicked(|| {
            let _ = calls.guard(|calls| {
                let _ = calls.call(form, |_| ());
                panic!("behind a call")
            });
        });
        assert_eq!(behind, Some("behind a call"));
    }
}
