//! The manual, a page each: what is on the wire, how to embed, how to operate, how to come from
//! Python, what it costs, what is and isn't secure, and why things are as they are.

#[doc = include_str!("protocol.md")]
pub mod protocol {}

#[doc = include_str!("embedding.md")]
pub mod embedding {}

#[doc = include_str!("operations.md")]
pub mod operations {}

#[doc = include_str!("python.md")]
pub mod python {}

#[doc = include_str!("performance.md")]
pub mod performance {}

#[doc = include_str!("security.md")]
pub mod security {}

#[doc = include_str!("decisions.md")]
pub mod decisions {}
