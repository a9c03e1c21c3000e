//! The manual. Start with [`operations`] to run the program, or with [`embedding`] to use the
//! library; [`languages`] is about clients in other languages, [`small`] about machines that are
//! too small for either; [`architecture`] explains the code.

#[doc = include_str!("protocol.md")]
pub mod protocol {}

#[doc = include_str!("conformance.md")]
pub mod conformance {}

#[doc = include_str!("embedding.md")]
pub mod embedding {}

#[doc = include_str!("languages.md")]
pub mod languages {}

#[doc = include_str!("small.md")]
pub mod small {}

#[doc = include_str!("operations.md")]
pub mod operations {}

#[doc = include_str!("faults.md")]
pub mod faults {}

#[doc = include_str!("python.md")]
pub mod python {}

#[doc = include_str!("load.md")]
#[doc = ""]
#[doc = include_str!("report.svg")]
pub mod load {}

#[doc = include_str!("performance.md")]
#[doc = ""]
#[doc = include_str!("messages.svg")]
pub mod performance {}

#[doc = include_str!("security.md")]
pub mod security {}

#[doc = include_str!("evidence.md")]
pub mod evidence {}

#[doc = include_str!("architecture.md")]
pub mod architecture {}

#[doc = include_str!("decisions.md")]
pub mod decisions {}
