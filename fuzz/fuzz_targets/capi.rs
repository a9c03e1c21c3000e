//! The functions for C: two connections that talk while somebody on the path changes what they say.
#![no_main]

use countersign_fuzz::talk;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    talk(data);
});
