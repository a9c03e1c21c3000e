//! Why there is no such configuration, or no key for it.

use alloc::string::String;
use core::fmt;

use crate::dialect::Dialect;
use crate::framing::Framing;

/// Why options don't make a configuration: see [`ConfigBuilder`](crate::ConfigBuilder).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The dialect needs keys, and there are none.
    NoKeys(Dialect),
    /// `multiprocessing` has a framing of its own, and another one was chosen.
    OwnFraming(Framing),
    /// In `countersign/1`, chunks were chosen, and not that messages are protected always.
    UnprotectedChunks,
    /// This dialect has no records, and it was said when messages are protected.
    NoRecords(Dialect),
    /// This dialect knows no services, and one was named.
    NoAudience(Dialect),
    /// The name of a service is longer than 64 bytes.
    AudienceTooLong,
    /// Only a server of `countersign/1` can serve `raw` too, and this is another dialect.
    NoRaw(Dialect),
    /// Red Hat's Pythons speak `multiprocessing`, and this is another dialect.
    NoRhel(Dialect),
    /// Red Hat's Pythons and those that mean MD5 can't be told apart.
    RhelAndMac,
    /// This dialect has no HMAC whose hash could be chosen.
    NoMac(Dialect),
    /// The limit on a message is zero, or greater than 1 GiB.
    MessageMax(usize),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKeys(dialect) => write!(f, "{dialect} needs a key; add a key ring"),
            Self::OwnFraming(framing) => {
                write!(f, "multiprocessing has its own framing; choose none, instead of {framing}")
            }
            Self::UnprotectedChunks => f.write_str(
                "in countersign/1, chunks need records; require records, or choose another framing",
            ),
            Self::NoRecords(dialect) => {
                write!(f, "{dialect} has no records; don't choose when messages are protected")
            }
            Self::NoAudience(dialect) => {
                write!(f, "{dialect} has no audiences; name none")
            }
            Self::AudienceTooLong => f.write_str("an audience has at most 64 bytes; shorten it"),
            Self::NoRaw(dialect) => {
                write!(f, "{dialect} shares no port with raw; only countersign/1 does")
            }
            Self::NoRhel(dialect) => {
                write!(f, "{dialect} is not spoken by Red Hat's Pythons; only multiprocessing is")
            }
            Self::RhelAndMac => {
                f.write_str(
                    "Red Hat's Pythons can't be served beside those that mean MD5; choose",
                )?;
                f.write_str(" one of them")
            }
            Self::NoMac(dialect) => {
                write!(f, "{dialect} always has the same hash; choose no other")
            }
            Self::MessageMax(bytes) => {
                write!(f, "the limit on a message is {bytes} bytes; choose 1 byte to 1 GiB")
            }
        }
    }
}

impl core::error::Error for ConfigError {}

/// No key on the ring serves the dialect at this time, or not the one that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoUsableKeyError {
    pub(super) dialect: Dialect,
    pub(super) id: Option<String>,
    /// There is such a key, and it isn't valid yet or has run out.
    pub(super) is_dated: bool,
}

impl fmt::Display for NoUsableKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { dialect, id, is_dated } = self;
        match (id, is_dated) {
            (Some(id), false) => {
                write!(f, "there is no key {id} for {dialect}")?;
            }
            (None, false) => write!(f, "there is no key for {dialect}")?,
            (Some(id), true) => write!(f, "the key {id} is not yet valid or has expired")?,
            (None, true) => write!(f, "no key for {dialect} is valid now")?,
        }
        match is_dated {
            true => f.write_str("; change its not-before or not-after date, or add another key"),
            false => write!(f, "; add a key for {dialect}"),
        }
    }
}

impl core::error::Error for NoUsableKeyError {}
