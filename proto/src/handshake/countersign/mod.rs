//! `countersign/1`: both ends prove that they hold the key, in one round trip.
//!
//! The client sends the magic and its [hello](hello) at once. The server answers with a nonce, its
//! own hello and a proof; the client sends its proof; the server accepts. Everything that either
//! has sent is part of the [transcript](schedule) from which all keys are derived, so nothing can
//! be changed on the path.

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
    /// The connection continues without records; their key only protects the server's acceptance.
    pub(crate) plain: bool,
    pub(crate) exporter: Exporter,
}
