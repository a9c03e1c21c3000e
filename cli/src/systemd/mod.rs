//! The service manager: notifications to it, and the sockets that it passes.

mod listen_fds;
mod notify;

#[cfg(feature = "serve")]
pub(crate) use listen_fds::ListenFds;
pub(crate) use notify::SdNotify;
