//! The contract between the loop and the program that it serves: services, replies, limits.

pub mod access;
pub mod close;
pub mod limits;
pub mod listener_id;
pub mod networks;
pub(crate) mod outbox;
pub mod peer;
pub mod reply;
pub mod service;
