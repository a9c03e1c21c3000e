//! `countersign/1`: both ends prove that they hold the key, in one round trip.
//!
//! The client calls at once, without waiting: the magic and its [hello](hello). The server answers
//! with a nonce and its own hello, signed; the client signs what both have said; the server
//! accepts. Whatever one of them has said is part of the [transcript](schedule) from which all
//! keys are derived, so nothing of it can be changed on the way.

pub(crate) mod client;
pub(crate) mod frame;
pub(crate) mod hello;
pub(crate) mod schedule;
pub(crate) mod server;
pub(crate) mod state;

use crate::handshake::countersign::schedule::Exporter;
use crate::records::Records;

/// What both ends have negotiated.
#[derive(Debug)]
pub(crate) struct Negotiated {
    pub(crate) records: Records,
    /// The conversation goes on without records; theirs seal the server's acceptance alone.
    pub(crate) plain: bool,
    pub(crate) exporter: Exporter,
}
