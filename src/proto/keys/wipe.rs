//! Secrets that were handled leave copies on the stack, where nobody wipes them: in the frames of
//! functions that are over, and wherever a value was before it was handed on.

use std::hint::black_box;

use zeroize::Zeroize as _;

/// As deep as a call that handles a secret goes.
const DEPTH: usize = 16 << 10;

/// Calls a function, and wipes what it leaves behind on the stack.
pub(crate) fn without_traces<T>(call: impl FnOnce() -> T) -> T {
    let result = called(call);
    wipe();
    result
}

/// In a frame of its own, so that the next call's lies over it.
#[inline(never)]
fn called<T>(call: impl FnOnce() -> T) -> T {
    black_box(call())
}

#[inline(never)]
fn wipe() {
    let mut frame = [0_u8; DEPTH];
    frame.zeroize();
    black_box(&frame);
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::FileExt as _;

    use memchr::memmem;

    use crate::proto::keys::KeyRing;
    use crate::proto::keys::key::Key;

    /// Secrets, and what would be left of one: as long as a half, for frames overlap.
    const PASSPHRASE: &[u8] = b"correct-horse-battery-staple";
    const STRETCHED: [u8; 16] = 0xc54c_117e_0263_0446_7901_9cdc_bc3c_5de9_u128.to_be_bytes();

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

    fn has(stack: &[u8], secret: &[u8]) -> bool {
        memmem::find(stack, secret).is_some()
    }

    #[test]
    fn a_secret_leaves_no_trace_on_the_stack() {
        for encoding in [&b"passphrase"[..], b"text"] {
            let text = [b"garden ", encoding, b":", PASSPHRASE].concat();
            let (stack, ring) = left_by(|| KeyRing::parse(&text).unwrap());
            let key = ring.key("garden").unwrap();
            for trace in [PASSPHRASE, &STRETCHED, key.prk()] {
                assert!(!has(&stack, trace), "{}", trace.escape_ascii());
            }
        }
        let (stack, _) = left_by(|| Key::new("garden", PASSPHRASE).map(drop));
        assert!(!has(&stack, PASSPHRASE));
    }
}
