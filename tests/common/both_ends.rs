//! What both ends of a connection speak, with the same options.

use std::sync::Arc;

use countersign::config::ConfigBuilder;
use countersign::{
    ClientConfig, Dialect, Exchange, Framing, KeyRing, Mac, Protection, ServerConfig,
};

/// What both ends of a connection speak, with the same options.
#[derive(Debug, Clone)]
pub(crate) struct BothEnds {
    server: ConfigBuilder<ServerConfig>,
    client: ConfigBuilder<ClientConfig>,
}

impl BothEnds {
    /// A dialect, with this ring at both ends.
    pub(crate) fn new(dialect: Dialect, ring: KeyRing) -> Self {
        Self {
            server: ServerConfig::builder(dialect).with_keys(ring.clone()),
            client: ClientConfig::builder(dialect).with_keys(ring),
        }
    }

    pub(crate) fn server(&self) -> ServerConfig {
        self.server.clone().build().unwrap()
    }

    pub(crate) fn client(&self) -> ClientConfig {
        self.client.clone().build().unwrap()
    }
}

#[expect(dead_code, reason = "each test uses some of them")]
impl BothEnds {
    pub(crate) fn open() -> Self {
        let (server, client) = (ServerConfig::open(), ClientConfig::open());
        Self { server: server.to_builder(), client: client.to_builder() }
    }

    pub(crate) fn with_framing(self, framing: Framing) -> Self {
        let Self { server, client } = self;
        Self { server: server.with_framing(framing), client: client.with_framing(framing) }
    }

    pub(crate) fn with_mac(self, mac: Mac) -> Self {
        Self { server: self.server.with_mac(mac), client: self.client.with_mac(mac) }
    }

    pub(crate) fn with_rhel(self) -> Self {
        Self { server: self.server.with_rhel(), client: self.client.with_rhel() }
    }

    pub(crate) fn with_exchange(self, exchange: Exchange) -> Self {
        let Self { server, client } = self;
        Self { server: server.with_exchange(exchange), client: client.with_exchange(exchange) }
    }

    pub(crate) fn with_message_max(self, bytes: usize) -> Self {
        let Self { server, client } = self;
        Self { server: server.with_message_max(bytes), client: client.with_message_max(bytes) }
    }

    pub(crate) fn with_records(self, protection: Protection) -> Self {
        let Self { server, client } = self;
        Self { server: server.with_records(protection), client: client.with_records(protection) }
    }

    pub(crate) fn with_audience(self, name: &str) -> Self {
        Self { server: self.server.with_audience(name), client: self.client.with_audience(name) }
    }

    /// The server serves `raw` too.
    pub(crate) fn with_raw(self) -> Self {
        Self { server: self.server.with_raw(), ..self }
    }

    /// The client signs with this key.
    pub(crate) fn with_key(self, id: &str) -> Self {
        Self { client: self.client.with_key(id), ..self }
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.server().dialect()
    }
}

impl From<KeyRing> for BothEnds {
    fn from(ring: KeyRing) -> Self {
        Self::new(Dialect::Countersign, ring)
    }
}

impl From<BothEnds> for Arc<ServerConfig> {
    fn from(ends: BothEnds) -> Self {
        Self::new(ends.server())
    }
}

impl From<&BothEnds> for Arc<ServerConfig> {
    fn from(ends: &BothEnds) -> Self {
        Self::new(ends.server())
    }
}

impl From<BothEnds> for Arc<ClientConfig> {
    fn from(ends: BothEnds) -> Self {
        Self::new(ends.client())
    }
}

impl From<&BothEnds> for Arc<ClientConfig> {
    fn from(ends: &BothEnds) -> Self {
        Self::new(ends.client())
    }
}
