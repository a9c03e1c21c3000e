//! The protocols of countersign without a socket: keys, handshakes, framings, records, and the
//! [`Session`] that joins them.
//!
//! Nothing here reads a clock or a file, draws a random byte or touches the network; time and
//! randomness are arguments. It needs no operating system, but an allocator. A [`ServerConfig`] or
//! a [`ClientConfig`] says what is spoken, a [`Session`] is one connection of it, and a [`Refusal`]
//! is what a peer did wrong, as a value.
//!
//! The crate `countersign` has a server and a client on top of it, key files, and the manual, which
//! describes the protocols. Use it where there is an operating system.

#![cfg_attr(not(test), no_std)]

extern crate alloc;

mod blocks;
mod config;
mod dialect;
mod framing;
mod handshake;
mod keys;
mod partial_frame;
mod records;
mod refusal;
mod role;
mod session;

pub use blocks::Blocks;
pub use config::builder::ConfigBuilder;
pub use config::client::ClientConfig;
pub use config::error::{ConfigError, NoUsableKeyError};
pub use config::options::{Exchange, Protection};
pub use config::server::ServerConfig;
pub use config::session_config::SessionConfig;
pub use dialect::{Dialect, ParseDialectError};
pub use framing::{CHUNK_MAX, FRAME_MAX, FrameFormat, Framing, LineEnding};
pub use handshake::CHALLENGE;
pub use handshake::countersign::frame::HELLO_MAX;
pub use handshake::countersign::schedule::Exporter;
pub use keys::KeyRing;
pub use keys::fault::{KEYS_TRIED_MAX, KeyError};
pub use keys::key::{Credential, Key, KeyNumber, Mac};
pub use keys::secrets::RingSecrets;
pub use keys::validity::Validity;
pub use keys::wipe::without_traces;
pub use records::SealError;
pub use refusal::{ForeignProtocol, Refusal, RefusalCode};
pub use session::Session;
pub use session::event::{Event, Message, Opened};
pub use session::messages::Step;
pub use session::send::SendError;
pub use session::session_core::SessionCore;
