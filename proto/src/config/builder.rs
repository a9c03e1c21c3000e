//! From options to a configuration.

use alloc::vec::Vec;
use core::marker::PhantomData;

use crate::config::client::ClientConfig;
use crate::config::error::ConfigError;
use crate::config::options::{Exchange, Protection};
use crate::config::server::ServerConfig;
use crate::config::session_config::SessionConfig;
use crate::dialect::Dialect;
use crate::framing::Framing;
use crate::keys::KeyRing;
use crate::keys::key::Mac;

/// The longest name of a service.
const AUDIENCE_MAX: usize = 64;

/// The options of a [`ServerConfig`] or a [`ClientConfig`], until they are checked. What only one
/// of the two knows is an option of that one alone.
///
/// The defaults are `lines` (in `multiprocessing`, `length`), messages of at most 64 KiB,
/// HMAC-SHA256, records required in `countersign/1`, and any number of messages on a connection.
/// Both ends of a connection have to be configured alike.
#[derive(Debug, Clone)]
pub struct ConfigBuilder<C> {
    draft: SessionConfig,
    /// What was chosen; the default depends on the dialect.
    records: Option<Protection>,
    end: PhantomData<fn() -> C>,
}

impl<C> ConfigBuilder<C> {
    fn new(dialect: Dialect) -> Self {
        Self { draft: SessionConfig::new(dialect), records: None, end: PhantomData }
    }

    fn of(draft: &SessionConfig) -> Self {
        let records = (draft.dialect == Dialect::Countersign).then_some(draft.protection);
        Self { draft: draft.clone(), records, end: PhantomData }
    }

    /// Sets the keys, which every dialect needs but `open`.
    #[must_use]
    pub fn with_keys(mut self, keys: KeyRing) -> Self {
        self.draft.keys = Some(keys);
        self
    }

    /// Sets the framing. The default is `lines`; `multiprocessing` has its own.
    #[must_use]
    pub fn with_framing(mut self, framing: Framing) -> Self {
        self.draft.framing = framing;
        self
    }

    /// Sets the hash of the HMAC in `raw` and `hex`. In `multiprocessing`, MD5 is accepted beside
    /// SHA-256 then. The default is SHA-256 alone.
    #[must_use]
    pub fn with_mac(mut self, mac: Mac) -> Self {
        self.draft.mac = mac;
        self
    }

    /// In `multiprocessing`, also speaks with the Pythons up to 3.11 of Red Hat's systems. Where
    /// MD5 is forbidden, these sign by SHA-256 and don't say so. Those that mean MD5 ask for a
    /// proof in the same form, and are not served then.
    #[must_use]
    pub fn with_rhel(mut self) -> Self {
        self.draft.red_hat = true;
        self
    }

    /// Sets how much of a conversation a connection is for. The default is any number of messages.
    #[must_use]
    pub fn with_exchange(mut self, exchange: Exchange) -> Self {
        self.draft.exchange = exchange;
        self
    }

    /// Sets how many bytes a message may have, without what frames it: 1 to 1 GiB. The default is
    /// 64 KiB. No end may ask for records shorter than 1,024 bytes, so that in records it is 1,008
    /// bytes at least, and 17 bytes less than 16 MiB at most.
    #[must_use]
    pub fn with_message_max(mut self, bytes: usize) -> Self {
        self.draft.message_max = bytes;
        self
    }

    /// Sets when messages are protected, in `countersign/1`. The default is always. Both ends of a
    /// conversation without records need the same framing; `chunks` has none without.
    #[must_use]
    pub fn with_records(mut self, protection: Protection) -> Self {
        self.records = Some(protection);
        self
    }

