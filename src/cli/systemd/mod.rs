//! A service manager that started us: what it is told, and the sockets that it hands over.

mod notice;
mod passed;

pub(crate) use notice::Notifier;
pub(crate) use passed::Passed;
