//! Records between two honest ends, with an attacker on the path: who receives gets what was sent,
//! in its order, or an error; and what is sent keeps to the limits and can be read by a forger who
//! holds the key.
#![no_main]

use countersign_fuzz::{Choices, Pair};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut input = Choices(data);
    let Some(mut pair) = Pair::open(&mut input) else { return };
    for _ in 0..32 {
        if input.is_empty() {
            break;
        }
        match input.below(8) {
            0..3 => pair.send(&mut input),
            3 => pair.finish(input.below(2)),
            4 => pair.attack(&mut input),
            5 => pair.deliver(input.below(2), input.byte()),
            _ => pair.ping(&mut input),
        }
    }
    pair.end();
});
