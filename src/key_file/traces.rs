//! Secrets that were read leave no trace on the stack.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;

use countersign_proto::{Key, KeyRing};
use memchr::memmem;

use crate::key_file::KeyRingExt as _;

/// A secret, and what would be left of it: as long as a half, for frames overlap.
const PASSPHRASE: &[u8] = b"correct-horse-battery-staple";
const STRETCHED: [u8; 16] = 0xc54c_117e_0263_0446_7901_9cdc_bc3c_5de9_u128.to_be_bytes();
/// What HKDF extracts from the two: `hmac.digest(b"countersign/1 psk", secret, "sha256")[:16]`.
const EXTRACTED: [[u8; 16]; 2] = [
    0x9a6d_3411_c9f0_589b_bd6f_31f9_b6a7_207e_u128.to_be_bytes(),
    0x13a0_f773_404d_7261_4ef1_ec71_6434_9a46_u128.to_be_bytes(),
];

/// What calls that are over have left on the stack of this thread.
#[inline(never)]
fn left_by<T>(call: impl FnOnce() -> T) -> (Vec<u8>, T) {
    let here = 0_u8;
    let end = std::ptr::from_ref(&here).addr();
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let begins = maps.lines().map(|line| {
        let bounds = line.split([' ', '-']).map(|part| usize::from_str_radix(part, 16));
        let [begin, last] = [0, 1].map(|at| bounds.clone().nth(at).unwrap().unwrap());
        (begin..last).contains(&end).then_some(begin)
    });
    let begin = begins.flatten().next().unwrap().max(end - (256 << 10));
    let memory = File::open("/proc/self/mem").unwrap();
    let mut stack = vec![0; end - begin];
    // From here on, whatever else is called lies over what is looked for.
    let result = call();
    memory.read_exact_at(&mut stack, begin as u64).unwrap();
    (stack, result)
}

fn check(stack: &[u8], traces: &[&[u8]]) {
    for trace in traces {
        assert!(memmem::find(stack, trace).is_none(), "{}", trace.escape_ascii());
    }
}

#[test]
fn a_secret_leaves_no_trace_on_the_stack() {
    for encoding in [&b"passphrase"[..], b"text"] {
        let text = [b"garden ", encoding, b":", PASSPHRASE].concat();
        let (stack, _ring) = left_by(|| KeyRing::parse(&text).unwrap());
        check(&stack, &[PASSPHRASE, &STRETCHED, &EXTRACTED[0], &EXTRACTED[1]]);
    }
    for make in [Key::new, Key::from_passphrase] {
        let (stack, _key) = left_by(|| make("garden", PASSPHRASE).unwrap());
        // What is extracted lies in the key itself.
        check(&stack, &[PASSPHRASE, &STRETCHED]);
    }
}
