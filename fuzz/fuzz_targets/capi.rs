//! The functions for C: two connections that talk while somebody on the path changes what they say.
//! No call panics, and what nobody has changed arrives as it was sent.
#![no_main]

use countersign_fuzz::{CEnd, Choices};
use libfuzzer_sys::fuzz_target;

/// The rounds in which a handshake is made, and all of them.
const HANDSHAKE: usize = 8;
const ROUNDS: usize = 40;

fuzz_target!(|data: &[u8]| {
    let mut input = Choices(data);
    let dialect = input.pick(&[c"countersign/1", c"raw", c"hex", c"multiprocessing", c"open"]);
    // Both have the same options.
    let mut options = input;
    let client = CEnd::new(false, dialect, &mut options);
    let mut ends = [client, CEnd::new(true, dialect, &mut input)];
    ends.iter_mut().for_each(|end| end.receive(&[]));
    let mut is_intact = true;
    for round in 0..ROUNDS {
        let from = if round < HANDSHAKE { round % 2 } else { input.below(2) };
        match input.below(16) {
            0..8 if round >= HANDSHAKE => {
                let length = input.below(64);
                ends[from].send(input.bytes(length));
            }
            8 => ends[from].finish(),
            _ => {}
        }
        let mut output = ends[from].output();
        if input.below(64) == 1 && !output.is_empty() {
            let at = usize::from(input.byte()) % output.len();
            output[at] ^= 1 << input.below(8);
            is_intact = false;
        }
        ends[1 - from].receive(&output);
    }
    for from in [0, 1] {
        let (sent, received) = (&ends[from].sent, &ends[1 - from].received);
        assert!(!is_intact || sent.starts_with(received), "{received:?} instead of {sent:?}");
    }
});
