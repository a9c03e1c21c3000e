//! What the configurations of both ends do alike.
//!
//! By a macro and not by one generic type, so that each end has a page of its own in the
//! documentation, and errors of the compiler name it.

use alloc::sync::Arc;
use core::ops::Deref;

use crate::config::builder::ConfigBuilder;
use crate::config::client::ClientConfig;
use crate::config::error::ConfigError;
use crate::config::server::ServerConfig;
use crate::config::session_config::SessionConfig;
use crate::dialect::Dialect;
use crate::keys::KeyRing;

macro_rules! impl_config {
    ($config:ident) => {
        impl $config {
            /// The options of a new configuration with this dialect.
            #[must_use]
            pub fn builder(dialect: Dialect) -> ConfigBuilder<Self> {
                ConfigBuilder::new(dialect)
            }

            /// The options of this configuration, to change some of them.
            #[must_use]
            pub fn to_builder(&self) -> ConfigBuilder<Self> {
                ConfigBuilder::of(self)
            }
        }

        impl ConfigBuilder<$config> {
            /// The configuration with these options.
            ///
            /// # Errors
            ///
            /// The options can't be combined: see [`ConfigError`].
            pub fn build(self) -> Result<$config, ConfigError> {
                self.check().map($config)
            }
        }

        impl Deref for $config {
            type Target = SessionConfig;

            fn deref(&self) -> &SessionConfig {
                &self.0
            }
        }

        impl From<KeyRing> for $config {
            /// The dialect `countersign/1` with these keys.
            fn from(keys: KeyRing) -> Self {
                Self(SessionConfig { keys: Some(keys), ..SessionConfig::new(Dialect::Countersign) })
            }
        }

        impl From<KeyRing> for Arc<$config> {
            /// The dialect `countersign/1` with these keys.
            fn from(keys: KeyRing) -> Self {
                Self::new(keys.into())
            }
        }
    };
}

impl_config!(ServerConfig);
impl_config!(ClientConfig);
