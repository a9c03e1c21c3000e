//! The configuration of a client.

use core::time::Duration;

use crate::config::error::NoUsableKeyError;
use crate::config::session_config::SessionConfig;
use crate::dialect::Dialect;
use crate::keys::KeyRing;
use crate::keys::key::Key;

/// The protocol of a client: its dialect, framing, keys, the longest message, and more, which have
/// to match those of the server. It never changes, and is shared by an `Arc`.
///
/// A [`KeyRing`] converts into one: `countersign/1` with the defaults. [`builder`](Self::builder)
/// has all options, and the getters are those of [`SessionConfig`].
///
/// ```
/// use countersign_proto::{ClientConfig, Dialect, Key, KeyRing, RingSecrets};
///
/// let key = Key::new("garden", b"sixteen bytes or more")?;
/// let secrets = RingSecrets::new([7; 48]); // from the system's random source
/// let config = ClientConfig::builder(Dialect::Countersign)
///     .with_keys(KeyRing::new(secrets).with(key)?)
///     .with_audience("sprinkler")
///     .build()?;
/// assert_eq!(config.dialect(), Dialect::Countersign);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ClientConfig(pub(super) SessionConfig);

impl ClientConfig {
    /// The configuration without a handshake, for a server that serves every client.
    #[must_use]
    pub fn open() -> Self {
        Self(SessionConfig::new(Dialect::Open))
    }

    /// The same configuration with other keys. In `open` there are none, and nothing changes.
    #[must_use]
    pub fn with_keys(&self, ring: KeyRing) -> Self {
        Self(self.0.with_keys(ring))
    }

    /// The key to sign with at this time since 1970; none in the dialect `open`.
    ///
    /// # Errors
    ///
    /// The ring has no key that serves the dialect and is valid at this time, or the key that was
    /// [asked for](crate::ConfigBuilder::with_key) isn't one.
    pub fn signing_key(&self, now: Duration) -> Result<Option<&Key>, NoUsableKeyError> {
        self.0.signing_key(now)
    }
}

#[cfg(test)]
impl ClientConfig {
    /// A client of this server, with the same ring.
    pub(crate) fn of(server: &crate::config::server::ServerConfig) -> Self {
        Self(SessionConfig::clone(server))
    }
}
