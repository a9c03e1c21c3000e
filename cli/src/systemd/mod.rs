//! A service manager that started us: what it is told, and the sockets that it hands over.

mod listen_fds;
mod manager;
mod notify;

pub(crate) use listen_fds::ListenFds;
pub(crate) use manager::ServiceManager;
use notify::SdNotify;