    /// What the options come to, if they can be combined.
    fn check(self) -> Result<SessionConfig, ConfigError> {
        let Self { mut draft, records, .. } = self;
        let (dialect, mac) = (draft.dialect, draft.mac);
        let is_countersign = dialect == Dialect::Countersign;
        draft.protection = records.unwrap_or_default();
        let is_protected = !matches!(draft.protection, Protection::Allowed | Protection::Off);
        let has_mac = match dialect {
            Dialect::Raw | Dialect::Hex | Dialect::Multiprocessing => true,
            Dialect::Countersign => draft.shares_raw,
            Dialect::Open => false,
        };
        if !dialect.authenticates() {
            draft.keys = None;
        }
        let fault = match dialect {
            _ if dialect.authenticates() && draft.keys.is_none() => ConfigError::NoKeys(dialect),
            Dialect::Multiprocessing if draft.framing != Framing::Length => {
                ConfigError::OwnFraming(draft.framing)
            }
            // A chunk could not be told from the handshake before it.
            Dialect::Countersign if draft.framing == Framing::Chunks && !is_protected => {
                ConfigError::UnprotectedChunks
            }
            _ if records.is_some() && !is_countersign => ConfigError::NoRecords(dialect),
            _ if !draft.audiences.is_empty() && !is_countersign => ConfigError::NoAudience(dialect),
            _ if draft.audiences.iter().any(|name| name.len() > AUDIENCE_MAX) => {
                ConfigError::AudienceTooLong
            }
            _ if draft.shares_raw && !is_countersign => ConfigError::NoRaw(dialect),
            _ if draft.red_hat && dialect != Dialect::Multiprocessing => {
                ConfigError::NoRhel(dialect)
            }
            _ if draft.red_hat && mac != Mac::default() => ConfigError::RhelAndMac,
            _ if mac != Mac::default() && !has_mac => ConfigError::NoMac(dialect),
            _ if !(1..=SessionConfig::MESSAGE_MAX).contains(&draft.message_max) => {
                ConfigError::MessageMax(draft.message_max)
            }
            _ => return Ok(draft),
        };
        Err(fault)
    }
}

impl ConfigBuilder<ServerConfig> {
    /// Also serves clients of `raw` at the same port, beside those of `countersign/1`. Give them
    /// keys of their own.
    #[must_use]
    pub fn with_raw(mut self) -> Self {
        self.draft.shares_raw = true;
        self
    }

    /// Adds a service that the server is, in `countersign/1`: a name of at most 64 bytes. Without
    /// any, it is the one without a name.
    #[must_use]
    pub fn with_audience(mut self, name: &str) -> Self {
        self.draft.audiences.push(name.into());
        self
    }

    /// Checks the options.
    ///
    /// # Errors
    ///
    /// They can't be combined: see [`ConfigError`].
    pub fn build(self) -> Result<ServerConfig, ConfigError> {
        self.check().map(ServerConfig)
    }
}

impl ConfigBuilder<ClientConfig> {
    /// Sets the service that the client means, in `countersign/1`: a name of at most 64 bytes. The
    /// default is the one that its key is for.
    #[must_use]
    pub fn with_audience(mut self, name: &str) -> Self {
        self.draft.audiences = Vec::from([name.into()]);
        self
    }

    /// Sets the id of the key to sign with. The default is the first that serves the dialect.
    #[must_use]
    pub fn with_key(mut self, id: &str) -> Self {
        self.draft.key = Some(id.into());
        self
    }

    /// Checks the options.
    ///
    /// # Errors
    ///
    /// They can't be combined: see [`ConfigError`].
    pub fn build(self) -> Result<ClientConfig, ConfigError> {
        self.check().map(ClientConfig)
    }
}

impl ServerConfig {
    /// The options of a server that speaks this dialect.
    #[must_use]
    pub fn builder(dialect: Dialect) -> ConfigBuilder<Self> {
        ConfigBuilder::new(dialect)
    }

    /// The options that this came from, to change some.
    #[must_use]
    pub fn to_builder(&self) -> ConfigBuilder<Self> {
        ConfigBuilder::of(self)
    }
}

impl ClientConfig {
    /// The options of a client that speaks this dialect.
    #[must_use]
    pub fn builder(dialect: Dialect) -> ConfigBuilder<Self> {
        ConfigBuilder::new(dialect)
    }

    /// The options that this came from, to change some.
    #[must_use]
    pub fn to_builder(&self) -> ConfigBuilder<Self> {
        ConfigBuilder::of(self)
    }
}

#[cfg(test)]
mod tests;
