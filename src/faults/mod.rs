//! Faults that a server injects on purpose, so that clients and balancers can be tested against
//! them: late, slow, cut, corrupt or missing replies, closed connections, and a limited rate.
//!
//! [`Faults`] says which, [`Faulty`] wraps a service so that its server injects them:
//!
//! ```
//! use countersign::faults::Faulty;
//! use countersign::services::Echo;
//! use countersign::{Server, ServerConfig};
//!
//! let faults = "delay=150us:10,2ms:5,0.5s:1; reset:0.1".parse()?;
//! let service = Faulty::new(Echo, faults).with_seed(7);
//! let server = Server::bind("127.0.0.1:0", ServerConfig::open(), service)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Which messages have a fault, and which, follows from the seed, from the order in which a
//! listener accepts its connections, and from the order of the messages of each connection; never
//! from the time. So two servers with one seed, to which clients send the same, answer with the
//! same bytes.
//!
//! A message with a fault is served alone: earlier replies are sent first, and later messages of
//! its connection wait. Other connections notice nothing. The last message of a stream in
//! `lines`, if it has no line end, has no faults.

pub(crate) mod connection;
pub(crate) mod corrupt;
pub(crate) mod delivery;
mod distribution;
mod error;
mod faulty;
pub(crate) mod injector;
pub(crate) mod kind;
pub(crate) mod message;
mod parse;
pub(crate) mod part;
mod random;
mod schedule;
mod spec;

pub use distribution::Distribution;
pub use error::FaultsError;
pub use faulty::Faulty;
pub use injector::Injector;
pub use kind::FaultKind;
pub use spec::Faults;
