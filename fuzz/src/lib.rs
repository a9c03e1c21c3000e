//! What the fuzz targets share: setups and choices that are read from the input, a peer that holds
//! the key and signs whatever the fuzzer has written, and the oracle that watches a session.

mod c_ends;
pub mod choices;
#[path = "../../tests/mutual/forger.rs"]
mod forger;
mod observed;
mod pair;
pub mod random;
mod setup;
mod signed;

pub use c_ends::talk;
pub use choices::Choices;
pub use observed::{Heard, Observed, observe};
pub use pair::Pair;
pub use setup::{NONCE, SECRET, Setup};
pub use signed::Signed;
