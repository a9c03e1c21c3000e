//! Batches: several messages in one record, each behind a length of three bytes.
//!
//! A tag for each short message costs more than everything else in it, so messages that are sent
//! together share one. A receiver treats them as if each had arrived alone.

use crate::handshake::countersign::frame::{HEADER, Header, read_length};

/// The type of a record with a message.
pub(crate) const DATA: u8 = 0x10;

/// The type of a batch.
pub(crate) const BATCH: u8 = 0x14;

/// The bytes of a tag.
pub(crate) const TAG: usize = 16;

/// The bytes of a record beside its payload.
pub(crate) const FRAME: usize = HEADER + TAG;

/// The longest batch that we send, as the length of a record. A receiver needs all of it before it
/// can hand on the first message.
const BATCH_MAX: usize = 16 << 10;

/// The bytes of a length.
pub(crate) const LENGTH: usize = 3;

/// Splits a message off the front of a batch's payload: its bytes, and what follows it.
#[inline(always)]
pub(crate) fn split(payload: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = payload.split_first_chunk()?;
    rest.split_at_checked(read_length(*length))
}

/// The bytes of the message at the front of a batch's payload, with its length, if that is there.
#[inline]
pub(crate) fn first(payload: &[u8]) -> usize {
    payload.first_chunk().map_or(0, |length| LENGTH + read_length(*length))
}

/// Whether this payload consists of one or more messages, and nothing else.
pub(crate) fn is_well_formed(mut payload: &[u8]) -> bool {
    while let Some((_, rest)) = split(payload) {
        if rest.is_empty() {
            return true;
        }
        payload = rest;
    }
    false
}

/// Packs the messages from `read` on into one batch, which begins at `ready`, at most at `read`: as
/// many as the peer accepts in one record, if those are two or more. Each was framed as a record
/// of its own, with room for a tag, which is more than its length in a batch needs.
///
/// Returns where the next frame begins, and where the batch ends.
#[inline]
pub(crate) fn pack(
    out: &mut [u8],
    read: usize,
    ready: usize,
    record_max: usize,
) -> Option<(usize, usize)> {
    let max = record_max.min(BATCH_MAX);
    let end = next(out, read)? + read;
    // A single message stays a data record.
    if LENGTH + (end - read - FRAME) + LENGTH + next(out, end)? - FRAME + TAG > max {
        return None;
    }
    let (start, mut read, mut ready) = (ready, read, ready + HEADER);
    while let Some(frame) = next(out, read) {
        let length = frame - FRAME;
        if ready - start - HEADER + LENGTH + length + TAG > max {
            break;
        }
        // The message first: that of the first one begins where its length will be.
        out.copy_within(read + HEADER..read + HEADER + length, ready + LENGTH);
        let [.., a, b, c] = length.to_be_bytes();
        out[ready..][..LENGTH].copy_from_slice(&[a, b, c]);
        (read, ready) = (read + frame, ready + LENGTH + length);
    }
    ready += TAG;
    let header = Header { kind: BATCH, length: ready - start - HEADER };
    out[start..][..HEADER].copy_from_slice(&header.bytes());
    Some((read, ready))
}

/// The length of the frame at this place, if it is that of a message.
#[inline]
fn next(out: &[u8], place: usize) -> Option<usize> {
    let header = Header::at(out, place).filter(|header| header.kind == DATA)?;
    Some(HEADER + header.length)
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn a_batch_is_messages_and_nothing_else() {
        type Messages<'a> = Option<&'a [&'a [u8]]>;
        let cases: [(&[u8], Messages<'_>); 10] = [
            (b"\0\0\x01a\0\0\0\0\0\x02bc", Some(&[b"a", b"", b"bc"])),
            (b"\0\0\0", Some(&[b""])),
            (b"\0\0\x03\0\0\0", Some(&[b"\0\0\0"])),
            (b"", None),
            (b"\0", None),
            (b"\0\0", None),
            (b"\0\0\x01", None),
            (b"\0\0\x02a", None),
            (b"\0\0\x01a\0\0", None),
            (b"\0\0\x01a\xff\xff\xffb", None),
        ];
        for (payload, expected) in cases {
            assert_eq!(is_well_formed(payload), expected.is_some(), "{payload:?}");
            let (mut rest, mut messages) = (payload, Vec::new());
            while let Some((message, behind)) = split(rest) {
                messages.push(message);
                rest = behind;
            }
            if let Some(expected) = expected {
                assert_eq!((messages.as_slice(), rest), (expected, &b""[..]));
            }
        }
    }

    #[test]
    fn the_message_at_the_front_is_as_long_as_its_length_says() {
        let cases: [(&[u8], usize); 5] = [
            (b"", 0),
            (b"\0\0", 0),
            (b"\0\0\0", 3),
            (b"\0\x01\x02abc", 261),
            (b"\x01\0\0", 65_539),
        ];
        for (payload, expected) in cases {
            assert_eq!(first(payload), expected, "{payload:?}");
        }
    }

    /// Frames of these messages, each with its room for a tag.
    fn frames(messages: &[&[u8]]) -> Vec<u8> {
        let frame = |message: &&[u8]| {
            let header = Header { kind: DATA, length: message.len() + TAG };
            [&header.bytes(), *message, &[0xee; TAG]].concat()
        };
        messages.iter().flat_map(frame).collect()
    }

    #[test]
    fn messages_that_follow_each_other_are_packed() {
        let mut out = [b"front", &frames(&[b"a", b"", b"bc"])[..], b"\x12\0\0\x10"].concat();
        let end = out.len() - HEADER;
        assert_eq!(pack(&mut out, 5, 5, 1024), Some((end, 5 + HEADER + 12 + TAG)));
        assert_eq!(out[..21], *b"front\x14\0\0\x1c\0\0\x01a\0\0\0\0\0\x02bc");
        // Behind what an earlier batch has become.
        let mut out = [&b"ready and a gap"[..], &frames(&[b"one", b"two"])].concat();
        let end = out.len();
        assert_eq!(pack(&mut out, 15, 5, 1024), Some((end, 5 + HEADER + 12 + TAG)));
        assert_eq!(out[..21], *b"ready\x14\0\0\x1c\0\0\x03one\0\0\x03two");
    }

    #[test]
    fn a_message_is_packed_as_far_as_a_record_goes() {
        let [a, b, c] = [[b'a'; 500], [b'b'; 500], [b'c'; 500]];
        let whole = frames(&[&a, &b, &c]);
        let frame = FRAME + 500;
        for (max, packed) in [(1021, 0), (1022, 2), (1524, 2), (1525, 3), (usize::MAX, 3)] {
            let expected = (packed > 0).then(|| (packed * frame, FRAME + packed * 503));
            assert_eq!(pack(&mut whole.clone(), 0, 0, max), expected, "{max}");
        }
        // More than a receiver should have to wait for.
        let mut many = frames(&vec![&[b'x'; 100][..]; 300]);
        let most = (BATCH_MAX - TAG) / 103;
        let expected = Some((most * (FRAME + 100), FRAME + most * 103));
        assert_eq!(pack(&mut many, 0, 0, usize::MAX), expected);
        let mut long = frames(&[&[b'x'; BATCH_MAX], b"short"]);
        assert_eq!(pack(&mut long, 0, 0, usize::MAX), None);
        for alone in [&[&b"one"[..]][..], &[]] {
            assert_eq!(pack(&mut frames(alone), 0, 0, 1024), None);
        }
        let mut ping = [&frames(&[b"one"])[..], b"\x11\0\0\x10", &[0; TAG]].concat();
        assert_eq!(pack(&mut ping, 0, 0, 1024), None);
    }
}
