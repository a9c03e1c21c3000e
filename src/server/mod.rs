//! The reactor: one thread, one loop, every connection in a slab.
//!
//! [`engine`] decides who has a turn, how long and why a connection ends; it knows no socket, no
//! clock and no randomness, which come as arguments. [`driver`] is the thin layer that gives it
//! mio's sockets, and [`Server`](driver::Server) is both together.

pub mod admission;
pub mod admission_control;
pub mod bind_error;
pub mod builder;
mod connection;
mod context;
pub mod driver;
pub mod engine;
mod event_log;
mod flags;
pub mod handle;
pub mod listener;
mod mio_net;
pub mod net;
mod network;
mod proxy_protocol;
mod throttle;
mod timer;
mod unauthenticated;

pub use crate::reactor::instant;
