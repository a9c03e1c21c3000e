//! The protocols without a socket: keys, handshakes, framings, and the [`Session`] that joins them.
//!
//! Nothing here reads a clock, draws a random byte or touches the network; all three are
//! arguments. A [`Protocol`] says what a listener or a client speaks, a [`Session`] is one
//! connection of it, and a [`Refusal`] is what a peer did wrong, as a value.
//!
//! [`Session`]: session::Session
//! [`Protocol`]: protocol::Protocol
//! [`Refusal`]: refusal::Refusal

pub(crate) mod blocks;
pub mod dialect;
pub mod framing;
pub(crate) mod handshake;
pub mod keys;
pub(crate) mod partial_frame;
pub mod protocol;
pub(crate) mod records;
pub mod refusal;
pub(crate) mod role;
pub mod session;
