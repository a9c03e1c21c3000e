//! Lines: a message ends with LF or CRLF.
//!
//! A lone CR is a byte like any other. The terminator does not count towards the limit.

#[cfg(target_arch = "x86_64")]
use memchr::arch::x86_64::sse2::memchr::One;

use crate::framing::{FrameFormat, LineEnding};
use crate::partial_frame::{FrameStatus, Taken};
use crate::refusal::Refusal;

/// The longest terminator.
pub(crate) const ENDING_MAX: usize = 2;

/// Looks for the LF in the new bytes alone: what was taken already was searched before.
pub(crate) fn scan(taken: Taken<'_>, input: &[u8], max: usize) -> Result<FrameStatus, Refusal> {
    let (line, extent) = match find(input) {
        Some(at) => (&input[..at], FrameStatus::Whole(at + 1)),
        None => (input, FrameStatus::Partial),
    };
    if taken.length + line.len() <= max || is_longest(taken, line, max) {
        Ok(extent)
    } else {
        Err(Refusal::MessageTooLong)
    }
}

/// The one byte over the limit is the CR of a CRLF, or may be.
#[cold]
fn is_longest(taken: Taken<'_>, line: &[u8], max: usize) -> bool {
    let last = line.last().copied().or(taken.last);
    taken.length + line.len() == max + 1 && last == Some(b'\r')
}

/// Splits a line off that lies whole at the front of the input: the message in it, the form that
/// its reply takes, and what follows the line. Does as [`scan`] and [`open`] do, without looking
/// for the terminator twice. `expected` is how long the line before was, and becomes how long this
/// one is.
///
/// Inlined by force: a call would cost each message 60 instructions (budget
/// "instructions/message").
#[inline(always)]
pub(crate) fn split<'i>(
    input: &'i [u8],
    max: usize,
    expected: &mut usize,
) -> Option<(&'i [u8], FrameFormat, &'i [u8])> {
    let (line, rest) = split_at_feed(input, *expected)?;
    *expected = line.len();
    if line.len() > max && !is_longest(Taken::default(), line, max) {
        return None;
    }
    match line.strip_suffix(b"\r") {
        Some(message) => Some((message, FrameFormat::Line(LineEnding::CrLf), rest)),
        None => Some((line, FrameFormat::Line(LineEnding::Lf), rest)),
    }
}

/// Splits the input at its first LF: what stands before it, and what follows it.
///
/// Lines that follow each other are often of one length, so the LF is first looked for where that
/// makes it `expected`. To see that none precedes it takes half of the instructions that it takes
/// to find it (budget "instructions/message, 16 deep").
#[inline(always)]
fn split_at_feed(input: &[u8], expected: usize) -> Option<(&[u8], &[u8])> {
    if let Some((line, [b'\n', rest @ ..])) = input.split_at_checked(expected)
        && is_without_feed(line)
    {
        return Some((line, rest));
    }
    let at = find(input)?;
    Some((input.get(..at)?, input.get(at + 1..)?))
}

/// Whether there is no LF in a line, if that takes few instructions to say: its first and its last
/// block, which may overlap, are all of it.
#[inline(always)]
fn is_without_feed(line: &[u8]) -> bool {
    match line.len() {
        16..=32 => ends::<16>(line).is_some_and(|ends| !ends.into_iter().any(holds_feed)),
        33..=64 => ends::<32>(line).is_some_and(|ends| !ends.into_iter().any(holds_feed)),
        _ => false,
    }
}

/// The first and the last block.
#[inline(always)]
fn ends<const BLOCK: usize>(line: &[u8]) -> Option<[&[u8; BLOCK]; 2]> {
    Some([line.first_chunk()?, line.last_chunk()?])
}

/// Splits the terminator off; a line without one was ended by the stream.
#[inline]
pub(crate) fn open(frame: &[u8]) -> (&[u8], FrameFormat) {
    let Some(line) = frame.strip_suffix(b"\n") else {
        return (frame, FrameFormat::Line(LineEnding::None));
    };
    match line.strip_suffix(b"\r") {
        Some(message) => (message, FrameFormat::Line(LineEnding::CrLf)),
        None => (line, FrameFormat::Line(LineEnding::Lf)),
    }
}

/// Whether there is an LF in a block. The compiler makes few instructions of it.
#[inline(always)]
fn holds_feed<const BLOCK: usize>(block: &[u8; BLOCK]) -> bool {
    block.iter().fold(false, |found, byte| found | (*byte == b'\n'))
}

