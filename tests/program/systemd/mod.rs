//! Under a service manager: what it is told, and the sockets that it hands over.

mod notified;
mod passed;
