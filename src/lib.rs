//! A small authentication server: only clients that hold a shared key reach your service, and they
//! can verify that it really is yours.
//!
//! The server runs on one thread. Both ends prove with HMACs over fresh random bytes that they hold
//! the key; then the service gets the client's messages. Memory is bounded by a formula, and
//! nothing that a peer sends ends the loop.
//!
//! ```no_run
//! use countersign::{KeyRing, KeyRingExt as _, Reply, Server};
//!
//! let keys = KeyRing::from_file("keys")?;
//! let shout = |message: &[u8], reply: &mut Reply<'_>| {
//!     reply.message(&message.to_ascii_uppercase());
//! };
//! Server::bind("127.0.0.1:9527", keys, shout)?.run()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Where to start:
//!
//! - [`Server`] runs a [`Service`] for clients that hold a key of a [`KeyRing`], within [`Limits`].
//!   A closure is a service.
//! - [`Client`] is the other end, with blocking calls.
//! - [`ServerConfig`] and [`ClientConfig`] say what is spoken, where the defaults won't do.
//! - [`Loopback`] tests a service without sockets.
//! - [`faults`] are what a server can do wrong on purpose, to test its clients.
//! - `testing`, behind the feature of that name, is a server in memory with a clock of the test's.
//! - [`Session`] is the protocol of one connection without a socket, for your own event loop;
//!   [`session`] has what goes in and out of it.
//! - [`manual`] is the manual: [protocol](manual::protocol), [conformance](manual::conformance),
//!   [embedding](manual::embedding), [operations](manual::operations), [faults](manual::faults),
//!   [python](manual::python), [performance](manual::performance), [security](manual::security),
//!   [architecture](manual::architecture), [decisions](manual::decisions).

#![warn(clippy::print_stdout, clippy::print_stderr)]

mod address;
mod auto_traits;
mod client;
#[doc(hidden)]
pub mod clock;
mod contract;
mod dial;
pub mod faults;
pub mod files;
mod key_file;
mod loopback;
pub mod manual;
#[doc(hidden)]
pub mod os_error;
#[doc(hidden)]
pub mod random;
#[doc(hidden)]
pub mod reactor;
mod server;
pub mod services;
pub mod stats;
#[cfg(feature = "testing")]
pub mod testing;
#[doc(hidden)]
pub mod unix_time;

pub use address::{Address, AddressError, ToAddresses};
pub use client::{Client, ClientError};
pub use key_file::KeyRingExt;
pub use key_file::error::{KeyFileError, KeyRingError};
pub use loopback::{Loopback, LoopbackBuilder};

pub use contract::{
    access::Access,
    close::CloseReason,
    limits::Limits,
    listener_id::{ListenerId, UnknownListenerError},
    networks::{NetworkError, Networks},
    peer::{Peer, PeerAddress, PeerId},
    reply::Reply,
    service::Service,
};
// Its module is public, so without this the front page would only list where they are.
#[doc(inline)]
pub use countersign_proto::{
    ClientConfig, Dialect, Exchange, Exporter, ForeignProtocol, FrameFormat, Framing, Key,
    KeyError, KeyRing, LineEnding, Mac, NoUsableKeyError, Protection, Refusal, RefusalCode,
    RingSecrets, ServerConfig, Session, Validity,
};
pub use server::{
    bind_error::BindError, builder::ServerBuilder, driver::Server, engine::TellError,
    handle::Handle, listener::Listener, listener::config::ListenerConfig,
};

pub mod config {
    //! What makes a [`ServerConfig`](crate::ServerConfig) or a
    //! [`ClientConfig`](crate::ClientConfig), and what both have in common.

    pub use countersign_proto::{ConfigBuilder, ConfigError, SessionConfig};
}

pub mod session {
    //! What goes in and out of a [`Session`](crate::Session), the protocol of one connection
    //! without a socket; and [`SessionCore`], for a loop that serves many connections.

    pub use countersign_proto::{Event, Message, Opened, SealError, SendError, SessionCore, Step};
}

pub mod engine {
    //! The reactor without the system's sockets: for sockets of another kind, or a simulation.
    //!
    //! An [`Engine`] makes all decisions of a [`Server`](crate::Server) over any [`Net`]. It reads
    //! no clock and draws no random bytes. [`AdmissionControl`] is the part that a program with a
    //! loop of its own can use by itself, and [`Dial`] connects for it without blocking.

    pub use crate::contract::listener_id::TooManyListenersError;
    pub use crate::dial::Dial;
    #[doc(inline)]
    pub use crate::reactor::{instant::Instant, readiness::Readiness};
    pub use crate::server::{
        admission::Admission, admission_control::AdmissionControl, engine::Engine, net::Net,
    };
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
