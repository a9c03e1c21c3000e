//! The options that several verbs share, and where their values come from.

pub(crate) mod access;
pub(crate) mod admin;
pub(crate) mod choice;
pub(crate) mod environment;
#[cfg(feature = "serve")]
pub(crate) mod faults;
pub(crate) mod limits;
#[cfg(feature = "serve")]
pub(crate) mod listener;
pub(crate) mod origins;
#[cfg(feature = "serve")]
pub(crate) mod process;
pub(crate) mod protocol;
#[cfg(feature = "countersign-load")]
pub(crate) mod proxy_version;
pub(crate) mod service;
