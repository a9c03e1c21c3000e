//! Under a service manager: what it is told, and the sockets and secrets that it hands over.

mod credentials;
mod listen_fds;
mod notify;
