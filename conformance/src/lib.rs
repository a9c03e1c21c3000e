//! Whether an implementation of `countersign/1` does what the protocol's page says.
//!
//! Each case is data: what is sent, what must come, and the sentence of the page that demands it.
//! [`run()`] plays the other end of each on connections of its own, well and badly. What it finds
//! is rendered by [`tap`] and [`json`].
//!
//! It shares no code with the protocol's implementation in Rust, which it judges like any other.

#![warn(clippy::print_stdout, clippy::print_stderr)]

mod as_client;
mod as_server;
mod case;
mod channel;
mod command;
mod hello;
mod keys;
mod needs;
mod octets;
mod player;
mod report;
mod run;
mod secrets;
mod step;
mod subject;
mod wire;
mod wire_log;

pub use case::{Case, Cases, TestedEnd, VERSION};
pub use keys::TestKeys;
pub use needs::{Feature, ListenerKind, Mode};
pub use octets::Octets;
pub use report::{Totals, json, list, tap};
pub use run::{CaseOutcome, Finding, TestTarget, probe, run};
pub use subject::Subject;
