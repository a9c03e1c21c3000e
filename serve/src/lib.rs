//! What the program `countersign` serves, and the loop that serves it.
//!
//! The program is compiled for size, and this crate for speed. Generic code is compiled with the
//! crate that first names its types, so the server's loop is compiled with the services here.
//! Besides [`turn`], the program may call any method of the [`Server`]: what it calls itself is
//! compiled for size too.

mod builtin;
#[cfg_attr(not(feature = "faults"), path = "absent_faults.rs")]
mod faults;
mod sinks;

use std::io;
use std::time::Duration;

use countersign::Server;

pub use builtin::{AnyService, ListenerService, ServiceState};
pub use faults::{Faults, replace_faults, with_faults};
pub use sinks::SinkPlace;

/// The services of all listeners, and the faults that are injected.
pub type ServedService = faults::Faulty<AnyService>;

/// Runs one pass of the server: [`Server::turn`], compiled for speed.
///
/// # Errors
///
/// The poll or a listening socket fails. Nothing that a peer does is an error.
// Inlined into the program it would be compiled for size: `instructions/message` of the budget.
#[inline(never)]
pub fn turn(server: &mut Server<ServedService>, timeout: Option<Duration>) -> io::Result<usize> {
    server.turn(timeout)
}
