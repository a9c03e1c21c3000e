//! The framings: where one message ends and the next begins. Bytes are never decoded.

pub(crate) mod chunks;
pub(crate) mod length;
pub(crate) mod lines;

pub use chunks::CHUNK_MAX;

use alloc::vec::Vec;
use core::fmt;

use crate::handshake::countersign::frame;
use crate::partial_frame::{FrameStatus, Taken};
use crate::records;
use crate::refusal::Refusal;

/// The most bytes that a frame adds to an outgoing message, before and after it together.
pub const FRAME_MAX: usize = records::FRAME;

/// How messages are delimited in the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Framing {
    /// A message ends with LF or CRLF, and its reply ends the same way. The end of the stream ends
    /// a last message without a terminator.
    #[default]
    Lines,
    /// What one read returns, at most 1,024 bytes, is one message; a reply has no terminator.
    Chunks,
    /// A signed 32-bit big-endian length, followed by that many bytes.
    Length,
}

impl Framing {
    /// All framings, in the order in which help texts name them.
    pub const ALL: &[Self] = &[Self::Lines, Self::Chunks, Self::Length];

    /// The name, as it stands on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lines => "lines",
            Self::Chunks => "chunks",
            Self::Length => "length",
        }
    }

    /// The format of messages that aren't replies.
    #[must_use]
    pub fn form(self) -> FrameFormat {
        match self {
            Self::Lines => FrameFormat::Line(LineEnding::Lf),
            Self::Chunks => FrameFormat::Chunk,
            Self::Length => FrameFormat::Length,
        }
    }

    /// The longest frame with a message of at most `message_max` bytes.
    #[inline]
    pub(crate) fn frame_max(self, message_max: usize) -> usize {
        match self {
            Self::Lines => message_max + lines::ENDING_MAX,
            Self::Chunks => message_max,
            Self::Length => message_max + length::HEADER_MAX,
        }
    }

    /// How far the frame reaches of which `taken` has arrived before.
    #[inline(always)]
    pub(crate) fn scan(
        self,
        taken: Taken<'_>,
        input: &[u8],
        max: usize,
    ) -> Result<FrameStatus, Refusal> {
        match self {
            Self::Lines => lines::scan(taken, input, max),
            Self::Chunks => Ok(chunks::scan(input, max)),
            Self::Length => length::scan(taken, input, max),
        }
    }

    /// Splits a complete message off the front of the input: its bytes, the format of its reply,
    /// and the rest.
    #[inline(always)]
    pub(crate) fn split(self, input: &[u8], max: usize) -> Option<(&[u8], FrameFormat, &[u8])> {
        let Ok(FrameStatus::Whole(length)) = self.scan(Taken::default(), input, max) else {
            return None;
        };
        let (frame, rest) = input.split_at_checked(length)?;
        let (bytes, form) = self.open(frame);
        Some((bytes, form, rest))
    }

    /// The message in a complete frame, and the format of its reply.
    #[inline]
    pub(crate) fn open(self, frame: &[u8]) -> (&[u8], FrameFormat) {
        match self {
            Self::Lines => lines::open(frame),
            Self::Chunks => (frame, FrameFormat::Chunk),
            Self::Length => (length::open(frame), FrameFormat::Length),
        }
    }
}

impl fmt::Display for Framing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What ended a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LineEnding {
    /// `\n`.
    Lf,
    /// `\r\n`.
    CrLf,
    /// The end of the stream.
    None,
}

/// How one outgoing message is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FrameFormat {
    /// The bytes, then the ending.
    Line(LineEnding),
    /// The bytes alone.
    Chunk,
    /// A length, then the bytes.
    Length,
    /// A record of `countersign/1`: a header, the bytes, and room for the tag, which
    /// [`SessionCore::seal`](crate::SessionCore::seal) fills in.
    Record,
}

impl FrameFormat {
    /// Whether a message can be sent in this format: the other end receives the same message.
    #[must_use]
    pub fn carries(self, message: &[u8]) -> bool {
        match self {
            Self::Line(_) => !message.contains(&b'\n') && !message.ends_with(b"\r"),
            Self::Chunk => !message.is_empty(),
            Self::Length | Self::Record => true,
        }
    }

    /// The longest message that this format can hold, whatever the peer accepts.
    #[must_use]
    #[inline(always)]
    pub fn message_max(self) -> usize {
        match self {
            Self::Record => records::MESSAGE_MAX,
            Self::Line(_) | Self::Chunk | Self::Length => usize::MAX - FRAME_MAX,
        }
    }

    /// Appends a message in this format, which must [carry](Self::carries) it. No message may be
    /// longer than [`message_max`](Self::message_max).
    pub fn frame(self, message: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        self.begin(out);
        out.extend_from_slice(message);
        self.end(out, start);
    }

    /// Begins a message that is written in place, at the end of `out`.
    pub fn begin(self, out: &mut Vec<u8>) {
        out.resize(out.len() + self.before(), 0);
    }

    /// Ends the message that was begun when `out` had the length `start`.
    pub fn end(self, out: &mut Vec<u8>, start: usize) {
        let end = out.len();
        out.resize(end + FRAME_MAX, 0);
        let end = self.close(out, start, end);
        out.truncate(end);
    }

    /// The bytes of the frame before the message.
    #[inline(always)]
    pub fn before(self) -> usize {
        match self {
            Self::Length => length::HEADER,
            Self::Record => frame::HEADER,
            Self::Line(_) | Self::Chunk => 0,
        }
    }

    /// Completes the frame from `start` on, of which the message ends at `end`. There must be room
    /// for [`FRAME_MAX`] bytes in all. Returns where the frame ends.
    #[inline(always)]
    pub fn close(self, out: &mut [u8], start: usize, end: usize) -> usize {
        match self {
            Self::Line(LineEnding::Lf) => {
                if let Some(place) = out.get_mut(end) {
                    *place = b'\n';
                }
                end + 1
            }
            Self::Line(LineEnding::CrLf) => {
                if let Some(place) = out.get_mut(end..end + 2) {
                    place.copy_from_slice(b"\r\n");
                }
                end + 2
            }
            Self::Line(LineEnding::None) | Self::Chunk => end,
            Self::Length => {
                length::end(&mut out[start..end]);
                end
            }
            Self::Record => records::end(out, start, end),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_as_much_longer_than_its_message_as_its_framing_adds() {
        let all = [
            ("lines", Framing::Lines, 2),
            ("chunks", Framing::Chunks, 0),
            ("length", Framing::Length, 12),
        ];
        assert_eq!(all.map(|(_, framing, _)| framing), Framing::ALL);
        for (name, framing, added) in all {
            assert_eq!((framing.name(), &*framing.to_string()), (name, name));
            assert_eq!(framing.frame_max(100), 100 + added, "{name}");
        }
    }

    #[test]
    fn a_format_carries_what_arrives_as_it_was() {
        let cases: [(&[u8], [bool; 4]); 6] = [
            (b"", [true, false, true, true]),
            (b"text", [true; 4]),
            (b"\rtext", [true; 4]),
            (b"text\r", [false, true, true, true]),
            (b"two\nlines", [false, true, true, true]),
            (b"\n", [false, true, true, true]),
        ];
        let line = FrameFormat::Line(LineEnding::Lf);
        let formats = [line, FrameFormat::Chunk, FrameFormat::Length, FrameFormat::Record];
        for (message, expected) in cases {
            assert_eq!(formats.map(|format| format.carries(message)), expected, "{message:?}");
        }
    }
}
