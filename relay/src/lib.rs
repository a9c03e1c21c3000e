//! A relay: carries connections of programs that don't speak `countersign/1` through a tunnel that
//! does, on one loop.
//!
//! One [`Relay`] runs beside the clients and another beside the server. For each connection that
//! one accepts, the other connects to its target, and both authenticate each other before anything
//! is relayed. The host polls with [`Relay::turn`], and decides when to [drain](Relay::drain) and
//! when to [replace the keys](Relay::replace_keys). Without a logger, nothing is logged.

mod admission;
mod event_log;
mod limits;
mod lookup;
mod pair;
mod pump;
mod relay;
mod shared;
mod sockets;
mod stats;

pub use limits::RelayLimits;
pub use lookup::RelayTarget;
pub use pair::PAIRS_MAX;
pub use pump::RECORD;
pub use relay::{Relay, Route};
pub use shared::{RelayConfig, RelayRole};
