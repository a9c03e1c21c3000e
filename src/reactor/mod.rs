//! What every event loop needs, whatever it serves: time, timers and lists of constant cost, names
//! of entries, accepting, sockets with unsent bytes, and limits on repeated log lines.
//!
//! The server uses these parts, and so do the loops of the program. They are not part of the stable
//! API.

pub mod acceptor;
pub mod buffered_stream;
pub mod instant;
pub mod linked_slab;
pub mod pauses;
pub mod rate_limit;
pub mod readiness;
pub mod timers;
pub mod token;
