//! The replies of a service, written into the loop's outbox.

use std::io;
use std::time::SystemTime;

use countersign_proto::{FRAME_MAX, FrameFormat};
use memchr::memchr;

use crate::contract::close::CloseReason;

/// Writes the replies of a service, in the connection's framing.
///
/// Its methods never fail and, in steady state, never allocate: the bytes go directly into a buffer
/// that the loop lends. A reply that would exceed [`Limits::reply_max`] is discarded and closes the
/// connection with [`CloseReason::ReplyTooLong`].
///
/// A message is what is written between two calls of [`end`](Self::end); one that is still open
/// when the service returns is ended then. In the framing `lines` without records, a message can't
/// contain a line feed, or the peer would see two: such a reply is discarded and closes the
/// connection with [`CloseReason::ReplyUnsendable`].
///
/// [`Limits::reply_max`]: crate::Limits::reply_max
#[derive(Debug)]
pub struct Reply<'a> {
    /// The part of the loop's buffer that this reply may use, or why it is discarded.
    out: Result<&'a mut [u8], Fault>,
    /// How much is written.
    length: usize,
    /// Where the current message begins.
    start: usize,
    /// A message is being written.
    open: bool,
    form: FrameFormat,
    now: SystemTime,
    /// The service asked to close the connection.
    dismissed: bool,
}

/// Why a reply is discarded.
#[derive(Debug, Clone, Copy)]
enum Fault {
    TooLong,
    /// A line has a line feed inside.
    Unsendable,
}

/// The longest text that [`Reply::echo_behind`] takes.
pub(crate) const PREFIX_MAX: usize = 32;

impl<'a> Reply<'a> {
    #[inline]
    pub(crate) fn new(out: &'a mut [u8], form: FrameFormat, now: SystemTime) -> Self {
        // A longer record would be taken for several.
        let max = out.len().min(form.message_max() + FRAME_MAX);
        let out = Ok(&mut out[..max]);
        Self { out, length: 0, start: 0, open: false, form, now, dismissed: false }
    }

    /// Writes one message, or the last part of one that was begun with [`push`](Self::push).
    #[inline(always)]
    pub fn message(&mut self, bytes: &[u8]) {
        self.push(bytes);
        self.end();
    }

    /// Writes part of a message.
    #[inline(always)]
    pub fn push(&mut self, bytes: &[u8]) {
        if matches!(self.form, FrameFormat::Line(_)) && memchr(b'\n', bytes).is_some() {
            self.discard();
        }
        self.append(bytes);
    }

    /// Writes one message that was received in the framing of the reply, or the last part of one,
    /// like [`message`](Self::message). A line that was received has no line feed inside: looking
    /// for one would cost each message 30 instructions (budget "instructions/message").
    #[inline(always)]
    pub(crate) fn echo(&mut self, received: &[u8]) {
        self.append(received);
        self.end();
    }

    /// The same behind a text that has no line feed inside: the first `length` of these bytes. All
    /// are copied, since to copy as many bytes as the compiler knows takes 15 instructions less
    /// (budget "instructions/message").
    #[inline(always)]
    pub(crate) fn echo_behind(&mut self, text: &[u8; PREFIX_MAX], length: usize, received: &[u8]) {
        let Ok(out) = &mut self.out else { return };
        let before = self.form.before();
        if !self.open
            && let Some((_, room)) = out.split_at_mut_checked(self.length + before)
            && length + received.len() + FRAME_MAX <= room.len()
            && let Some(front) = room.first_chunk_mut()
        {
            *front = *text;
            if let Some(place) = room.get_mut(length..length + received.len()) {
                place.copy_from_slice(received);
                let end = self.length + before + length + received.len();
                self.length = self.form.close(out, self.length, end);
                return;
            }
        }
        self.echo_in_parts(text.get(..length).unwrap_or(text), received);
    }

    #[cold]
    #[inline(never)]
    fn echo_in_parts(&mut self, text: &[u8], received: &[u8]) {
        self.append(text);
        self.echo(received);
    }