/// Where the first LF is.
///
/// On x86-64 the crate's own way in asks the processor what it can do, and calls what it found.
/// That takes longer than to find the end of a short line, so the first bytes are searched here:
/// whole blocks without an LF are passed by, which the compiler makes few instructions of.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn find(input: &[u8]) -> Option<usize> {
    const BLOCK: usize = 32;
    /// So few that it is no slower than the crate.
    const NEAR: usize = 4 * BLOCK;
    let mut passed = 0;
    while passed < NEAR
        && let Some(block) = input[passed..].first_chunk::<BLOCK>()
        && !holds_feed(block)
    {
        passed += BLOCK;
    }
    let rest = &input[passed..];
    let found = match rest.len() {
        _ if passed == NEAR => memchr::memchr(b'\n', rest),
        0 => None,
        length => One::new(b'\n').and_then(|lf| lf.find(&rest[..length.min(BLOCK)])),
    };
    found.map(|at| passed + at)
}

/// Where the first LF is.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn find(input: &[u8]) -> Option<usize> {
    memchr::memchr(b'\n', input)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_where_its_terminator_does() {
        let scanned = |held: &str, input: &str| scan(held.as_bytes().into(), input.as_bytes(), 3);
        assert_eq!(scanned("", "ab\ncd\n"), Ok(FrameStatus::Whole(3)));
        assert_eq!(scanned("", "abc\r\n"), Ok(FrameStatus::Whole(5)));
        assert_eq!(scanned("abc\r", "\n"), Ok(FrameStatus::Whole(1)));
        assert_eq!(scanned("", "abc"), Ok(FrameStatus::Partial));
        assert_eq!(scanned("", "abc\r"), Ok(FrameStatus::Partial));
        assert_eq!(scanned("abc\r", ""), Ok(FrameStatus::Partial));
        assert_eq!(scanned("", ""), Ok(FrameStatus::Partial));
    }

    #[test]
    fn a_line_is_refused_at_one_byte_more_than_the_limit() {
        for (held, input) in
            [("", "abcd\n"), ("", "abcd\r\n"), ("abcd\r", "\n"), ("abc", "\r\r"), ("", "abcd")]
        {
            let refused = scan(held.as_bytes().into(), input.as_bytes(), 3);
            assert_eq!(refused, Err(Refusal::MessageTooLong), "{held:?} {input:?}");
        }
    }

    #[test]
    fn a_line_is_split_off_as_it_is_scanned_and_opened() {
        let cases = [
            "", "\n", "\r\n", "\r\r\n", "a", "ab\ncd\n", "abc\r\nd", "abc\r", "abc\rd\n", "abcd\n",
            "abcd\r\n", "a\rb\n",
        ];
        for input in cases.map(str::as_bytes) {
            let expected = match scan(Taken::default(), input, 3) {
                Ok(FrameStatus::Whole(length)) => {
                    let (message, form) = open(&input[..length]);
                    Some((message, form, &input[length..]))
                }
                Ok(FrameStatus::Partial) | Err(_) => None,
            };
            for mut before in [0, 2, 3, usize::MAX] {
                assert_eq!(split(input, 3, &mut before), expected, "{input:?} {before}");
            }
        }
    }

    #[test]
    fn a_line_ends_at_its_first_feed_wherever_that_is_expected() {
        for (first, second) in (0..=130).flat_map(|first| [0, 1, 33].map(|second| (first, second)))
        {
            let line = |length| std::iter::repeat_n(b'x', length);
            let lines = line(first).chain([b'\n']).chain(line(second)).chain([b'\n', b'y']);
            let input: Vec<u8> = lines.collect();
            let (before, after) = (&input[..first], &input[first + 1..]);
            for expected in 0..=input.len() + 1 {
                assert_eq!(split_at_feed(&input, expected), Some((before, after)), "{expected}");
            }
            assert_eq!(split_at_feed(before, first), None);
        }
    }

    #[test]
    fn a_lone_cr_is_a_byte_of_the_message() {
        assert_eq!(open(b"a\rb\n"), (&b"a\rb"[..], FrameFormat::Line(LineEnding::Lf)));
        assert_eq!(open(b"a\r\r\n"), (&b"a\r"[..], FrameFormat::Line(LineEnding::CrLf)));
        assert_eq!(open(b"a\r"), (&b"a\r"[..], FrameFormat::Line(LineEnding::None)));
        assert_eq!(open(b"\n"), (&b""[..], FrameFormat::Line(LineEnding::Lf)));
    }
}
