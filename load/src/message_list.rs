//! Messages that clients send in place of numbered ones.

use std::error::Error;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// The bytes of the length before a block.
const LENGTH: usize = 4;

/// Messages that clients send, in place of numbered ones that are all alike.
///
/// Each client goes through them by itself, from the first one on, and goes on where it was after
/// it has reconnected.
///
/// ```
/// use countersign_load::{MessageOrder, MessageList};
///
/// let messages = MessageList::from_lines(b"GET a\nGET b\n".to_vec(), MessageOrder::Sequential)?;
/// assert_eq!((messages.count(), messages.longest()), (2, 5));
/// # Ok::<(), countersign_load::MessageListError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageList {
    /// All of them, with what was between them.
    bytes: Arc<[u8]>,
    places: Arc<[Range<usize>]>,
    order: MessageOrder,
    longest: usize,
}

/// In which order a client sends messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum MessageOrder {
    /// One after the other, and after the last one the first again.
    #[default]
    Sequential,
    /// At random, but alike in each run.
    Random,
}

/// Why something isn't a list of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MessageListError {
    /// There is no message.
    Empty,
    /// This message, counted from 1, has no bytes.
    EmptyMessage(usize),
    /// This block, counted from 1, has a length that is negative.
    Negative(usize),
    /// This block, counted from 1, has fewer bytes than its length says.
    Truncated(usize),
}

impl MessageList {
    /// A message on each line, which ends with LF or CRLF. The last line may have no end.
    ///
    /// # Errors
    ///
    /// There is no line, or one is empty.
    pub fn from_lines(bytes: Vec<u8>, order: MessageOrder) -> Result<Self, MessageListError> {
        let mut places = Vec::new();
        let mut start = 0;
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let message = line.strip_suffix(b"\n").unwrap_or(line);
            let message = message.strip_suffix(b"\r").unwrap_or(message);
            places.push(start..start + message.len());
            start += line.len();
        }
        Self::new(bytes, places, order)
    }

    /// Blocks as on the wire, where messages are framed by length: four bytes of length,
    /// big-endian, and a message.
    ///
    /// # Errors
    ///
    /// There is no block, one has no message, or the last one is truncated.
    pub fn from_blocks(bytes: Vec<u8>, order: MessageOrder) -> Result<Self, MessageListError> {
        let mut places = Vec::new();
        let mut start = 0;
        while let Some(rest) = bytes.get(start..).filter(|rest| !rest.is_empty()) {
            let number = places.len() + 1;
            let length: &[u8; LENGTH] =
                rest.first_chunk().ok_or(MessageListError::Truncated(number))?;
            let length = usize::try_from(i32::from_be_bytes(*length))
                .map_err(|_| MessageListError::Negative(number))?;
            let end = (start + LENGTH).saturating_add(length);
            if end > bytes.len() {
                return Err(MessageListError::Truncated(number));
            }
            places.push(start + LENGTH..end);
            start = end;
        }
        Self::new(bytes, places, order)
    }

    fn new(
        bytes: Vec<u8>,
        places: Vec<Range<usize>>,
        order: MessageOrder,
    ) -> Result<Self, MessageListError> {
        if let Some(number) = places.iter().position(Range::is_empty) {
            return Err(MessageListError::EmptyMessage(number + 1));
        }
        let longest = places.iter().map(Range::len).max().ok_or(MessageListError::Empty)?;
        Ok(Self { bytes: bytes.into(), places: places.into(), order, longest })
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.places.len()
    }

    /// The bytes of the longest one.
    #[must_use]
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// The number, counted from 1, of the first one that is longer than this.
    #[must_use]
    pub fn longer_than(&self, max: usize) -> Option<usize> {
        self.places.iter().position(|place| place.len() > max).map(|number| number + 1)
    }

    /// The message that a client sends as this one of all that it sends.
    pub(super) fn message(&self, client: u32, number: u64) -> &[u8] {
        let number = match self.order {
            MessageOrder::Sequential => number,
            MessageOrder::Random => scattered(u64::from(client) << 32 ^ number),
        };
        let place = usize::try_from(number % self.places.len() as u64).unwrap_or_default();
        self.bytes.get(self.places[place].clone()).unwrap_or_default()
    }
}

