//! What every event loop needs, whatever it serves: time, and lists and timers of constant cost.
//!
//! The server uses these parts, and so do the loops of the program. They are no part of the stable
//! API.

pub mod instant;
pub mod linked_slab;
pub mod timers;
