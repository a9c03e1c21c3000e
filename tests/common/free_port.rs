//! Ports for tests that have to know one before anybody listens there.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

/// A port that nobody has, and that no other test of this process gets.
///
/// It lies below those that Linux hands out, with port 0 or to the near end of a connection: one of
/// these that was free a moment ago may be another test's by now.
pub(crate) fn free_port() -> u16 {
    static ASKED: AtomicU32 = AtomicU32::new(0);
    // Another run beside this one begins elsewhere.
    let begin = std::process::id().wrapping_mul(61);
    loop {
        let number = begin.wrapping_add(ASKED.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(16_384 + number % 16_384).unwrap();
        if TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok() {
            return port;
        }
    }
}

/// An address of this machine where nobody listens, with a [`free_port`].
pub(crate) fn free_address() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, free_port()).into()
}
