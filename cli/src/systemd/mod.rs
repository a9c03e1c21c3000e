//! A service manager that started us: what it is told, and the sockets that it hands over.

mod listen_fds;
mod notify;

pub(crate) use listen_fds::ListenFds;
pub(crate) use notify::SdNotify;
