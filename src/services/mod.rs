//! Ready-made services, [`Echo`], [`Discard`] and [`Timestamp`]; and [`Messages`], which a service
//! can take together.

mod discard;
mod echo;
mod timestamp;

pub use crate::contract::messages::{Messages, Processed};
pub use discard::Discard;
pub use echo::Echo;
pub use timestamp::Timestamp;
