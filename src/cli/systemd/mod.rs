//! A service manager that started us: what it is told, and the sockets that it hands over.

mod notice;
mod notified;
mod passed;

use notice::Notifier;
pub(crate) use notified::Notified;
pub(crate) use passed::Passed;
