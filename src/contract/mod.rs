//! The contract between the loop and the program that it serves: services, replies, limits.

pub(crate) mod access;
pub(crate) mod calls;
pub(crate) mod close;
pub(crate) mod limits;
pub(crate) mod listener_id;
pub(crate) mod messages;
pub(crate) mod networks;
pub(crate) mod outbox;
pub(crate) mod peer;
pub(crate) mod reply;
pub(crate) mod service;
