//! The service manager: notifications to it, and the sockets that it passes.

mod listen_fds;
mod notify;

pub(crate) use listen_fds::ListenFds;
pub(crate) use notify::SdNotify;
