//! The options that several verbs share, and where their values come from.

pub(crate) mod access;
pub(crate) mod admin;
pub(crate) mod choice;
pub(crate) mod environment;
pub(crate) mod faults;
pub(crate) mod limits;
pub(crate) mod listener;
pub(crate) mod origins;
pub(crate) mod process;
pub(crate) mod protocol;
#[cfg(feature = "countersign-load")]
pub(crate) mod proxy_version;
pub(crate) mod service;
