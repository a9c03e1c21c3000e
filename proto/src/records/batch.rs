//! Batches: several messages in one record, each behind a length of three bytes.
//!
//! A tag for each short message costs more than everything else in it, so messages that are sent
//! together share one. A receiver treats them as if each had arrived alone.

/// The bytes of a length.
pub(crate) const LENGTH: usize = 3;

/// Splits a message off the front of a batch's payload: its bytes, and what follows it.
#[inline(always)]
pub(crate) fn split(payload: &[u8]) -> Option<(&[u8], &[u8])> {
    let ([a, b, c], rest) = payload.split_first_chunk::<LENGTH>()?;
    let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
    rest.split_at_checked(length)
}

/// Whether this is one message or more, and nothing else.
pub(crate) fn is_well_formed(mut payload: &[u8]) -> bool {
    while let Some((_, rest)) = split(payload) {
        if rest.is_empty() {
            return true;
        }
        payload = rest;
    }
    false
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
}
