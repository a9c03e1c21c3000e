//! The load generator: many clients on one loop, which check every reply.
//!
//! A [`Plan`] describes the load, [`Load`] runs it, and a [`Report`] has the results. Memory
//! doesn't grow with the run: latencies go into histograms of a fixed size, and messages that
//! aren't due yet take none.

mod balancer;
mod busy;
mod client;
mod client_pacers;
mod condition;
mod context;
mod dial;
mod ending;
mod error;
mod expect;
mod failure;
mod generator;
mod in_flight;
mod interval_recorder;
mod intervals;
mod latencies;
mod latency_distribution;
mod message_list;
mod message_source;
mod pacer;
mod payload;
mod plan;
mod rate_schedule;
mod recent;
mod report;
mod search;
mod share;
mod sparse_latencies;

pub use balancer::ProxyVersion;
pub use condition::{Condition, Figure};
pub use error::LoadError;
pub use expect::{Expect, Pattern, PatternError};
pub use failure::{FailureKind, Failures};
pub use generator::Load;
pub use intervals::{Interval, Intervals};
pub use latencies::Latencies;
pub use latency_distribution::LatencyDistribution;
pub use message_list::{MessageList, MessageListError, MessageOrder};
pub use plan::{Arrival, Disconnect, Plan, PlanError};
pub use rate_schedule::Stage;
pub use recent::Recent;
pub use report::Report;
pub use search::{Probe, ProbeResult, Search, SearchConfig, Verdict};
pub use sparse_latencies::SparseLatencies;

// What an embedder moves to a thread of its own, or shares.
const _: () = {
    const fn is_send<T: Send>() {}
    const fn is_send_and_sync<T: Send + Sync>() {}
    is_send::<Load>();
    is_send_and_sync::<Arrival>();
    is_send_and_sync::<Condition>();
    is_send_and_sync::<Disconnect>();
    is_send_and_sync::<Expect>();
    is_send_and_sync::<LatencyDistribution>();
    is_send_and_sync::<FailureKind>();
    is_send_and_sync::<Figure>();
    is_send_and_sync::<Failures>();
    is_send_and_sync::<Interval>();
    is_send_and_sync::<Intervals>();
    is_send_and_sync::<Latencies>();
    is_send_and_sync::<LoadError>();
    is_send_and_sync::<MessageList>();
    is_send_and_sync::<Plan>();
    is_send_and_sync::<PlanError>();
    is_send_and_sync::<ProxyVersion>();
    is_send_and_sync::<Recent>();
    is_send_and_sync::<Report>();
    is_send_and_sync::<Search>();
    is_send_and_sync::<SparseLatencies>();
    is_send_and_sync::<Stage>();
};
