//! Records with right tags, whatever is in them.

use crate::forger::{BATCH, CLOSE, DATA, Direction, PING, PONG, batch};
use crate::random::Random;

/// A few records, of which each end accepts up to this length.
pub(crate) fn draw(random: &mut Random, direction: &mut Direction, most: usize) -> Vec<u8> {
    let count = random.below(8);
    let mut records: Vec<u8> = (0..count).flat_map(|_| record(random, direction, most)).collect();
    if random.percent(25) {
        records.extend(direction.record(CLOSE, &[]));
    }
    records
}

fn record(random: &mut Random, direction: &mut Direction, most: usize) -> Vec<u8> {
    if random.percent(1) {
        direction.next += 1;
    }
    let size = match random.below(30) {
        0 => 1008 + random.below(3),
        1 if most < 4096 => most - 16,
        2 if most < 4096 => most - 15,
        _ => random.below(70),
    };
    match random.below(100) {
        0..45 => direction.record(DATA, &random.bytes(size)),
        45..75 => direction.record(BATCH, &messages(random)),
        75..88 => {
            let size = if random.percent(10) { 124 + random.below(3) } else { random.below(20) };
            direction.record(random.pick(&[PING, PING, PONG]), &random.bytes(size))
        }
        88..98 => {
            let size = usize::from(random.percent(5));
            direction.record(CLOSE, &random.bytes(size))
        }
        _ => {
            let kind = random.byte();
            direction.record(kind, &random.bytes(size))
        }
    }
}

/// The payload of a batch, rarely a malformed one.
fn messages(random: &mut Random) -> Vec<u8> {
    let count = 1 + random.below(5);
    let message = |_| {
        let length = random.pick(&[0, 1, 3, 20, 64]);
        random.bytes(length)
    };
    let mut payload = batch(&(0..count).map(message).collect::<Vec<_>>());
    match random.below(30) {
        0 => payload.clear(),
        1 => payload.push(random.byte()),
        2 => drop(payload.pop()),
        3 => payload[random.below(3)] ^= 1 << random.below(8),
        _ => {}
    }
    payload
}
