//! The messages of the clients, and the expected replies.
//!
//! Each message of a client begins with its number, as far as there is room for it, so that lost,
//! repeated and reordered replies are noticed. The numbers begin again after some hundreds, so all
//! messages are in memory one after the other, already framed: many are sent by one copy, and many
//! replies are checked by one comparison.

use countersign::FrameFormat;

use crate::expect::Expect;
use crate::message_list::MessageList;
use crate::share::Share;

/// The digits of a number.
const DIGITS: usize = 16;

/// A time stamp as the service `timestamp` puts it before a message.
pub(super) const STAMP: &str = "[Thu Jan  1 00:00:00 1970] ";

/// About how many bytes of messages are kept: as many as are quick to get at.
const NEAR: usize = 64 << 10;

/// How many bytes of messages are kept at most, even if more are in flight.
const MOST: usize = 64 << 20;

/// The messages of all clients: all alike but for their numbers.
#[derive(Debug)]
pub(super) struct Payload {
    /// The messages in their framing; the reply of an echo is the same bytes.
    messages: Frames,
    /// The messages as records that are not sealed yet, where there are records.
    records: Option<Frames>,
    /// The replies of the service `timestamp` with the stamp that was seen last.
    stamped: Frames,
    /// The last reply had a stamp.
    is_stamped: bool,
    /// What is sent in place of numbered messages.
    listed: Option<MessageList>,
    expect: Expect,
    /// Messages are numbered ones, and replies are echoes of them, so that whole frames can be
    /// compared.
    is_prepared: bool,
    /// Which of several loops it belongs to.
    share: Share,
}

impl Payload {
    /// Messages of this size in this form, or as records, of which a client has `depth` in flight.
    pub(super) fn new(size: usize, depth: usize, form: FrameFormat, has_records: bool) -> Self {
        let count = count(size, depth);
        let frames = |stamp, form| Frames::new(stamp, size, count, form);
        // A client whose messages are longer than any record ends before it sends one.
        let has_records = has_records && size <= FrameFormat::Record.message_max();
        let records = has_records.then(|| frames("", FrameFormat::Record));
        let (messages, stamped) = (frames("", form), frames(STAMP, form));
        Self {
            messages,
            records,
            stamped,
            is_stamped: false,
            listed: None,
            expect: Expect::Echo,
            is_prepared: true,
            share: Share::WHOLE,
        }
    }

    /// The same with other messages, if there are some, and other replies.
    pub(super) fn with(self, listed: Option<MessageList>, expect: Expect, share: Share) -> Self {
        let is_prepared = listed.is_none() && expect == Expect::Echo;
        Self { listed, expect, is_prepared, share, ..self }
    }

    /// Whether replies can be compared as whole frames, with
    /// [`take_answers`](Self::take_answers).
    pub(super) fn is_prepared(&self) -> bool {
        self.is_prepared
    }

    /// Appends the messages of a client from this number on, in the form that the session wants.
    pub(super) fn write(
        &self,
        form: FrameFormat,
        client: Option<usize>,
        mut number: u64,
        mut count: u64,
        out: &mut Vec<u8>,
    ) {
        if let Some(listed) = &self.listed {
            let message = |number| listed.message(self.client(client), number);
            return (number..number + count).for_each(|number| form.frame(message(number), out));
        }
        let records = self.records.as_ref().filter(|_| form == FrameFormat::Record);
        let all = records.unwrap_or(&self.messages);
        while count > 0 {
            let (messages, frames) = all.run(number, count, usize::MAX);
            out.extend_from_slice(frames);
            number += messages;
            count -= messages;
        }
    }

    /// How many of the messages from this number on the input answers with whole frames as they are
    /// expected, at most `count`. Takes these frames from the input. Others, such as one with
    /// another time stamp, are to be checked with [`answers`](Self::answers).
    pub(super) fn take_answers(&self, number: u64, count: u64, input: &mut &[u8]) -> u64 {
        let replies = if self.is_stamped { &self.stamped } else { &self.messages };
        let mut taken = 0;
        while taken < count {
            let (mut run, expected) = replies.run(number + taken, count - taken, input.len());
            if run == 0 {
                break;
            }
            let is_expected = input.starts_with(expected);
            if !is_expected {
                run = replies.equal(expected, input);
            }
            *input = &input[replies.length(run)..];
            taken += run;
            if !is_expected {
                break;
            }
        }
        taken
    }

