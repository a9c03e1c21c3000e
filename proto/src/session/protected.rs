//! A connection in records.

use alloc::vec::Vec;

use crate::framing::FrameFormat;
use crate::keys::key::Credential;
use crate::partial_frame::PartialFrame;
use crate::protocol::Protocol;
use crate::records::{Record, Records};
use crate::refusal::Refusal;
use crate::role::Role;
use crate::session::event::{Event, Message};

/// An established connection in records.
#[derive(Debug)]
pub(super) struct Protected {
    pub(super) records: Records,
    pub(super) role: Role,
    /// The peer's key, at a server.
    pub(super) key: Option<Credential>,
    pub(super) state: RecordsState,
}

/// How far a connection in records has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RecordsState {
    /// Messages are exchanged.
    Established,
    /// What the connection was for is done; the caller hasn't been told yet.
    Ending,
    /// Nothing more is expected of the peer.
    Over,
    /// A record was not the one that must come next, or not well-formed.
    Failed(Refusal),
}

impl Protected {
    /// Takes the next record.
    pub(super) fn next<'s, 'i: 's>(
        &mut self,
        partial: &'s mut PartialFrame,
        protocol: &Protocol,
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
        let Self { records, role, state, .. } = self;
        // After a fault there is no good-bye, and nothing more is heard.
        let mut failed = |why| {
            *state = RecordsState::Failed(why);
            why
        };
        let extent = Records::scan(partial.taken(), input, protocol.record_payload_max());
        let extent = extent.map_err(&mut failed)?;
        let Some(frame) = partial.take(extent, input, protocol.frame_max()) else {
            return Ok(None);
        };
        let record = records.open(frame).map_err(failed)?;
        Ok(Some(match record {
            Record::Data(bytes) => {
                if protocol.ends_with_one(*role) {
                    *state = RecordsState::Ending;
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

    /// What has ended the conversation, if it was not ended in order.
    pub(super) fn failure(&self) -> Option<Refusal> {
        match self.state {
            RecordsState::Failed(why) => Some(why),
            RecordsState::Established | RecordsState::Ending | RecordsState::Over => None,
        }
    }

    /// Whether the end of the stream is no loss.
    pub(super) fn is_over(&self) -> bool {
        self.state == RecordsState::Over || self.records.heard_close()
    }
}
