//! Let only those who know the key talk to your service.
//!
//! A server on one thread sends a fresh random challenge to whoever connects; the client proves
//! with an HMAC that it holds the shared key; only then is it served. Memory is bounded by a
//! formula, and nothing that a peer sends ends the loop.
//!
//! ```no_run
//! use countersign::{KeyRing, Reply, Server};
//!
//! let keys = KeyRing::from_file("keys")?;
//! let shout = |message: &[u8], reply: &mut Reply<'_>| {
//!     reply.message(&message.to_ascii_uppercase());
//! };
//! Server::bind("127.0.0.1:9527", keys, shout)?.run()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - [`Server`] serves a [`Service`] to those who hold a key of a [`KeyRing`], within [`Limits`].
//! - [`Client`] is the other end, blocking.
//! - [`Session`] is one connection without a socket, for those who own theirs.
//! - [`manual`] is the manual: [protocol](manual::protocol), [embedding](manual::embedding),
//!   [operations](manual::operations), [python](manual::python),
//!   [performance](manual::performance), [security](manual::security),
//!   [decisions](manual::decisions).

#![warn(clippy::print_stdout, clippy::print_stderr)]

mod address;
mod chance;
mod client;
mod clock;
pub mod contract;
mod dial;
mod files;
#[cfg(feature = "load")]
pub mod load;
mod loopback;
pub mod manual;
pub mod proto;
pub mod server;
pub mod services;
mod words;

pub use address::{Address, ToAddresses};
pub use client::{Client, ClientError};
pub use contract::access::Access;
pub use contract::close::Close;
pub use contract::connections::Connections;
pub use contract::counters::{Counters, KeyCounters};
pub use contract::limits::{Limits, Memory};
pub use contract::networks::{NetworkError, Networks};
pub use contract::peer::{Peer, PeerAddress, PeerId};
pub use contract::reply::Reply;
pub use contract::service::Service;
pub use contract::turn_times::TurnTimes;
pub use dial::Dial;
pub use files::{FileFault, FileRules};
pub use loopback::Loopback;
pub use proto::dialect::Dialect;
pub use proto::framing::{Ending, Form, Framing};
pub use proto::handshake::countersign::schedule::Exporter;
pub use proto::keys::KeyRing;
pub use proto::keys::fault::{KeyFault, KeyRingError};
pub use proto::keys::key::{Key, Mac};
pub use proto::protocol::{Exchange, NoUsableKey, Protection, Protocol};
pub use proto::refusal::{Opening, Reason, Refusal};
pub use proto::session::Session;
pub use proto::session::event::{Event, Message, Opened};
pub use server::driver::Server;
pub use server::engine::TellError;
pub use server::gate::Gate;
pub use server::handle::Handle;
pub use server::listener::Listener;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
