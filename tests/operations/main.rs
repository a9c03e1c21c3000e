//! Servers that are operated: behind a balancer, reloaded and restarted, while clients keep account
//! of every message.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::panic, reason = "a test may panic")]

mod balancer;
mod clients;
#[path = "../common/free_port.rs"]
mod free_port;
#[path = "../program/home.rs"]
#[expect(dead_code, reason = "other tests use more of it")]
mod home;
#[path = "../common/progress.rs"]
mod progress;
mod reloads;
#[path = "../program/served.rs"]
#[expect(dead_code, reason = "other tests use more of it")]
mod served;
#[path = "../common/skip.rs"]
mod skip;
