//! The dialects: which handshake opens a connection.

use core::fmt;
use core::str::FromStr;

/// Which handshake opens a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// Both ends prove that they hold the key, in one round trip; then every record is protected.
    Countersign,
    /// The server sends 32 random bytes; the client answers with their HMAC as raw bytes.
    Raw,
    /// The same, and the HMAC is written in lower-case hexadecimal digits.
    Hex,
    /// Python's `multiprocessing.connection`: each end challenges the other, and messages travel in
    /// its length frames.
    Multiprocessing,
    /// No handshake: every client is served.
    Open,
}

impl Dialect {
    /// All dialects, in the order in which help texts name them.
    pub const ALL: &[Self] =
        &[Self::Countersign, Self::Raw, Self::Hex, Self::Multiprocessing, Self::Open];

    /// The name, as it stands in key files and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Countersign => "countersign/1",
            Self::Raw => "raw",
            Self::Hex => "hex",
            Self::Multiprocessing => "multiprocessing",
            Self::Open => "open",
        }
    }

    /// Whether a peer has to prove that it holds a key.
    #[must_use]
    pub fn authenticates(self) -> bool {
        self != Self::Open
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Dialect {
    type Err = ParseDialectError;

    fn from_str(name: &str) -> Result<Self, ParseDialectError> {
        Self::ALL.iter().copied().find(|dialect| dialect.name() == name).ok_or(ParseDialectError)
    }
}

/// The name is none of [`Dialect::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseDialectError;

impl fmt::Display for ParseDialectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unknown dialect (countersign/1, raw, hex, multiprocessing or open)")
    }
}

impl core::error::Error for ParseDialectError {}

/// A set of dialects: those that a key may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Dialects(u8);

impl Dialects {
    pub(crate) fn with(self, dialect: Dialect) -> Self {
        Self(self.0 | 1 << dialect as u8)
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn contains(self, dialect: Dialect) -> bool {
        self.0 & 1 << dialect as u8 != 0
    }
}
