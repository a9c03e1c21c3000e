//! Two connections by the functions for C, without sockets, as the fuzz target `capi` plays them: the
//! first of its inputs, for those who have no fuzzer, and for Miri (`ci/miri`).
#![expect(clippy::unwrap_used, reason = "the modules of a test fail by panicking, as tests do")]
#![expect(unreachable_pub, reason = "the fuzz targets are in other crates than what they share")]

#[path = "../../fuzz/src/c_ends.rs"]
mod c_ends;
#[expect(dead_code, reason = "other targets use the rest")]
#[path = "../../fuzz/src/choices.rs"]
mod choices;
#[expect(dead_code, reason = "other targets use the rest")]
#[path = "../../fuzz/src/random.rs"]
mod random;

use random::Random;

/// The cases of an ordinary run, of 600 bytes each.
const CASES: u64 = 2_000;

#[test]
fn two_ends_hear_what_the_other_one_said_and_no_call_panics() {
    let cases = std::env::var("ENDS_CASES").map_or(CASES, |text| text.parse().unwrap());
    let talk = |case: u64| c_ends::talk(&Random::new(&case.to_le_bytes()).bytes(600));
    let heard: Vec<_> = (0..cases).map(talk).collect();
    let talking = heard.iter().filter(|messages| **messages > 0).count();
    println!("{talking} of {cases} pairs talked: {} messages", heard.iter().sum::<usize>());
    assert!(talking > heard.len() / 5);
}