    /// Writes part of a message that is known to have no line feed inside.
    #[inline(always)]
    pub(crate) fn append(&mut self, bytes: &[u8]) {
        let Ok(out) = &mut self.out else { return };
        let before = if self.open { 0 } else { self.form.before() };
        // With room for what frames the message, so that it can always be ended.
        if let Some((place, rest)) = out[self.length..].split_at_mut_checked(before + bytes.len())
            && before + rest.len() >= FRAME_MAX
        {
            place[before..].copy_from_slice(bytes);
            if !self.open {
                (self.open, self.start) = (true, self.length);
            }
            self.length += before + bytes.len();
        } else {
            self.out = Err(Fault::TooLong);
        }
    }

    /// Ends the message; if none was begun, writes an empty one.
    #[inline(always)]
    pub fn end(&mut self) {
        if !self.open {
            self.append(&[]);
        }
        if let Ok(out) = &mut self.out {
            self.length = self.form.close(out, self.start, self.length);
            self.open = false;
        }
    }

    #[cold]
    fn discard(&mut self) {
        if self.out.is_ok() {
            self.out = Err(Fault::Unsendable);
        }
    }

    /// Asks the loop to close the connection once everything that was written has been sent.
    pub fn close(&mut self) {
        self.dismissed = true;
    }

    /// The time of day when the loop last woke up.
    ///
    /// All messages of a turn have the same time.
    #[must_use]
    #[inline]
    pub fn now(&self) -> SystemTime {
        self.now
    }

    /// Ends what is open. Returns how much was written, which is nothing if it was too much, and
    /// whether the connection must end.
    #[inline(always)]
    pub(crate) fn finish(mut self) -> (usize, Option<CloseReason>) {
        if self.open {
            self.end();
        }
        match self.out {
            Ok(_) if !self.dismissed => (self.length, None),
            Ok(_) => (self.length, end(CloseReason::ClosedByService)),
            Err(Fault::TooLong) => (0, end(CloseReason::ReplyTooLong)),
            Err(Fault::Unsendable) => (0, end(CloseReason::ReplyUnsendable)),
        }
    }
}

/// A function of its own, so that a reply that ends nothing doesn't pay for it.
#[cold]
fn end(why: CloseReason) -> Option<CloseReason> {
    Some(why)
}

