//! A connection in records.

use alloc::vec::Vec;

use crate::config::session_config::SessionConfig;
use crate::framing::FrameFormat;
use crate::keys::key::Credential;
use crate::partial_frame::PartialFrame;
use crate::records::{Record, Records, TAG, batch};
use crate::refusal::Refusal;
use crate::role::Role;
use crate::session::event::{Event, Message};

/// How much of a batch that was parked is looked at together.
const WINDOW: usize = 4 << 10;

/// An established connection in records.
#[derive(Debug)]
pub(super) struct Protected {
    pub(super) records: Records,
    pub(super) role: Role,
    /// The peer's key, at a server.
    pub(super) key: Option<Credential>,
    pub(super) state: RecordsState,
    /// The bytes of a verified batch whose messages were not returned yet; its tag is after them.
    /// They are at the end of the frame that was buffered last, which may have been parked since,
    /// or, if the batch was complete in the input, at the front of the input.
    pub(super) batch: u32,
}

/// How far a connection in records has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RecordsState {
    /// Messages are exchanged.
    Established,
    /// The exchange is complete, and the event that says so is due.
    Ending,
    /// Nothing more is expected of the peer.
    Over,
    /// A record was not the next one, or malformed.
    Failed(Refusal),
}

impl Protected {
    /// Takes the next record.
    pub(super) fn next<'s, 'i: 's>(
        &mut self,
        partial: &'s mut PartialFrame,
        config: &SessionConfig,
        input: &mut &'i [u8],
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'s>>, Refusal> {
        match self.state {
            RecordsState::Established => {}
            RecordsState::Ending => {
                self.state = RecordsState::Over;
                return Ok(Some(Event::End));
            }
            RecordsState::Over => {
                *input = &[];
                return Ok(None);
            }
            RecordsState::Failed(why) => return Err(why),
        }
        if self.batch > 0 {
            return self.next_of_batch(partial, input);
        }
        let Self { records, role, state, batch: left, .. } = self;
        // After a fault, nothing more is received, and no close record is sent.
        let mut failed = |why| {
            *state = RecordsState::Failed(why);
            why
        };
        let extent = Records::scan(partial.taken(), input, config.record_payload_max());
        let extent = extent.map_err(&mut failed)?;
        let (start, is_cut) = (*input, records.is_sealed() || partial.taken().length > 0);
        let max = config.frame_max();
        let record = match records.is_sealed() {
            false => partial.take(extent, input, max).map(|frame| records.open(frame)),
            true => partial.take_owned(extent, input, max).map(|frame| records.unseal(frame)),
        };
        let Some(record) = record else { return Ok(None) };
        let record = record.map_err(&mut failed)?;
        Ok(Some(match record {
            Record::Data(bytes) => {
                if config.ends_with_one(*role) {
                    *state = RecordsState::Ending;
                }
                Event::Message(Message { bytes, form: FrameFormat::Record })
            }
            Record::Batch(payload) => {
                let Some((bytes, rest)) = batch::split(payload) else {
                    return Err(failed(Refusal::BadRecord));
                };
                if config.ends_with_one(*role) {
                    *state = RecordsState::Ending;
                } else if !rest.is_empty() {
                    *left = u32::try_from(rest.len()).unwrap_or(u32::MAX);
                    if !is_cut {
                        let end = start.len() - input.len();
                        *input = &start[end - TAG - rest.len()..];
                    }
                }
                Event::Message(Message { bytes, form: FrameFormat::Record })
            }
            Record::Ping(payload) => {
                records.echo(payload, out);
                Event::Control
            }
            Record::Pong(_) => Event::Control,
            Record::Close => Event::Finished,
        }))
    }

    /// The messages that are left of a batch; if it was parked, the first of them, and perhaps part
    /// of one more.
    #[inline]
    pub(super) fn batch<'a>(&self, partial: &'a mut PartialFrame, input: &'a [u8]) -> &'a [u8] {
        let left = self.left();
        if !partial.is_delivered() {
            // The caller passes the rest of the input again.
            return input.get(..left).unwrap_or_default();
        }
        let first = batch::first(partial.rest((left, TAG), batch::LENGTH));
        partial.rest((left, TAG), first.max(WINDOW))
    }

    /// Moves what is left of a batch to blocks, if it was buffered here: the next call may be late.
    #[cold]
    pub(super) fn park(&self, partial: &mut PartialFrame) {
        partial.park((self.left(), TAG));
    }

    fn left(&self) -> usize {
        usize::try_from(self.batch).unwrap_or(usize::MAX)
    }

    /// Removes these bytes of messages from the batch, which is buffered or in the input.
    #[inline]
    pub(super) fn advance_batch(&mut self, bytes: usize, is_gathered: bool, input: &mut &[u8]) {
        self.batch -= u32::try_from(bytes).unwrap_or(self.batch);
        if !is_gathered {
            let tag = if self.batch == 0 { TAG } else { 0 };
            *input = input.get(bytes + tag..).unwrap_or_default();
        }
    }

    /// Takes the next message that is left of a batch.
    fn next_of_batch<'s, 'i: 's>(
        &mut self,
        partial: &'s mut PartialFrame,
        input: &mut &'i [u8],
    ) -> Result<Option<Event<'s>>, Refusal> {
        let (front, is_gathered) = (*input, partial.is_delivered());
        let payload = self.batch(partial, front);
        let Some((bytes, rest)) = batch::split(payload) else {
            debug_assert!(false, "the rest of the input is passed again");
            self.batch = 0;
            self.state = RecordsState::Failed(Refusal::BadRecord);
            return Err(Refusal::BadRecord);
        };
        self.advance_batch(payload.len() - rest.len(), is_gathered, input);
        Ok(Some(Event::Message(Message { bytes, form: FrameFormat::Record })))
    }

    /// The refusal that has ended the session, if one has.
    pub(super) fn failure(&self) -> Option<Refusal> {
        match self.state {
            RecordsState::Failed(why) => Some(why),
            RecordsState::Established | RecordsState::Ending | RecordsState::Over => None,
        }
    }

    /// Whether the stream may end here: nothing can be missing.
    pub(super) fn is_over(&self) -> bool {
        self.state == RecordsState::Over || self.records.received_close()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_connection_in_records_is_small() {
        // With what an allocator puts beside it, a multiple of 16.
        assert!(size_of::<Protected>() <= 232, "{}", size_of::<Protected>());
    }
}