    /// Whether this is the reply that is expected to the message of a client with this number.
    pub(super) fn answers(&mut self, client: Option<usize>, number: u64, reply: &[u8]) -> bool {
        if self.is_prepared {
            return self.echoes(number, reply);
        }
        let message = match &self.listed {
            Some(listed) => listed.message(self.client(client), number),
            None => self.messages.message(number).1,
        };
        match &self.expect {
            Expect::Echo => {
                reply.strip_suffix(message).is_some_and(|stamp| stamp.is_empty() || is_stamp(stamp))
            }
            Expect::Prefix => reply.starts_with(message),
            Expect::Pattern(pattern) => pattern.matches(reply),
            Expect::Any => true,
        }
    }

    /// The number of a client among those of all loops.
    fn client(&self, number: Option<usize>) -> u32 {
        let number = number.map(|number| self.share.number(number));
        number.and_then(|number| u32::try_from(number).ok()).unwrap_or_default()
    }

    /// Whether this is the numbered message itself, or itself after a time stamp.
    fn echoes(&mut self, number: u64, reply: &[u8]) -> bool {
        let (_, message) = self.messages.message(number);
        let Some(stamp) = reply.strip_suffix(message) else { return false };
        // All messages that were answered at one time have the same stamp: it is looked at once.
        if !(stamp.is_empty() || stamp == self.stamped.stamp() || self.stamped.replace(stamp)) {
            return false;
        }
        self.is_stamped = !stamp.is_empty();
        true
    }
}

/// How many messages there are before their numbers begin again: a power of two, and twice as many
/// as are in flight, as long as they don't fill the memory.
fn count(size: usize, depth: usize) -> usize {
    let near = (NEAR / size).max(2 * depth).next_power_of_two();
    let most = (MOST / size).max(2).next_power_of_two();
    near.min(most)
}

/// Framed messages of the same size with the numbers from 0 on, one after the other.
#[derive(Debug)]
struct Frames {
    bytes: Vec<u8>,
    /// How many there are: a power of two.
    count: u64,
    /// The bytes of one message with its frame.
    stride: usize,
    /// Where the stamp begins in one frame, and the message after it.
    start: usize,
    message: usize,
    size: usize,
}

impl Frames {
    fn new(stamp: &str, size: usize, count: usize, form: FrameFormat) -> Self {
        let digits = size.min(DIGITS);
        let rest: Vec<u8> = (b'a'..=b'z').cycle().take(size - digits).collect();
        let mut bytes = Vec::new();
        for number in 0..count as u64 {
            let start = bytes.len();
            form.begin(&mut bytes);
            bytes.extend_from_slice(stamp.as_bytes());
            bytes.extend_from_slice(&format!("{number:016x}").as_bytes()[DIGITS - digits..]);
            bytes.extend_from_slice(&rest);
            form.end(&mut bytes, start);
        }
        let (stride, start) = (bytes.len() / count, form.before());
        Self { bytes, count: count as u64, stride, start, message: start + stamp.len(), size }
    }

    /// The place of a number among all.
    #[expect(clippy::cast_possible_truncation, reason = "the count was a usize")]
    fn index(&self, number: u64) -> usize {
        (number & (self.count - 1)) as usize
    }

    /// The stamp and the message of this number.
    fn message(&self, number: u64) -> (&[u8], &[u8]) {
        let frame = &self.bytes[self.index(number) * self.stride..][..self.stride];
        (&frame[self.start..self.message], &frame[self.message..][..self.size])
    }

    /// The messages from this number on that are contiguous in memory: at most `count`, and in at
    /// most `bytes`. Returns how many they are, and their frames.
    fn run(&self, number: u64, count: u64, bytes: usize) -> (u64, &[u8]) {
        let first = self.index(number);
        let behind = &self.bytes[first * self.stride..];
        let fitting = (behind.len().min(bytes) / self.stride) as u64;
        let run = fitting.min(count);
        (run, &behind[..self.length(run)])
    }

