//! The configuration of a server or a client: built once, and never changed.

pub(crate) mod builder;
pub(crate) mod client;
mod ends;
pub(crate) mod error;
pub(crate) mod options;
pub(crate) mod server;
pub(crate) mod session_config;
