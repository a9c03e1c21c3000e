//! Faults on purpose: `ci/sanitizers` and `ci/miri` run each of them alone, and fail if it is not
//! reported.

use std::cell::UnsafeCell;
use std::hint::black_box;
use std::sync::Barrier;
use std::thread;

#[test]
#[ignore = "leaks, so that ci/sanitizers can show that a leak is reported"]
fn a_leak() {
    std::mem::forget(black_box(vec![1_u8; 64]));
}

#[test]
#[ignore = "reads past the end, so that ci/sanitizers can show that this is reported"]
fn a_read_past_the_end() {
    let bytes = black_box(vec![1_u8; 16]);
    // SAFETY: none, on purpose: the byte is behind the last one.
    black_box(unsafe { bytes.as_ptr().add(black_box(16)).read() });
}

#[test]
#[ignore = "reads freed memory, so that ci/sanitizers can show that this is reported"]
fn a_read_of_freed_memory() {
    let bytes = black_box(vec![1_u8; 16]);
    let first = bytes.as_ptr();
    drop(bytes);
    // SAFETY: none, on purpose: nothing is there any more.
    black_box(unsafe { first.read() });
}

/// A number that two threads change at the same time.
struct Shared(UnsafeCell<u32>);

// SAFETY: none, on purpose: nothing keeps the threads apart.
unsafe impl Sync for Shared {}

#[test]
#[ignore = "is a data race, so that ci/sanitizers can show that this is reported"]
fn a_race() {
    let shared = Shared(UnsafeCell::new(0));
    // A thread that is over before the other one begins would not race with it.
    let both = Barrier::new(2);
    let count = |shared: &Shared| {
        both.wait();
        // SAFETY: none, on purpose: the other thread does the same.
        unsafe { *black_box(shared.0.get()) += 1 };
    };
    thread::scope(|scope| {
        scope.spawn(|| count(&shared));
        count(&shared);
    });
}
