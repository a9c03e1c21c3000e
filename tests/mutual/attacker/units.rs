//! What is on the network, in the units and fields that the protocol's page has.

use std::iter;
use std::ops::Range;

use crate::attacker::random::Random;

/// The bytes before a client's hello, of a nonce, of a header, and of a proof.
const MAGIC: usize = 8;
const NONCE: usize = 32;
const HEADER: usize = 4;
const PROOF: usize = 32;

/// And of a tag.
const TAG: usize = 16;

const HELLO: u8 = 1;
pub(crate) const SERVER_HELLO: u8 = 2;
const CONFIRM: u8 = 3;

/// The bytes of a client's proof with its header.
pub(crate) const CONFIRM_LENGTH: usize = HEADER + PROOF;

/// The first type of what has a tag.
const RECORDS: u8 = 4;

/// The types of all frames.
const KINDS: [u8; 10] = [1, 2, 3, 4, 5, 0x10, 0x11, 0x12, 0x13, 0x14];

/// The fields of fixed length of a client's hello: versions, flags, record_max, nonce, instance.
const HELLO_FIELDS: [usize; 6] = [1, 1, 2, 4, 32, 16];

/// And of a server's: version, status, flags, longest record, instance.
const SERVER_HELLO_FIELDS: [usize; 5] = [1, 1, 2, 4, 16];

/// One part of what an end sends: a nonce, or a frame, a client's first one with the magic.
pub(crate) type Unit = Vec<u8>;

/// Takes the output of an end apart. A server's first unit is its nonce.
pub(crate) fn split(mut output: &[u8], mut has_nonce: bool) -> Vec<Unit> {
    let mut units = Vec::new();
    while !output.is_empty() {
        let length = match (has_nonce, header(output)) {
            (true, _) => NONCE,
            (false, Some(at)) => at + HEADER + length(output, at),
            (false, None) => output.len(),
        };
        let (unit, rest) = output.split_at(length.min(output.len()));
        units.push(unit.to_vec());
        (output, has_nonce) = (rest, false);
    }
    units
}

/// Where the header of a frame is.
fn header(unit: &[u8]) -> Option<usize> {
    let at = if unit.starts_with(b"\x9ecsgn/1\n") { MAGIC } else { 0 };
    (unit.len() >= at + HEADER && unit.len() != NONCE).then_some(at)
}

fn length(unit: &[u8], at: usize) -> usize {
    u32::from_be_bytes([0, unit[at + 1], unit[at + 2], unit[at + 3]]) as usize
}

/// The client's hello, and what follows.
pub(crate) fn split_call(sent: &[u8]) -> (&[u8], &[u8]) {
    let end = header(sent).map_or(0, |at| at + HEADER + length(sent, at));
    sent.split_at(end.min(sent.len()))
}

/// The server's nonce with its hello, and what follows.
pub(crate) fn split_answer(sent: &[u8]) -> (&[u8], &[u8]) {
    let end = if sent.len() < NONCE + HEADER { 0 } else { NONCE + HEADER + length(sent, NONCE) };
    sent.split_at(end.min(sent.len()))
}

/// The fields of a unit.
fn fields(unit: &[u8]) -> Vec<Range<usize>> {
    // A nonce is one field.
    let Some(at) = header(unit) else { return iter::once(0..unit.len()).collect() };
    let body = at + HEADER;
    let names = body + HELLO_FIELDS.iter().sum::<usize>();
    let mut lengths = match unit[at] {
        HELLO if unit.len() > names => HELLO_FIELDS.to_vec(),
        SERVER_HELLO => SERVER_HELLO_FIELDS.to_vec(),
        // The payload, and the tag behind it.
        RECORDS.. => Vec::from([unit.len().saturating_sub(body + TAG)]),
        _ => Vec::new(),
    };
    if lengths.len() == HELLO_FIELDS.len() {
        // The key's id and the audience, with their lengths; the rest is extensions.
        let id = 1 + usize::from(unit[names]);
        lengths.push(id);
        lengths.extend(unit.get(names + id).map(|length| 1 + usize::from(*length)));
    }
    let ends = lengths.iter().scan(body, |place, length| {
        *place = (*place + length).min(unit.len());
        Some(*place)
    });
    let ends: Vec<usize> = ends.chain([unit.len()]).collect();
    [body].iter().chain(&ends).zip(&ends).map(|(start, end)| *start..*end).collect()
}

/// Whether both are of one type.
pub(crate) fn are_alike(unit: &[u8], other: &[u8]) -> bool {
    let kind = |unit: &[u8]| header(unit).map(|at| unit[at]);
    kind(unit) == kind(other)
}

/// This unit with a field of another of its type: what an attacker makes of two sessions.
pub(crate) fn splice(unit: &[u8], other: &[u8], random: &mut Random) -> Unit {
    let (ours, theirs) = (fields(unit), fields(other));
    if ours.len() != theirs.len() {
        return unit.to_vec();
    }
    let number = random.between(0, ours.len() - 1);
    let field = &other[theirs[number].clone()];
    let spliced = [&unit[..ours[number].start], field, &unit[ours[number].end..]].concat();
    with_length(spliced)
}

/// With the length in its header that it has.
fn with_length(mut unit: Unit) -> Unit {
    if let Some(at) = header(&unit) {
        let length = u32::try_from(unit.len() - at - HEADER).unwrap().to_be_bytes();
        unit[at + 1..at + HEADER].copy_from_slice(&length[1..]);
    }
    unit
}

/// This unit as one of another type.
pub(crate) fn retype(unit: &[u8], random: &mut Random) -> Unit {
    let mut unit = unit.to_vec();
    if let Some(at) = header(&unit) {
        unit[at] = random.pick(&KINDS);
    }
    unit
}

/// This unit with one bit flipped.
pub(crate) fn flip(unit: &[u8], random: &mut Random) -> Unit {
    let mut unit = unit.to_vec();
    if let Some(last) = unit.len().checked_sub(1) {
        unit[random.between(0, last)] ^= 1 << random.between(0, 7);
    }
    unit
}

/// A client's proof made of the last bytes of another unit, such as a server's proof.
pub(crate) fn confirm(other: &[u8]) -> Unit {
    let mut proof = [0; PROOF];
    let length = other.len().min(PROOF);
    proof[PROOF - length..].copy_from_slice(&other[other.len() - length..]);
    crate::forger::frame(CONFIRM, &proof)
}
