//! What a case needs of the implementation: a configuration, keys, and what it may do without.

use serde::Deserialize;

/// How messages are protected, as `--records` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// RecordChannel are always sealed.
    Sealed,
    /// Always records, with tags.
    Required,
    /// RecordChannel if the other end offers them.
    Allowed,
    /// No records.
    Off,
}

impl Mode {
    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sealed => "sealed",
            Self::Required => "required",
            Self::Allowed => "allowed",
            Self::Off => "off",
        }
    }
}

/// What an implementation may do without, and so may be declared as absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Feature {
    /// The key file has two keys or more, and the server serves them all.
    TwoKeys,
    /// The key file has a key that has expired.
    ExpiredKey,
    /// The key file has a key for another dialect alone.
    OtherDialect,
    /// The key file has a key that is made from a passphrase.
    Passphrase,
    /// Several connections are served at once.
    Concurrency,
    /// A handshake that takes too long is ended.
    Deadline,
}

impl Feature {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::TwoKeys,
        Self::ExpiredKey,
        Self::OtherDialect,
        Self::Passphrase,
        Self::Concurrency,
        Self::Deadline,
    ];

    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TwoKeys => "two-keys",
            Self::ExpiredKey => "expired-key",
            Self::OtherDialect => "other-dialect",
            Self::Passphrase => "passphrase",
            Self::Concurrency => "concurrency",
            Self::Deadline => "deadline",
        }
    }
}

/// Which key of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum KeyChoice {
    #[default]
    First,
    Second,
    Expired,
    OtherDialect,
    Passphrase,
    /// An id that is not in the file, and random bytes.
    Unknown,
    /// The first id, and random bytes.
    Wrong,
}
