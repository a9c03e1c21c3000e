//! Lines: a message ends with LF or CRLF.
//!
//! A lone CR is a byte like any other. The terminator does not count towards the limit.

use crate::proto::framing::{Ending, Form};
use crate::proto::held::Extent;
use crate::proto::refusal::Refusal;

/// The longest terminator.
pub(crate) const ENDING_MAX: usize = 2;

/// Looks for the LF in the new bytes alone: what is held was searched before.
#[inline]
pub(crate) fn scan(held: &[u8], input: &[u8], max: usize) -> Result<Extent, Refusal> {
    let (line, extent) = match memchr::memchr(b'\n', input) {
        Some(at) => (&input[..at], Extent::Whole(at + 1)),
        None => (input, Extent::Partial),
    };
    if held.len() + line.len() <= max || is_longest(held, line, max) {
        Ok(extent)
    } else {
        Err(Refusal::MessageTooLong)
    }
}

/// The one byte over the limit is the CR of a CRLF, or may be.
#[cold]
fn is_longest(held: &[u8], line: &[u8], max: usize) -> bool {
    held.len() + line.len() == max + 1 && line.last().or(held.last()) == Some(&b'\r')
}

/// Splits the terminator off; a line without one was ended by the stream.
#[inline]
pub(crate) fn open(unit: &[u8]) -> (&[u8], Form) {
    match unit {
        [message @ .., b'\r', b'\n'] => (message, Form::Line(Ending::CrLf)),
        [message @ .., b'\n'] => (message, Form::Line(Ending::Lf)),
        message => (message, Form::Line(Ending::None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_where_its_terminator_does() {
        let scanned = |held: &str, input: &str| scan(held.as_bytes(), input.as_bytes(), 3);
        assert_eq!(scanned("", "ab\ncd\n"), Ok(Extent::Whole(3)));
        assert_eq!(scanned("", "abc\r\n"), Ok(Extent::Whole(5)));
        assert_eq!(scanned("abc\r", "\n"), Ok(Extent::Whole(1)));
        assert_eq!(scanned("", "abc"), Ok(Extent::Partial));
        assert_eq!(scanned("", "abc\r"), Ok(Extent::Partial));
        assert_eq!(scanned("abc\r", ""), Ok(Extent::Partial));
        assert_eq!(scanned("", ""), Ok(Extent::Partial));
    }

    #[test]
    fn a_line_is_refused_at_one_byte_more_than_the_limit() {
        for (held, input) in
            [("", "abcd\n"), ("", "abcd\r\n"), ("abcd\r", "\n"), ("abc", "\r\r"), ("", "abcd")]
        {
            let refused = scan(held.as_bytes(), input.as_bytes(), 3);
            assert_eq!(refused, Err(Refusal::MessageTooLong), "{held:?} {input:?}");
        }
    }

    #[test]
    fn a_lone_cr_is_a_byte_of_the_message() {
        assert_eq!(open(b"a\rb\n"), (&b"a\rb"[..], Form::Line(Ending::Lf)));
        assert_eq!(open(b"a\r\r\n"), (&b"a\r"[..], Form::Line(Ending::CrLf)));
        assert_eq!(open(b"a\r"), (&b"a\r"[..], Form::Line(Ending::None)));
        assert_eq!(open(b"\n"), (&b""[..], Form::Line(Ending::Lf)));
    }
}
