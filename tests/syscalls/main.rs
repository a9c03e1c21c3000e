//! The built program under faults of system calls, while honest clients keep account.
//!
//! A library that is loaded before libc stands between the program and the system: `sockets.c` and
//! `files.c`. Which call fails how follows from a seed. Everything that a schedule can show is
//! compared: what was sent and answered, what the program has counted, and what was injected.
//! Programs that are linked statically, and calls that don't go through libc, have no faults.
//!
//! `cargo test -p countersign-cli --test syscalls` plays a few schedules of each verb. To play
//! more, other ones, or one:
//! ```text
//! ci/syscalls 1000
//! COUNTERSIGN_FROM=40 COUNTERSIGN_SCHEDULES=10 cargo test -p countersign-cli --test syscalls
//! COUNTERSIGN_SEED=813 cargo test -p countersign-cli --test syscalls serve -- --nocapture
//! ```
//! `COUNTERSIGN_FAULT_ONLY=read-short,wait-masked` leaves out all other faults.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::panic, reason = "a test may panic")]

mod clients;
mod faults;
mod files;
#[path = "../program/home.rs"]
#[expect(dead_code, reason = "other tests use more of it")]
mod home;
mod load;
#[path = "../common/progress.rs"]
mod progress;
mod proxy;
mod random;
mod schedules;
mod serve;
#[path = "../program/served.rs"]
#[expect(dead_code, reason = "other tests use more of it")]
mod served;
#[path = "../common/skip.rs"]
mod skip;
mod status;
