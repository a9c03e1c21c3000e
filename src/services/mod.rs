//! Services that are ready to use.

mod discard;
mod echo;
mod timestamp;

pub use discard::Discard;
pub use echo::Echo;
pub use timestamp::Timestamp;
