//! The library from outside: a server, real sockets on the loopback, and peers that mean no good.
//!
//! One program for all subjects, so that it is linked once and what they share has one home.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test that can't go on has failed, and says why"
)]

mod access;
mod addresses;
mod balancer;
#[path = "../common/both_ends.rs"]
mod both_ends;
mod bytes;
mod caller;
mod calls;
mod child;
mod client;
mod common;
mod crowds;
mod embedding;
mod faults;
#[path = "../common/free_port.rs"]
mod free_port;
mod handshake;
mod hosts;
#[path = "../common/in_memory.rs"]
mod in_memory;
mod injected;
mod injected_bytes;
mod injected_states;
mod limits;
mod listeners;
mod messages;
mod multiprocessing;
#[path = "../common/progress.rs"]
mod progress;
mod pushes;
mod reading;
mod records;
#[path = "../common/server_thread.rs"]
mod server_thread;
mod shown;
mod small;
mod stopping;
mod style;
mod throttle;
mod unix;
mod unix_files;
mod zones;