/// A number that is scattered over all numbers (SplitMix64). What a reply must be can be said again
/// from the number of its message, so that nothing has to be kept.
fn scattered(number: u64) -> u64 {
    let mut bits = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

impl fmt::Display for MessageListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("there is no message in it"),
            Self::EmptyMessage(number) => {
                write!(f, "message {number} is empty; each message needs at least one byte")
            }
            Self::Negative(number) => write!(
                f,
                "the length before message {number} is negative; write four bytes of length, \
                 big-endian, before each message"
            ),
            Self::Truncated(number) => write!(
                f,
                "message {number} is truncated; write four bytes of length, big-endian, before \
                 each message"
            ),
        }
    }
}

impl Error for MessageListError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(messages: &MessageList) -> Vec<&[u8]> {
        (0..messages.count() as u64).map(|number| messages.message(0, number)).collect()
    }

    #[test]
    fn a_message_is_a_line() {
        for text in ["one\ntwo\n", "one\r\ntwo\r\n", "one\ntwo", "one\ntwo\r"] {
            let messages = MessageList::from_lines(text.into(), MessageOrder::Sequential).unwrap();
            assert_eq!(all(&messages), [b"one", b"two"], "{text:?}");
            assert_eq!(messages.message(5, 1_000_001), b"two", "again and again");
        }
        for (text, error) in [
            ("", MessageListError::Empty),
            ("\n", MessageListError::EmptyMessage(1)),
            ("a\n\nb\n", MessageListError::EmptyMessage(2)),
            ("a\r\n\r\n", MessageListError::EmptyMessage(2)),
        ] {
            let read = MessageList::from_lines(text.into(), MessageOrder::Sequential);
            assert_eq!(read, Err(error), "{text:?}");
        }
        let long = MessageList::from_lines(b"a\nabc\nab\n".to_vec(), MessageOrder::Random).unwrap();
        assert_eq!((long.longest(), long.longer_than(2), long.longer_than(3)), (3, Some(2), None));
    }

    #[test]
    fn a_message_is_a_block() {
        let read = |bytes: &[u8]| MessageList::from_blocks(bytes.into(), MessageOrder::Sequential);
        let messages = read(b"\0\0\0\x03a\nb\0\0\0\x01c").unwrap();
        assert_eq!(all(&messages), [&b"a\nb"[..], b"c"]);
        for (bytes, error) in [
            (&b""[..], MessageListError::Empty),
            (b"\0\0\0", MessageListError::Truncated(1)),
            (b"\0\0\0\x02a", MessageListError::Truncated(1)),
            (b"\0\0\0\x01ahello", MessageListError::Truncated(2)),
            (b"\x7f\xff\xff\xffahello", MessageListError::Truncated(1)),
            (b"\xff\xff\xff\xffahello", MessageListError::Negative(1)),
            (b"\0\0\0\x01a\0\0\0\0", MessageListError::EmptyMessage(2)),
        ] {
            assert_eq!(read(bytes), Err(error), "{bytes:?}");
        }
    }

    #[test]
    fn messages_at_random_are_evenly_spread_and_alike_each_time() {
        let text: Vec<u8> = (b'a'..=b'j').flat_map(|letter| [letter, b'\n']).collect();
        let messages = MessageList::from_lines(text, MessageOrder::Random).unwrap();
        let of = |client| -> Vec<u8> {
            (0..10_000).map(|number| messages.message(client, number)[0]).collect()
        };
        let (one, other) = (of(0), of(1));
        assert_eq!(one, of(0));
        assert!(one != other && one[..20] != one[10..30]);
        for letter in b'a'..=b'j' {
            let count = one.iter().filter(|each| **each == letter).count();
            assert!((850..1_150).contains(&count), "{count}");
        }
    }
}
