//! The program from outside: what its users, their scripts and their peers see.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod addresses;
mod admin;
mod balancer;
mod claimed;
mod codes;
mod config;
mod conformance;
mod connect;
mod dialects;
mod endings;
mod environment;
mod escapes;
mod faults;
mod files;
mod find;
mod first;
#[path = "../common/free_port.rs"]
mod free_port;
mod health;
mod help;
mod home;
mod interrupts;
mod keygen;
mod keys;
mod live;
mod logs;
mod measured;
mod messages;
mod multiprocessing;
mod mutual;
mod numbers;
mod options;
mod output;
mod owed;
mod paces;
mod page;
mod ping;
#[path = "../common/progress.rs"]
mod progress;
mod prompt;
mod proxy;
mod reasons;
mod reload;
mod results;
mod retry;
mod ring;
mod secrets;
mod served;
mod signals;
#[path = "../common/skip.rs"]
mod skip;
mod stages;
mod status;
mod stock;
mod systemd;
mod talk;
mod throttle;
mod tutorial;
mod unix;
mod vanish;
mod workers;
