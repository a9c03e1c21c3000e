//! A server in memory with one listener.

use std::sync::Arc;

use countersign::testing::TestServer;
use countersign::{Limits, Listener, ServerConfig, Service};

/// A server in memory with one listener.
pub(crate) fn in_memory<S: Service>(
    config: impl Into<Arc<ServerConfig>>,
    limits: Limits,
    service: S,
) -> TestServer<S> {
    TestServer::new([Listener::new(config, limits)], service).unwrap()
}
