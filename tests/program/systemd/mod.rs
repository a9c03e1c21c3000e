//! Under a service manager: what it is told.

mod notified;
