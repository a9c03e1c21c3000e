//! The messages of one read, which a service answers one after the other.

use std::fmt;
use std::ops::ControlFlow;
use std::time::SystemTime;

use countersign_proto::{Refusal, ServerConfig, SessionCore, Step};

use crate::contract::calls::Calls;
use crate::contract::close::CloseReason;
use crate::contract::reply::Reply;

/// The messages that have arrived together, for [`Service::messages`](crate::Service::messages).
pub struct Messages<'a> {
    pub(crate) session: &'a mut SessionCore,
    pub(crate) config: &'a ServerConfig,
    pub(crate) input: &'a [u8],
    pub(crate) control_out: &'a mut Vec<u8>,
    pub(crate) calls: &'a mut Calls,
}

/// The result of [`Messages::for_each`], which alone makes one: what a service returns once its
/// messages are processed.
#[derive(Debug)]
#[must_use]
pub struct Processed {
    /// Why the session has stopped, and why the connection ends, if it does.
    pub(crate) step: Result<Step<Option<CloseReason>>, Refusal>,
    /// The bytes at the end of the input that were not processed.
    pub(crate) left: usize,
}

impl Messages<'_> {
    /// Calls a function for each message, with the writer of its reply: until one message ends the
    /// connection, the maximum number is answered, or the replies have to be sent.
    // Inlined by force, like everything on this path: the state of a service then stays in
    // registers (budget "instructions/message, 16 deep").
    #[inline(always)]
    pub fn for_each(self, mut answer: impl FnMut(&[u8], &mut Reply<'_>)) -> Processed {
        let Self { session, config, mut input, control_out, calls } = self;
        calls.is_calling = false;
        let each = &mut *calls;
        let step = session.process_messages(
            config,
            &mut input,
            control_out,
            #[inline(always)]
            move |message| {
                each.answered += 1;
                let called = each.call(
                    message.form,
                    #[inline(always)]
                    |reply| answer(message.bytes, reply),
                );
                match called {
                    ((), None) if each.may_go_on() => ControlFlow::Continue(()),
                    ((), end) => ControlFlow::Break(end),
                }
            },
        );
        calls.is_calling = true;
        Processed { step, left: input.len() }
    }

    /// The time of day when the loop last woke up, which is that of each
    /// [reply](crate::Reply::now), too.
    #[must_use]
    #[inline]
    pub fn now(&self) -> SystemTime {
        self.calls.now()
    }
}

impl fmt::Debug for Messages<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Messages").field("bytes", &self.input.len()).finish_non_exhaustive()
    }
}
