//! What a case needs of the implementation: a configuration, keys, and what it may do without.

use std::str::FromStr;

use serde::Deserialize;

/// How messages are protected, as `--records` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Always records, sealed.
    Sealed,
    /// Always records, with tags.
    Required,
    /// Records if the other end offers them.
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

/// How messages are delimited without records, as `--framing` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PlainFraming {
    /// By a line feed.
    Lines,
    /// By a length before them.
    Length,
}

impl PlainFraming {
    /// The word for it.
    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Lines => "lines",
            Self::Length => "length",
        }
    }
}

/// What kind of listener a server has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ListenerKind {
    /// It speaks `countersign/1` alone, and serves each client for as long as that stays.
    #[default]
    Usual,
    /// It speaks `countersign/1` and `raw`, with `lines` where there are no records.
    SharedPort,
    /// It serves one message on each connection.
    Once,
    /// It closes each connection after the proof.
    VerifyOnly,
}

impl ListenerKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Usual, Self::SharedPort, Self::Once, Self::VerifyOnly];

    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Usual => "usual",
            Self::SharedPort => "shared-port",
            Self::Once => "once",
            Self::VerifyOnly => "verify-only",
        }
    }
}

impl FromStr for ListenerKind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == name);
        found.ok_or_else(|| "write usual, shared-port, once or verify-only".to_owned())
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
    /// The key file has a key for `raw`.
    RawKey,
    /// Several connections are served at once.
    Concurrency,
    /// A handshake that takes too long is ended.
    Deadline,
}

impl Feature {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::TwoKeys,
        Self::ExpiredKey,
        Self::OtherDialect,
        Self::Passphrase,
        Self::RawKey,
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
            Self::RawKey => "raw-key",
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
    /// One that serves `raw`, whatever else it serves.
    Raw,
    /// An id that is not in the file, and random bytes.
    Unknown,
    /// The first id, and random bytes.
    Wrong,
}
