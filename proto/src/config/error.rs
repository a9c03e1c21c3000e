//! Errors of configurations: options that can't be combined, and a missing key.

use alloc::string::String;
use core::fmt;

use crate::dialect::Dialect;
use crate::framing::Framing;

/// Options of a [`ConfigBuilder`](crate::ConfigBuilder) that can't be combined. The text names the
/// remedy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The dialect needs keys, and no key ring was set.
    NoKeys(Dialect),
    /// `multiprocessing` always has the framing `length`, and this one was set.
    OwnFraming(Framing),
    /// The framing `chunks` was set in `countersign/1`, but records are not required.
    UnprotectedChunks,
    /// [`Protection`](crate::Protection) was set, and this dialect has no records.
    NoRecords(Dialect),
    /// An audience was set, and this dialect has none.
    NoAudience(Dialect),
    /// The name of an audience is longer than 64 bytes.
    AudienceTooLong,
    /// Only a server of `countersign/1` can also serve `raw`, and this is another dialect.
    NoRaw(Dialect),
    /// Red Hat's Pythons speak `multiprocessing`, and this is another dialect.
    NoRhel(Dialect),
    /// Red Hat's Pythons can't be distinguished from those that use MD5, and both were to be
    /// served.
    RhelAndMac,
    /// A hash was set, and that of this dialect can't be chosen.
    NoMac(Dialect),
    /// The limit on a message is zero, or greater than 1 GiB.
    MessageMax(usize),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKeys(dialect) => write!(f, "{dialect} needs keys; add a key ring"),
            Self::OwnFraming(framing) => {
                write!(f, "multiprocessing always uses length; remove the framing {framing}")
            }
            Self::UnprotectedChunks => f.write_str(
                "in countersign/1, the framing chunks needs records; require records, or choose \
                 another framing",
            ),
            Self::NoRecords(dialect) => {
                write!(f, "{dialect} has no records; remove this option, or use countersign/1")
            }
            Self::NoAudience(dialect) => {
                write!(f, "{dialect} has no audiences; remove the audience, or use countersign/1")
            }
            Self::AudienceTooLong => {
                f.write_str("the name of an audience has at most 64 bytes; shorten it")
            }
            Self::NoRaw(dialect) => {
                write!(f, "{dialect} can't share a listener with raw; give each its own")
            }
            Self::NoRhel(dialect) => {
                write!(f, "Red Hat's Pythons don't speak {dialect}; use multiprocessing")
            }
            Self::RhelAndMac => f.write_str(
                "Red Hat's Pythons can't be distinguished from those that use MD5; remove one of \
                 the two options",
            ),
            Self::NoMac(dialect) => {
                write!(f, "the hash of {dialect} can't be chosen; remove this option")
            }
            Self::MessageMax(bytes) => {
                write!(f, "a message limit of {bytes} bytes is invalid; set 1 byte to 1 GiB")
            }
        }
    }
}

impl core::error::Error for ConfigError {}

/// No key of the ring can be used for the dialect at this time, or not the one that was asked for.
/// The text names the remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoUsableKeyError {
    pub(super) dialect: Dialect,
    pub(super) id: Option<String>,
    /// There is such a key, but it isn't valid yet or has expired.
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
