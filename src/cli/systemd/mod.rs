//! A service manager that started us: what it is told.

mod notice;

pub(crate) use notice::Notifier;
