//! The configuration of a server.

use core::time::Duration;

use crate::config::error::NoUsableKeyError;
use crate::config::session_config::SessionConfig;
use crate::dialect::Dialect;
use crate::keys::KeyRing;

/// The protocol of a server: its dialect, framing, keys, the longest message, and more. It never
/// changes, and is shared by an `Arc`.
///
/// A [`KeyRing`] converts into one: `countersign/1` with the defaults. [`builder`](Self::builder)
/// has all options, and the getters are those of [`SessionConfig`].
///
/// ```
/// use countersign_proto::{Dialect, Framing, Key, KeyRing, RingSecrets, ServerConfig};
///
/// let key = Key::new("garden", b"sixteen bytes or more")?.with_dialect(Dialect::Hex);
/// let secrets = RingSecrets::new([7; 48]); // from the system's random source
/// let config = ServerConfig::builder(Dialect::Hex)
///     .with_keys(KeyRing::new(secrets).with(key)?)
///     .with_framing(Framing::Length)
///     .with_message_max(4096)
///     .build()?;
/// assert_eq!(config.message_max(), 4096);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ServerConfig(pub(super) SessionConfig);

impl ServerConfig {
    /// The configuration without a handshake, which serves every client.
    #[must_use]
    pub fn open() -> Self {
        Self(SessionConfig::new(Dialect::Open))
    }

    /// The same configuration with other keys. Keys that were on the old ring keep their numbers,
    /// so that [`Session::is_revoked`](crate::Session::is_revoked) still knows them, and the ring's
    /// secrets are kept. In `open` there are no keys, and nothing changes.
    #[must_use]
    pub fn with_keys(&self, ring: KeyRing) -> Self {
        Self(self.0.with_keys(ring))
    }

    /// Whether clients of `raw` are served beside those of `countersign/1`.
    #[must_use]
    pub fn shares_raw(&self) -> bool {
        self.0.shares_raw
    }

    /// Checks that some client can authenticate at this time since 1970.
    ///
    /// # Errors
    ///
    /// The dialect needs a key, and the ring has none that serves it and is valid at this time.
    pub fn check_keys(&self, now: Duration) -> Result<(), NoUsableKeyError> {
        self.0.check_keys(now)
    }
}
