//! Ready-made services: [`Echo`], [`Discard`] and [`Timestamp`].

mod discard;
mod echo;
mod timestamp;

pub use discard::Discard;
pub use echo::Echo;
pub use timestamp::Timestamp;
