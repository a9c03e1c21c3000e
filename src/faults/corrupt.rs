//! A flipped bit.

use countersign_proto::FrameFormat;

use crate::faults::part::part_of;

/// The bytes in front of the payload of a record, and of a message behind a length.
const HEADER: usize = 4;

/// Flips one bit of a reply, which may consist of several messages: the one that is so far behind
/// the front, from 0 to 1. Bits that delimit messages are left as they are, so that the peer is
/// sent as many messages as without the fault. Returns whether there was such a bit.
pub(crate) fn flip(reply: &mut [u8], form: FrameFormat, part: f64) -> bool {
    let bodies = bodies(reply, form);
    let bits: usize = bodies.iter().map(|(start, end)| 8 * (end - start)).sum();
    if bits == 0 {
        return false;
    }
    let place = part_of(bits, part);
    // The next bit if this one would make a line end, and the first behind the last.
    for number in (place..bits).chain(0..place) {
        let (byte, bit) = located(&bodies, number);
        let flipped = reply[byte] ^ (1 << bit);
        if !matches!((form, flipped), (FrameFormat::Line(_), b'\n' | b'\r')) {
            reply[byte] = flipped;
            return true;
        }
    }
    false
}

/// Where the bytes of messages are: behind their headers, or in front of their line ends.
fn bodies(reply: &[u8], form: FrameFormat) -> Vec<(usize, usize)> {
    let mut bodies = Vec::new();
    let mut start = 0;
    while start < reply.len() {
        let (body, end, next) = match form {
            FrameFormat::Length | FrameFormat::Record => {
                let Some(header) = reply[start..].first_chunk::<HEADER>() else { break };
                let mask = if form == FrameFormat::Record { 0xff_ff_ff } else { u32::MAX };
                let length = usize::try_from(u32::from_be_bytes(*header) & mask);
                let body = start + HEADER;
                let end = body.saturating_add(length.unwrap_or_default()).min(reply.len());
                (body, end, end)
            }
            FrameFormat::Line(_) => {
                let line = reply[start..].iter().position(|byte| *byte == b'\n');
                let next = line.map_or(reply.len(), |line| start + line + 1);
                let line = &reply[start..next];
                let body = line.strip_suffix(b"\n").unwrap_or(line);
                let body = body.strip_suffix(b"\r").unwrap_or(body);
                (start, start + body.len(), next)
            }
            _ => (start, reply.len(), reply.len()),
        };
        bodies.push((body, end));
        start = next;
    }
    bodies
}

/// The byte and the bit with this number.
fn located(bodies: &[(usize, usize)], number: usize) -> (usize, usize) {
    let mut left = number / 8;
    for (start, end) in bodies {
        if left < end - start {
            return (start + left, number % 8);
        }
        left -= end - start;
    }
    (0, 0)
}

#[cfg(test)]
mod tests {
    use countersign_proto::LineEnding;

    use super::*;

    #[test]
    fn one_bit_is_flipped_and_none_that_delimits_messages() {
        let lines: &[u8] = b"J\n\r\nJK\r\n";
        let record = |body: &[u8]| [&[0x10, 0, 0, 18][..], body, &[7; 16]].concat();
        let (one, two) = (record(b"ab"), record(b"cd"));
        let cases = [
            (FrameFormat::Line(LineEnding::Lf), lines.to_vec()),
            (FrameFormat::Length, b"\0\0\0\x02ab\0\0\0\0\0\0\0\x01c".to_vec()),
            (FrameFormat::Record, [one, two].concat()),
            (FrameFormat::Chunk, b"chunk".to_vec()),
        ];
        for (form, reply) in cases {
            for step in 0..1000 {
                let mut flipped = reply.clone();
                assert!(flip(&mut flipped, form, f64::from(step) / 1000.0));
                let differs = reply.iter().zip(&flipped).map(|(a, b)| (a ^ b).count_ones());
                assert_eq!(differs.sum::<u32>(), 1, "{form:?}");
                assert_eq!(bodies(&reply, form), bodies(&flipped, form), "{form:?}");
            }
        }
        for (form, empty) in
            [(FrameFormat::Line(LineEnding::CrLf), &b"\r\n\r\n"[..]), (FrameFormat::Chunk, b"")]
        {
            assert!(!flip(&mut empty.to_vec(), form, 0.5), "{form:?}");
        }
    }
}
