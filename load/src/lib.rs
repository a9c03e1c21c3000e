//! The load generator: many clients on one loop, that check every reply.
//!
//! A [`Plan`] says what the clients do, [`Load`] has them do it, and a
//! [`Report`] says how it went. Memory doesn't grow with the run: latencies go into
//! histograms of a fixed size, and what isn't due yet isn't kept.

mod client;
mod dial;
mod failure;
mod generator;
mod latencies;
mod message_source;
mod pacer;
mod payload;
mod plan;
mod report;

pub use failure::Failure;
pub use generator::Load;
pub use latencies::Latencies;
pub use plan::{Arrival, Disconnect, Plan, PlanError};
pub use report::Report;
