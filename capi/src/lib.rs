//! The server and the client of countersign for hosts in C and C++.
//!
//! `include/countersign_host.h` is the manual of these functions: it is generated from this crate,
//! and a test compares the two. Hosts in Rust use the crate `countersign`.
//!
//! Each file holds the functions of one type. They convert pointers by `pointers`, and errors and
//! panics by `status`: nothing else decides what C sees of them.

#![expect(non_camel_case_types, reason = "the names are those of the header")]
#![expect(clippy::missing_safety_doc, reason = "the header has the rules, in words for C")]
#![expect(missing_debug_implementations, reason = "C sees these types by pointers alone")]

// In the order of the header.
mod status;

mod keys;

mod session_config;

mod limits;

mod listener;

mod service;

mod reply;

mod server;

mod handle;

mod stats;

mod client;

mod connection;

mod log_level;
mod logging;

// What has no function of C.
#[cfg(feature = "log")]
mod log_sink;
mod option_names;
mod pointers;
mod text_buffer;

pub use client::*;
pub use connection::*;
pub use handle::*;
pub use keys::*;
pub use limits::*;
pub use listener::*;
pub use log_level::*;
pub use logging::*;
pub use reply::*;
pub use server::*;
pub use service::*;
pub use session_config::*;
pub use stats::*;
pub use status::*;

// Any thread may use each of these, says the header; two that use one of the latter at once get an
// error.
const _: () = {
    const fn is_send<T: Send>() {}
    const fn is_send_and_sync<T: Send + Sync>() {}
    is_send::<(cs_keys, cs_session_config, cs_listener)>();
    is_send_and_sync::<(cs_server, cs_handle, cs_client, cs_connection)>();
};
