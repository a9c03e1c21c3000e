//! The replies of a service, written into the loop's outbox.

use std::io;
use std::time::SystemTime;

use countersign_proto::{FRAME_MAX, FrameFormat};
use memchr::memchr;

use crate::contract::close::CloseReason;
use crate::contract::outbox::Outbox;

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
    /// The loop's buffer.
    out: &'a mut [u8],
    /// How much of it earlier replies have taken.
    kept: &'a mut usize,
    /// How far it is written.
    length: usize,
    /// How far this reply may go; nowhere once it is discarded.
    limit: usize,
    /// Where the current message begins.
    start: usize,
    /// A message is being written.
    open: bool,
    form: FrameFormat,
    now: SystemTime,
    /// Why the connection must end: because the service has closed it, or why the reply is
    /// discarded.
    verdict: Option<CloseReason>,
}

/// The longest text that [`Reply::echo_behind`] takes.
pub(crate) const PREFIX_MAX: usize = 32;

impl<'a> Reply<'a> {
    /// The reply to one message, of at most this many bytes.
    #[inline(always)]
    pub(crate) fn new(
        outbox: &'a mut Outbox,
        max: usize,
        form: FrameFormat,
        now: SystemTime,
    ) -> Self {
        let (out, kept) = outbox.parts();
        // A longer record would be taken for several.
        let max = max.min(form.message_max() + FRAME_MAX);
        let (length, start) = (*kept, *kept);
        let limit = out.len().min(length + max);
        Self { out, kept, length, limit, start, open: false, form, now, verdict: None }
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
            self.discard(CloseReason::ReplyUnsendable);
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
        if self.open {
            self.append(text.get(..length).unwrap_or(text));
            return self.echo(received);
        }
        let before = self.form.before();
        if let Some(room) = self.out.get_mut(self.length + before..self.limit)
            && length + received.len() + FRAME_MAX <= room.len()
            && let Some(front) = room.first_chunk_mut()
        {
            *front = *text;
            if let Some(place) = room.get_mut(length..length + received.len()) {
                copy(received, place);
                let end = self.length + before + length + received.len();
                self.length = self.form.close(self.out, self.length, end);
                return;
            }
        }
        match frame(
            self.form,
            &mut self.out[..self.limit],
            self.length,
            (text.get(..length).unwrap_or(text), received),
        ) {
            Some(end) => self.length = end,
            None => self.discard(CloseReason::ReplyTooLong),
        }
    }

    /// Writes part of a message that is known to have no line feed inside.
    #[inline(always)]
    pub(crate) fn append(&mut self, bytes: &[u8]) {
        let before = if self.open { 0 } else { self.form.before() };
        let start = self.length + before;
        match self.out.get_mut(start..start + bytes.len()) {
            // With room for what frames the message, so that it can always be ended.
            Some(place) if self.length + bytes.len() + FRAME_MAX <= self.limit => {
                copy(bytes, place);
                if !self.open {
                    (self.open, self.start) = (true, self.length);
                }
                self.length = start + bytes.len();
            }
            _ => self.discard(CloseReason::ReplyTooLong),
        }
    }

    /// Ends the message; if none was begun, writes an empty one.
    #[inline(always)]
    pub fn end(&mut self) {
        if !self.open {
            self.append(&[]);
        }
        if self.open {
            self.length = self.form.close(self.out, self.start, self.length);
            self.open = false;
        }
    }

    #[inline(always)]
    fn discard(&mut self, why: CloseReason) {
        (self.limit, self.open) = (0, false);
        if let None | Some(CloseReason::ClosedByService) = self.verdict {
            self.verdict = Some(why);
        }
    }

    /// Asks the loop to close the connection once everything that was written has been sent.
    pub fn close(&mut self) {
        self.verdict.get_or_insert(CloseReason::ClosedByService);
    }

    /// The time of day when the loop last woke up.
    ///
    /// All messages of a turn have the same time.
    #[must_use]
    #[inline]
    pub fn now(&self) -> SystemTime {
        self.now
    }

    /// Ends what is open, and keeps what was written, unless it was too much. Returns why the
    /// connection must end, if it must.
    #[inline(always)]
    pub(crate) fn finish(mut self) -> Option<CloseReason> {
        if self.open {
            self.end();
        }
        if let None | Some(CloseReason::ClosedByService) = self.verdict {
            *self.kept = self.length;
        }
        self.verdict
    }
}

/// Frames a message that consists of two parts, where there is room for it: a function of its own,
/// without the reply, which stays in registers elsewhere. Returns where it ends.
#[cold]
#[inline(never)]
fn frame(
    form: FrameFormat,
    out: &mut [u8],
    start: usize,
    (text, rest): (&[u8], &[u8]),
) -> Option<usize> {
    let (begin, length) = (start + form.before(), text.len() + rest.len());
    if begin + length + FRAME_MAX > out.len() {
        return None;
    }
    let (front, back) = out.get_mut(begin..begin + length)?.split_at_mut(text.len());
    front.copy_from_slice(text);
    back.copy_from_slice(rest);
    Some(form.close(out, start, begin + length))
}

/// Copies bytes to a place of their length. The two blocks of a short message, which may overlap,
/// are all of it: to call what copies any number of bytes would cost each message 25 instructions
/// (budget "instructions/message, 16 deep").
#[inline(always)]
fn copy(from: &[u8], to: &mut [u8]) {
    const BLOCK: usize = 16;
    if from.len() <= 2 * BLOCK
        && let (Some(first), Some(last)) = (from.first_chunk::<BLOCK>(), from.last_chunk::<BLOCK>())
        && let Some(place) = to.first_chunk_mut()
    {
        *place = *first;
        if let Some(place) = to.last_chunk_mut() {
            *place = *last;
        }
    } else {
        to.copy_from_slice(from);
    }
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
        let mut out = Outbox::new(max);
        let mut reply = Reply::new(&mut out, max, form, SystemTime::UNIX_EPOCH);
        write(&mut reply);
        let verdict = reply.finish();
        (out.bytes().to_vec(), verdict)
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
