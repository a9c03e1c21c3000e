//! The reactor: one thread, one loop, every connection in a slab.
//!
//! [`engine`] decides which connection has a turn, for how long, and why it ends; sockets, clock
//! and randomness are its arguments. [`driver`] is the thin layer that gives it mio's sockets, and
//! [`Server`](driver::Server) is both together.

pub(crate) mod admission;
pub(crate) mod admission_control;
pub(crate) mod bind_error;
pub(crate) mod builder;
mod connection;
mod context;
pub(crate) mod driver;
pub(crate) mod engine;
mod event_log;
mod flags;
pub(crate) mod handle;
pub(crate) mod listener;
mod mio_net;
pub(crate) mod net;
mod network;
mod proxy_protocol;
mod throttle;
mod timer;
mod unauthenticated;
