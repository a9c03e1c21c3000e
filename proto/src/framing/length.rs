//! Length frames: a signed 32-bit big-endian length, followed by that many bytes.
//!
//! The form is that of Python's `multiprocessing.connection`: a length of -1 says that an unsigned
//! 64-bit length follows, which is taken for any message within the limit. Every other negative
//! length is refused. Nothing is allocated for what a length merely claims.

use crate::partial_frame::{FrameStatus, Taken, head};
use crate::refusal::Refusal;

/// The longer of the two headers.
pub(crate) const HEADER_MAX: usize = 12;

/// The shorter one.
pub(crate) const HEADER: usize = 4;

/// What stands in the short header where the long one is meant.
const LONG: [u8; HEADER] = [0xff; HEADER];

pub(crate) fn scan(taken: Taken<'_>, input: &[u8], max: usize) -> Result<FrameStatus, Refusal> {
    let Some(short) = head::<HEADER>(taken, input) else { return Ok(FrameStatus::Partial) };
    let (header, length) = if short == LONG {
        let Some(long) = head::<HEADER_MAX>(taken, input) else { return Ok(FrameStatus::Partial) };
        let [.., a, b, c, d, e, f, g, h] = long;
        let length = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        (HEADER_MAX, usize::try_from(length).map_err(|_| Refusal::MessageTooLong)?)
    } else {
        let length = i32::from_be_bytes(short);
        (HEADER, usize::try_from(length).map_err(|_| Refusal::BadLength)?)
    };
    if length > max {
        return Err(Refusal::MessageTooLong);
    }
    Ok(FrameStatus::of(header + length - taken.length, input))
}

/// The message in a whole frame.
pub(crate) fn open(frame: &[u8]) -> &[u8] {
    let header = if frame.starts_with(&LONG) { HEADER_MAX } else { HEADER };
    &frame[header..]
}

/// Fills in the header of a frame.
pub(crate) fn end(frame: &mut [u8]) {
    let length = u32::try_from(frame.len() - HEADER).unwrap_or(u32::MAX);
    debug_assert!(i32::try_from(length).is_ok(), "limits are capped far below 2 GiB");
    frame[..HEADER].copy_from_slice(&length.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn long(length: u64) -> Vec<u8> {
        [&LONG[..], &length.to_be_bytes()].concat()
    }

    #[test]
    fn a_frame_reaches_as_far_as_its_length_says() {
        type Case<'a> = (&'a [u8], &'a [u8], Result<FrameStatus, Refusal>);
        let cases: [Case<'_>; 9] = [
            (b"", b"\0\0\0\x02ab", Ok(FrameStatus::Whole(6))),
            (b"", b"\0\0\0\0rest", Ok(FrameStatus::Whole(4))),
            (b"\0\0", b"\0\x02abc", Ok(FrameStatus::Whole(4))),
            (b"\0\0\0\x02a", b"b", Ok(FrameStatus::Whole(1))),
            (b"", b"\0\0\0", Ok(FrameStatus::Partial)),
            (b"", b"\0\0\0\x02a", Ok(FrameStatus::Partial)),
            (b"", b"\0\0\0\x05", Err(Refusal::MessageTooLong)),
            (b"", b"\xff\xff\xff\xfe", Err(Refusal::BadLength)),
            (b"", b"\x80\0\0\0", Err(Refusal::BadLength)),
        ];
        for (held, input, expected) in cases {
            assert_eq!(scan(held.into(), input, 4), expected, "{held:?} {input:?}");
        }
    }

    #[test]
    fn the_long_form_is_taken_within_the_limit() {
        let frame = [long(3), b"abc".to_vec()].concat();
        for cut in 0..=frame.len() {
            let (held, input) = frame.split_at(cut);
            assert_eq!(
                scan(held.into(), input, 4),
                Ok(FrameStatus::Whole(frame.len() - cut)),
                "cut at {cut}"
            );
        }
        assert_eq!(open(&frame), b"abc");
        assert_eq!(scan(Taken::default(), &long(5), 4), Err(Refusal::MessageTooLong));
        assert_eq!(scan(Taken::default(), &long(u64::MAX), 4), Err(Refusal::MessageTooLong));
        assert_eq!(scan(Taken::default(), &LONG, 4), Ok(FrameStatus::Partial));
    }

    #[test]
    fn a_header_is_filled_in_at_the_end() {
        let mut frame = *b"....abc";
        end(&mut frame);
        assert_eq!(&frame, b"\0\0\0\x03abc");
        assert_eq!(open(&frame), b"abc");
    }
}