impl io::Write for Reply<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use countersign_proto::LineEnding;

    use std::io::Write as _;

    use super::*;

    fn written(
        form: FrameFormat,
        max: usize,
        write: impl FnOnce(&mut Reply<'_>),
    ) -> (Vec<u8>, Option<CloseReason>) {
        let mut out = vec![0; max];
        let mut reply = Reply::new(&mut out, form, SystemTime::UNIX_EPOCH);
        write(&mut reply);
        let (length, verdict) = reply.finish();
        out.truncate(length);
        (out, verdict)
    }

    #[test]
    fn messages_are_framed() {
        let two = |reply: &mut Reply<'_>| {
            reply.message(b"one");
            reply.push(b"t");
            reply.write_all(b"wo").unwrap();
        };
        let cases: [(FrameFormat, &[u8]); 5] = [
            (FrameFormat::Line(LineEnding::Lf), b"one\ntwo\n"),
            (FrameFormat::Line(LineEnding::CrLf), b"one\r\ntwo\r\n"),
            (FrameFormat::Line(LineEnding::None), b"onetwo"),
            (FrameFormat::Chunk, b"onetwo"),
            (FrameFormat::Length, b"\0\0\0\x03one\0\0\0\x03two"),
        ];
        for (form, expected) in cases {
            assert_eq!(written(form, 99, two), (expected.to_vec(), None), "{form:?}");
        }
    }

    #[test]
    fn an_echo_behind_a_text_is_one_message_of_both() {
        let text = *b"[Thu May 10 22:00:19 2018] .....";
        for form in [FrameFormat::Line(LineEnding::CrLf), FrameFormat::Chunk, FrameFormat::Length] {
            for (max, length) in (0..120).flat_map(|max| [0, 27, 32].map(|length| (max, length))) {
                let parts = |reply: &mut Reply<'_>| {
                    reply.push(&text[..length]);
                    reply.message(b"hello");
                };
                let echo = |reply: &mut Reply<'_>| reply.echo_behind(&text, length, b"hello");
                assert_eq!(written(form, max, echo), written(form, max, parts), "{form:?} {max}");
                let begun = |reply: &mut Reply<'_>| {
                    reply.push(b"-");
                    reply.echo_behind(&text, length, b"hello");
                };
                let parts = |reply: &mut Reply<'_>| {
                    reply.push(b"-");
                    parts(reply);
                };
                assert_eq!(written(form, max, begun), written(form, max, parts), "{form:?} {max}");
            }
        }
    }

    #[test]
    fn an_empty_message_is_a_message_and_no_message_is_none() {
        assert_eq!(written(FrameFormat::Length, 99, |reply| reply.message(b"")).0, b"\0\0\0\0");
        assert_eq!(written(FrameFormat::Length, 99, |reply| reply.end()).0, b"\0\0\0\0");
        assert_eq!(written(FrameFormat::Length, 99, |_| {}).0, b"");
    }

    #[test]
    fn passing_the_limit_is_a_verdict_and_nothing_was_said() {
        for form in [FrameFormat::Line(LineEnding::CrLf), FrameFormat::Chunk, FrameFormat::Length] {
            let verdict = |length| written(form, 99, |reply| reply.message(&vec![0; length])).1;
            let longest = (0..99).rev().find(|&length| verdict(length).is_none()).unwrap();
            assert!((75..99).contains(&longest), "{form:?} {longest}");
            let floods: [fn(&mut Reply<'_>); 3] =
                [|reply| reply.push(b"abc"), |reply| reply.end(), |reply| reply.message(b"")];
            for (number, flood) in floods.into_iter().enumerate() {
                let (out, verdict) =
                    written(form, 99, |reply| (0..1000).for_each(|_| flood(reply)));
                assert_eq!(out, b"", "{form:?}");
                let nothing = form == FrameFormat::Chunk && number > 0;
                assert_eq!(
                    verdict,
                    Some(CloseReason::ReplyTooLong).filter(|_| !nothing),
                    "{form:?}"
                );
            }
        }
    }

    #[test]
    fn a_message_longer_than_a_record_is_a_verdict_and_nothing_was_said() {
        let verdict = |length| {
            let say = |reply: &mut Reply<'_>| reply.message(&vec![b'x'; length]);
            written(FrameFormat::Record, 17 << 20, say).1
        };
        // What three bytes can tell, without the tag.
        assert_eq!(verdict((1 << 24) - 17), None);
        assert_eq!(verdict((1 << 24) - 16), Some(CloseReason::ReplyTooLong));
    }

    #[test]
    fn a_line_feed_in_a_line_is_a_verdict_and_nothing_was_said() {
        let writes: [fn(&mut Reply<'_>); 4] = [
            |reply| reply.message(b"one\ntwo"),
            |reply| reply.message(b"one\n"),
            |reply| {
                reply.message(b"whole");
                reply.push(b"t");
                reply.push(b"\n");
                reply.push(&[0; 1000]);
            },
            |reply| writeln!(reply, "one").unwrap(),
        ];
        for write in writes {
            for ending in [LineEnding::Lf, LineEnding::CrLf, LineEnding::None] {
                let unsendable = (Vec::new(), Some(CloseReason::ReplyUnsendable));
                assert_eq!(written(FrameFormat::Line(ending), 99, write), unsendable);
            }
        }
        for form in [FrameFormat::Chunk, FrameFormat::Length, FrameFormat::Record] {
            assert_eq!(written(form, 99, writes[0]).1, None, "{form:?} carries any byte");
        }
    }

    #[test]
    fn a_service_can_ask_for_the_end() {
        assert_eq!(
            written(FrameFormat::Chunk, 9, |reply| reply.close()).1,
            Some(CloseReason::ClosedByService)
        );
    }
}
