//! Ready-made services, [`Echo`] and [`Timestamp`], and [`Discard`], [`Sink`], [`Size`] and
//! [`ByteSource`] for measurements; and [`Messages`], which a service can take together.

mod discard;
mod echo;
mod filler;
mod sink;
mod size;
mod source;
mod timestamp;

pub use crate::contract::messages::{Messages, Processed};
pub use discard::Discard;
pub use echo::Echo;
pub use sink::Sink;
pub use size::Size;
pub use source::ByteSource;
pub use timestamp::Timestamp;
