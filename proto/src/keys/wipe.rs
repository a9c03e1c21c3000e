//! Wiping secrets: on the heap when they are dropped, and on the stack after a call. Handling a
//! secret leaves copies of it there, in the frames of functions that have returned, and wherever a
//! value was before it was moved.

use alloc::vec::Vec;
use core::hint::black_box;

use zeroize::{Zeroize as _, Zeroizing};

/// The stack that a call that handles a secret uses. Without an operating system, no files are
/// read, and stacks are small.
const DEPTH: usize = if cfg!(target_os = "none") { 4 << 10 } else { 16 << 10 };

/// Bytes that are wiped when they are dropped.
pub(crate) type Secret = Zeroizing<Vec<u8>>;

/// Calls a function, and wipes what it leaves behind on the stack.
pub fn without_traces<T>(call: impl FnOnce() -> T) -> T {
    let result = called(call);
    wipe();
    result
}

/// In a frame of its own, so that the next call overwrites it.
#[inline(never)]
fn called<T>(call: impl FnOnce() -> T) -> T {
    black_box(call())
}

#[inline(never)]
fn wipe() {
    // Word by word: each is written by itself.
    let mut frame = [0_usize; DEPTH / size_of::<usize>()];
    frame.zeroize();
    black_box(&frame);
}
