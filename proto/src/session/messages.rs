//! Processing messages, many at a time.

use alloc::vec::Vec;
use core::ops::ControlFlow;

use crate::config::session_config::SessionConfig;
use crate::framing::{FrameFormat, Framing, chunks, lines};
use crate::records::batch;
use crate::refusal::Refusal;
use crate::role::Role;
use crate::session::event::{Event, Message};
use crate::session::session_core::SessionCore;
use crate::session::state::SessionState;

/// Why [`SessionCore::process_messages`] has returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<B> {
    /// All of the input was processed, and more is needed; or the handshake is not over.
    NeedsInput,
    /// The callback wants no more messages, for this reason.
    Stopped(B),
    /// A record has arrived that isn't a message: a ping, whose answer was appended, or a pong.
    Control,
    /// The peer has sent its close record: no message follows.
    Finished,
    /// The [exchange](crate::Exchange) of the configuration is complete.
    End,
}

impl SessionCore {
    /// Passes the messages at the front of the input to `take`, until it breaks, and keeps the
    /// beginning of an incomplete message. Nothing is sealed.
    ///
    /// This is [`next`](Self::next) for many messages at once. Call it only after
    /// [`Event::Open`]: during a handshake it takes nothing. Messages need no time, because keys
    /// are only checked in the handshake.
    ///
    /// # Errors
    ///
    /// As for [`next`](Self::next).
    // Inlined by force: a message is then handed on in registers (budget "instructions/message").
    #[inline(always)]
    pub fn process_messages<B>(
        &mut self,
        config: &SessionConfig,
        input: &mut &[u8],
        out: &mut Vec<u8>,
        mut take: impl FnMut(Message<'_>) -> ControlFlow<B>,
    ) -> Result<Step<B>, Refusal> {
        if let SessionState::Established(role, _) = self.state
            && self.partial.is_empty()
            && !config.ends_with_one(role)
        {
            // The usual case, complete messages without records, has a loop of its own for each
            // framing, in which the format of a message is known.
            let ran = match config.framing() {
                Framing::Lines => {
                    // A read often has a single line.
                    let (max, mut expected) = (config.message_max(), input.len().wrapping_sub(1));
                    run(input, |rest| lines::split(rest, max, &mut expected), &mut take)
                }
                other => {
                    let max = length_max(config, role);
                    run(input, |rest| other.split(rest, max), &mut take)
                }
            };
            match ran {
                ControlFlow::Break(end) => return Ok(Step::Stopped(end)),
                ControlFlow::Continue(()) if input.is_empty() => return Ok(Step::NeedsInput),
                ControlFlow::Continue(()) => {}
            }
        }
        self.process_one_by_one(config, input, out, take)
    }

    /// Passes on messages in records, and those that a read has split.
    #[cold]
    fn process_one_by_one<B>(
        &mut self,
        config: &SessionConfig,
        input: &mut &[u8],
        out: &mut Vec<u8>,
        mut take: impl FnMut(Message<'_>) -> ControlFlow<B>,
    ) -> Result<Step<B>, Refusal> {
        loop {
            if let ControlFlow::Break(end) = self.run_batch(input, &mut take) {
                return Ok(Step::Stopped(end));
            }
            self.forget_delivered();
            let message = match self.receive(config, input, out)? {
                Some(Event::Message(message)) => message,
                Some(Event::Control) => return Ok(Step::Control),
                Some(Event::Finished) => return Ok(Step::Finished),
                Some(Event::End) => return Ok(Step::End),
                Some(Event::Open(_)) | None => return Ok(Step::NeedsInput),
            };
            debug_assert!(out.is_empty(), "nothing is sent for a message");
            let taken = take(message);
            self.forget_delivered();
            if let ControlFlow::Break(end) = taken {
                return Ok(Step::Stopped(end));
            }
        }
    }

    /// Passes on the rest of a batch.
    #[inline]
    fn run_batch<B>(
        &mut self,
        input: &mut &[u8],
        take: &mut impl FnMut(Message<'_>) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let Self { state, partial } = self;
        let SessionState::Protected(protected) = state else {
            return ControlFlow::Continue(());
        };
        let mut ran = ControlFlow::Continue(());
        // Once, unless it was parked.
        while protected.batch > 0 && ran.is_continue() {
            let is_gathered = partial.is_delivered();
            let payload = protected.batch(partial, input);
            let mut rest = payload;
            let record = |(bytes, behind)| (bytes, FrameFormat::Record, behind);
            ran = run(&mut rest, |rest| batch::split(rest).map(record), take);
            let taken = payload.len() - rest.len();
            if taken == 0 {
                break;
            }
            protected.advance_batch(taken, is_gathered, input);
        }
        self.forget_delivered();
        ran
    }

    #[inline]
    pub(super) fn message<'s, 'i: 's>(
        &'s mut self,
        config: &SessionConfig,
        role: Role,
        input: &mut &'i [u8],
    ) -> Result<Option<Event<'s>>, Refusal> {
        let (framing, max) = (config.framing(), length_max(config, role));
        let extent = framing.scan(self.partial.taken(), input, max);
        let extent = extent.map_err(|why| self.fail(why))?;
        let Some(frame) = self.partial.take(extent, input, config.frame_max()) else {
            return Ok(None);
        };
        if config.ends_with_one(role) {
            self.state = SessionState::Ending(self.state.credential());
        }
        let (bytes, form) = framing.open(frame);
        Ok(Some(Event::Message(Message { bytes, form })))
    }
}

/// Passes on the complete messages of one framing, until `take` breaks, and leaves the rest of the
/// input.
#[inline(always)]
fn run<'i, B>(
    input: &mut &'i [u8],
    mut split: impl FnMut(&'i [u8]) -> Option<(&'i [u8], FrameFormat, &'i [u8])>,
    take: &mut impl FnMut(Message<'_>) -> ControlFlow<B>,
) -> ControlFlow<B> {
    let mut rest = *input;
    let mut taken = ControlFlow::Continue(());
    while taken.is_continue()
        && !rest.is_empty()
        && let Some((bytes, form, behind)) = split(rest)
    {
        rest = behind;
        taken = take(Message { bytes, form });
    }
    *input = rest;
    taken
}

/// The longest message that this end accepts.
fn length_max(config: &SessionConfig, role: Role) -> usize {
    match (config.framing(), role) {
        (Framing::Chunks, Role::Server) => config.message_max().min(chunks::CHUNK_MAX),
        _ => config.message_max(),
    }
}