    /// The bytes of `count` messages, which must not be more than there are.
    #[expect(clippy::cast_possible_truncation, reason = "the count was a usize")]
    fn length(&self, count: u64) -> usize {
        count as usize * self.stride
    }

    /// How many frames at the front of the input are as expected.
    fn equal(&self, expected: &[u8], input: &[u8]) -> u64 {
        let pairs = expected.chunks_exact(self.stride).zip(input.chunks_exact(self.stride));
        pairs.take_while(|(expected, frame)| expected == frame).count() as u64
    }

    fn stamp(&self) -> &[u8] {
        let (stamp, _) = self.message(0);
        stamp
    }

    /// Puts a stamp into all frames, if it is one.
    fn replace(&mut self, stamp: &[u8]) -> bool {
        let is_stamp = is_stamp(stamp);
        if is_stamp {
            for frame in self.bytes.chunks_exact_mut(self.stride) {
                frame[self.start..self.message].copy_from_slice(stamp);
            }
        }
        is_stamp
    }
}

/// Whether this is a time as C's `ctime()` writes it, between brackets.
fn is_stamp(stamp: &[u8]) -> bool {
    let is_name = |name: &[u8], names: &[u8]| names.chunks_exact(3).any(|each| each == name);
    stamp.len() == STAMP.len()
        && b"[... ... _0 00:00:00 0000] ".iter().zip(stamp).all(|(expected, byte)| match expected {
            b'.' => byte.is_ascii_alphabetic(),
            b'0' => byte.is_ascii_digit(),
            // A day below ten is padded with a blank.
            b'_' => byte.is_ascii_digit() || *byte == b' ',
            other => byte == other,
        })
        && is_name(&stamp[1..4], b"MonTueWedThuFriSatSun")
        && is_name(&stamp[5..8], b"JanFebMarAprMayJunJulAugSepOctNovDec")
}

#[cfg(test)]
mod tests {
    use countersign::Framing;

    use super::*;
    use crate::message_list::MessageOrder;

    fn payload(size: usize) -> Payload {
        Payload::new(size, 1, Framing::Lines.form(), false)
    }

    #[test]
    fn a_reply_is_the_message_itself_or_behind_a_stamp() {
        for size in [1, 15, 16, 17, 100] {
            let mut payload = payload(size);
            let (_, message) = payload.messages.message(0x1f);
            let message = message.to_vec();
            assert_eq!(message.len(), size);
            let stamped = [b"[Thu May 10 22:00:19 2018] ", &message[..]].concat();
            assert!(payload.answers(None, 0x1f, &message) && payload.answers(None, 0x1f, &stamped));
            assert!(!payload.answers(None, 0x1e, &message), "another number");
            assert!(!payload.answers(None, 0x1f, &message[1..]), "cut");
            assert!(!payload.answers(None, 0x1f, &stamped[1..]), "a cut stamp");
            let mut wrong = message.clone();
            wrong[size - 1] ^= 1;
            assert!(!payload.answers(None, 0x1f, &wrong), "another last byte");
        }
    }

    #[test]
    fn listed_messages_are_sent_as_they_are_and_answered_as_expected() {
        let listed =
            MessageList::from_lines(b"ab\nabc\n".to_vec(), MessageOrder::Sequential).unwrap();
        let with = |expect| payload(5).with(Some(listed.clone()), expect, Share::WHOLE);
        let mut echo = with(Expect::Echo);
        let mut out = Vec::new();
        echo.write(Framing::Lines.form(), Some(3), 1, 3, &mut out);
        assert_eq!(out, b"abc\nab\nabc\n");
        assert!(
            !echo.is_prepared() && !payload(5).with(None, Expect::Any, Share::WHOLE).is_prepared()
        );
        for (reply, is_echo) in [
            (&b"ab"[..], true),
            (b"[Thu May 10 22:00:19 2018] ab", true),
            (b"xab", false),
            (b"abc", false),
            (b"", false),
        ] {
            assert_eq!(echo.answers(None, 0, reply), is_echo, "{reply:?}");
            assert_eq!(with(Expect::Prefix).answers(None, 0, reply), reply.starts_with(b"ab"));
            assert!(with(Expect::Any).answers(None, 1, reply));
            let pattern = Expect::Pattern("^ab?$".parse().unwrap());
            assert_eq!(with(pattern).answers(None, 1, reply), reply == b"ab", "{reply:?}");
        }
    }

