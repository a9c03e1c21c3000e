//! A server in memory with one listener.

use countersign::testing::TestServer;
use countersign::{Limits, Listener, Protocol, Service};

/// A server in memory with one listener.
pub(crate) fn in_memory<S: Service>(
    protocol: Protocol,
    limits: Limits,
    service: S,
) -> TestServer<S> {
    TestServer::new([Listener::new(protocol, limits)], service).unwrap()
}
