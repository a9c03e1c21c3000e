//! The options of a configuration, and which of them can be combined.

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

/// The longest name of an audience.
const AUDIENCE_MAX: usize = 64;

/// The options of a [`ServerConfig`] or a [`ClientConfig`], which `build` checks. Options that only
/// one end has exist for that end alone.
///
/// The defaults are `lines` (in `multiprocessing`, `length`), messages of at most 64 KiB,
/// HMAC-SHA256, records required in `countersign/1`, and any number of messages on a connection.
/// Both ends of a connection have to be configured alike.
#[derive(Debug, Clone)]
pub struct ConfigBuilder<C> {
    draft: SessionConfig,
    /// What was set; the default depends on the dialect.
    records: Option<Protection>,
    end: PhantomData<fn() -> C>,
}

impl<C> ConfigBuilder<C> {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self { draft: SessionConfig::new(dialect), records: None, end: PhantomData }
    }

    pub(super) fn of(draft: &SessionConfig) -> Self {
        let records = (draft.dialect == Dialect::Countersign).then_some(draft.protection);
        Self { draft: draft.clone(), records, end: PhantomData }
    }

    /// Sets the keys. Every dialect except `open` needs them.
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

    /// Sets the hash of the HMAC in `raw` and `hex`. In `multiprocessing`, MD5 is then accepted
    /// beside SHA-256. The default is SHA-256 alone.
    #[must_use]
    pub fn with_mac(mut self, mac: Mac) -> Self {
        self.draft.mac = mac;
        self
    }

    /// In `multiprocessing`, also speaks with the Pythons up to 3.11 of Red Hat's systems. Where
    /// MD5 is forbidden, these use SHA-256 and don't say so. Pythons that use MD5 can't be
    /// distinguished from them, and are refused.
    #[must_use]
    pub fn with_rhel(mut self) -> Self {
        self.draft.red_hat = true;
        self
    }

    /// Sets how many messages a connection is for. The default is any number.
    #[must_use]
    pub fn with_exchange(mut self, exchange: Exchange) -> Self {
        self.draft.exchange = exchange;
        self
    }

    /// Sets the longest message in bytes, without its frame: 1 byte to 1 GiB. The default is 64
    /// KiB. In records, a lower limit than 1,008 bytes counts as 1,008, and a higher one than 16
    /// MiB less 17 bytes as that.
    #[must_use]
    pub fn with_message_max(mut self, bytes: usize) -> Self {
        self.draft.message_max = bytes;
        self
    }

    /// Sets when messages are protected, in `countersign/1`. By default they always are. Without
    /// records both ends need the same framing, which can't be `chunks`.
    #[must_use]
    pub fn with_records(mut self, protection: Protection) -> Self {
        self.records = Some(protection);
        self
    }

    /// The configuration, if the options can be combined.
    pub(super) fn check(self) -> Result<SessionConfig, ConfigError> {
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
            // A chunk could not be distinguished from the handshake before it.
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
    /// Also serves clients of `raw`, beside those of `countersign/1`, at the same port. Give them
    /// keys of their own.
    #[must_use]
    pub fn with_raw(mut self) -> Self {
        self.draft.shares_raw = true;
        self
    }

    /// Adds a name of at most 64 bytes to the audiences of the server, in `countersign/1`: it
    /// serves clients that ask for one of them. Without any, it serves clients that ask for none.
    #[must_use]
    pub fn with_audience(mut self, name: &str) -> Self {
        self.draft.audiences.push(name.into());
        self
    }
}

impl ConfigBuilder<ClientConfig> {
    /// Sets the audience, the server that the client asks for, in `countersign/1`: a name of at
    /// most 64 bytes. The default is the audience of the key.
    #[must_use]
    pub fn with_audience(mut self, name: &str) -> Self {
        self.draft.audiences = Vec::from([name.into()]);
        self
    }

    /// Sets the id of the key to sign with. The default is the first key that is valid and serves
    /// the dialect.
    #[must_use]
    pub fn with_key(mut self, id: &str) -> Self {
        self.draft.key = Some(id.into());
        self
    }
}

#[cfg(test)]
mod tests;