    #[test]
    fn a_stamp_is_a_time() {
        for stamp in ["[Thu May 10 22:00:19 2018] ", "[Sun Dec  1 00:00:00 1970] "] {
            assert!(is_stamp(stamp.as_bytes()), "{stamp}");
        }
        for stamp in [
            "",
            "[Www Mmm dd hh:mm:ss yyyy] ",
            "[Thu May 10 22:00:19 2018]",
            "[Thu Mai 10 22:00:19 2018] ",
            "[Tha May 10 22:00:19 2018] ",
            "[Thu May 10 22:00:19 201x] ",
            "[Thu May 10 22 00 19 2018] ",
            "[                         ] ",
        ] {
            assert!(!is_stamp(stamp.as_bytes()), "{stamp}");
        }
    }

    #[test]
    fn replies_are_taken_together_where_they_are_as_expected() {
        for framing in [Framing::Lines, Framing::Length] {
            let form = framing.form();
            let mut payload = Payload::new(5, 3, form, true);
            let count = payload.messages.count;
            // Across the place where the numbers begin again.
            let first = 3 * count - 2;
            let mut out = Vec::new();
            payload.write(form, None, first, 5, &mut out);
            let each = out.len() / 5;
            let taken = |payload: &Payload, bytes: &[u8], count| {
                let mut rest = bytes;
                let taken = payload.take_answers(first, count, &mut rest);
                assert_eq!(rest, &bytes[bytes.len() - rest.len()..]);
                (taken, rest.len())
            };
            assert_eq!(taken(&payload, &out, 5), (5, 0));
            assert_eq!(taken(&payload, &out, 4), (4, each), "no more than were sent");
            for cut in 0..out.len() {
                let whole = cut / each;
                assert_eq!(taken(&payload, &out[..cut], 5), (whole as u64, cut % each));
                let mut wrong = out.clone();
                wrong[cut] ^= 1;
                assert_eq!(taken(&payload, &wrong, 5), (whole as u64, out.len() - whole * each));
            }

            let mut stamped = Vec::new();
            for number in first..first + 5 {
                let stamp = b"[Thu May 10 22:00:19 2018] ";
                let (_, message) = payload.messages.message(number);
                form.frame(&[stamp, message].concat(), &mut stamped);
            }
            assert_eq!(taken(&payload, &stamped, 5), (0, stamped.len()), "not seen yet");
            let message = payload.messages.message(7).1.to_vec();
            let mut behind =
                |stamp: &[u8]| payload.answers(None, 7, &[stamp, &message[..]].concat());
            assert!(
                !behind(b"[Thu May 10 22:00:19 201x] ") && behind(b"[Thu May 10 22:00:19 2018] ")
            );
            assert_eq!(taken(&payload, &stamped, 5), (5, 0));
        }
    }

    #[test]
    fn messages_are_written_as_records_where_there_are_records() {
        let payload = Payload::new(20, 3, Framing::Lines.form(), true);
        let (mut records, mut expected) = (Vec::new(), Vec::new());
        payload.write(FrameFormat::Record, None, 7, 2, &mut records);
        for number in [7, 8] {
            let (_, message) = payload.messages.message(number);
            FrameFormat::Record.frame(message, &mut expected);
        }
        assert_eq!(records, expected);
    }

    #[test]
    fn numbers_begin_again_after_twice_as_many_as_are_in_flight() {
        for (size, depth) in [(1, 1), (32, 1), (32, 64), (32, 10_000), (1 << 20, 1), (1 << 20, 20)]
        {
            let count = count(size, depth);
            assert!(count.is_power_of_two() && count >= 2 * depth, "{size} {depth}: {count}");
        }
        // Not if they would fill the memory.
        assert_eq!(count(1 << 24, 10_000), 4);
    }
}
