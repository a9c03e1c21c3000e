//! The sessions of this library beside those in C, with the cases of `tests/beside_c`: the fuzzer
//! makes the choices there that a random number makes in the test.
#![no_main]

use std::ffi::{CStr, c_char};
use std::slice;

use base16ct::lower::encode_string;
use countersign_fuzz::random;
use libfuzzer_sys::fuzz_target;
use random::Random;
use setup::{Setup, write_list};

#[expect(dead_code, reason = "it also reads what it is sent, for other tests")]
#[path = "../../tests/mutual/forger.rs"]
mod forger;
#[path = "../../tests/beside_c/input.rs"]
mod input;
#[path = "../../tests/beside_c/records.rs"]
mod records;
#[path = "../../tests/beside_c/rust_end.rs"]
mod rust_end;
#[path = "../../tests/beside_c/setup.rs"]
mod setup;

/// What `play.c` returns.
#[repr(C)]
struct Outcome {
    name: *const c_char,
    sent: *const u8,
    sent_length: usize,
    heard: *const u8,
    lengths: *const usize,
    received: usize,
}

unsafe extern "C" {
    fn play_line(line: *mut c_char, outcome: *mut Outcome);
}

/// Plays a line to the end in C: the outcome, what was sent, and the messages.
fn play(mut line: Vec<u8>) -> String {
    line.push(0);
    let mut outcome = std::mem::MaybeUninit::uninit();
    // SAFETY: the line ends with a NUL, and the call fills in the outcome. What that points to is
    // valid until the next call.
    let (name, sent, heard, lengths) = unsafe {
        play_line(line.as_mut_ptr().cast(), outcome.as_mut_ptr());
        let Outcome { name, sent, sent_length, heard, lengths, received } = outcome.assume_init();
        let lengths = slice::from_raw_parts(lengths, received);
        let heard = slice::from_raw_parts(heard, lengths.iter().sum());
        (CStr::from_ptr(name), slice::from_raw_parts(sent, sent_length), heard, lengths)
    };
    let mut at = 0;
    let message = |length: &usize| {
        at += length;
        encode_string(&heard[at - length..at]) + ","
    };
    let messages: String = lengths.iter().map(message).collect();
    format!("{} {} {messages}", name.to_string_lossy(), encode_string(sent))
}

/// No ring has two keys with one secret; zeros at its end make no difference.
fn has_equal_secrets(setup: &Setup) -> bool {
    let mut secrets: Vec<&[u8]> = setup.keys.iter().map(|(_, secret)| &secret[..]).collect();
    for secret in &mut secrets {
        while let [front @ .., 0] = *secret {
            *secret = front;
        }
    }
    secrets.sort();
    secrets.windows(2).any(|pair| pair[0] == pair[1])
}

fuzz_target!(|data: &[u8]| {
    let mut random = Random::new(data);
    let setup = Setup::draw(&mut random);
    if has_equal_secrets(&setup) {
        return;
    }
    let stream = input::draw(&mut random, &setup);
    // A client of countersign/1 in C does not know Python's challenge, but ends all the same.
    if !setup.is_server && !setup.is_raw && stream.get(4..15) == Some(b"#CHALLENGE#") {
        return;
    }
    let mut rest = &stream[..];
    let piece = |length| rest.split_off(..length).unwrap_or_default();
    let pieces: Vec<&[u8]> = input::cut(&mut random, stream.len()).into_iter().map(piece).collect();
    let mut line = Vec::new();
    setup.write(&mut line);
    write_list(pieces.iter().copied(), &mut line);
    line.push(b'\n');
    let here = rust_end::play(&setup, pieces.iter().copied());
    assert_eq!(here, play(line), "{setup:#?} {pieces:x?}");
});
