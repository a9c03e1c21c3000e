//! The figures of a listener: the numbers that the report has of each listener, and the metrics
//! that show the same numbers.
//!
//! Each is declared once: its name in the report, its name as a metric, and where it comes from.
//! Its comment is the help of the metric.

use countersign::stats::ListenerStats;
use serde::{Deserialize, Serialize};

/// A metric of a listener: its name, its help, and its value.
pub(super) type Metric = (&'static str, &'static str, fn(&Figures) -> u64);

macro_rules! figures {
    ($(#[doc = $help:literal] $field:ident, $metric:ident, $value:expr;)+) => {
        /// The figures of a listener.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        pub(crate) struct Figures {
            $(#[doc = $help] pub(crate) $field: u64,)+
        }

        /// The metrics that show them.
        pub(super) const METRICS: &[Metric] =
            &[$((stringify!($metric), $help, |figures| figures.$field)),+];

        impl From<&ListenerStats> for Figures {
            fn from(stats: &ListenerStats) -> Self {
                $(let $field: fn(&ListenerStats) -> u64 = $value;)+
                Self { $($field: $field(stats)),+ }
            }
        }
    };
}

figures! {
    /// Accepted connections.
    accepted, connections_accepted_total, |it| it.counters.accepted;
    /// Connections that were delayed because of failed proofs from their network.
    delayed, connections_delayed_total, |it| it.counters.delayed;
    /// Connections whose peer proved that it holds a key, or needed none.
    authenticated, connections_authenticated_total, |it| it.counters.authenticated;
    /// Messages passed to the service.
    messages, messages_total, |it| it.counters.messages;
    /// Bytes read.
    received_bytes, received_bytes_total, |it| it.counters.bytes_in;
    /// Bytes written.
    sent_bytes, sent_bytes_total, |it| it.counters.bytes_out;
    /// Times that accepting paused for lack of descriptors or memory.
    accept_pauses, accept_pauses_total, |it| it.counters.accept_pauses;
    /// Accepts that failed for a reason that concerns only one connection.
    accept_failures, accept_failures_total, |it| it.counters.accept_failures;
    /// Networks whose new connections are delayed or rejected.
    throttled_networks, throttled_networks, |it| it.throttled as u64;
    /// Bytes buffered for unfinished messages and unsent replies.
    buffered_bytes, memory_buffered_bytes, |it| it.buffered as u64;
    /// The limit on buffered bytes.
    buffered_max_bytes, memory_buffered_max_bytes, |it| it.buffered_max as u64;
}
