//! What can be wrong with a key, and the limits that it must keep.

use alloc::string::String;
use core::fmt;

use crate::dialect::Dialect;

/// The longest id, and the longest audience.
pub(crate) const ID_MAX: usize = 64;

/// A secret shorter than this can be guessed (NIST SP 800-107 asks of an HMAC key that it be at
/// least as long as the security strength, 16 bytes for 128 bits).
pub(crate) const SHORT: usize = 16;

/// How many keys may serve one dialect in which the peer doesn't name its key: each of them is
/// tried for every proof.
pub const KEYS_TRIED_MAX: usize = 8;

/// What is wrong with a key. The text names the remedy, and never a secret.
#[non_exhaustive]
pub enum KeyError {
    /// The id isn't one printable word of at most 64 bytes.
    BadId,
    /// The secret has no bytes, or zeros only.
    EmptySecret,
    /// The secret has fewer than 16 bytes, and the key is for `countersign/1`.
    TooShort,
    /// The key serves `multiprocessing` and also `raw` or `hex`.
    MixedDialects,
    /// The audience isn't one printable word of at most 64 bytes.
    BadAudience,
    /// The key expires before it becomes valid.
    NeverValid,
    /// Another key has this id.
    DuplicateId(String),
    /// The key with this id has the same secret.
    DuplicateSecret(String),
    /// More keys serve the dialect than are tried.
    TooMany(Dialect),
}

const MIXED: &str = "a Python program can be tricked into signing the challenge of a raw or hex \
                     server, so a key for multiprocessing can't be for raw or hex too; use \
                     separate keys";

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadId => {
                write!(f, "an id is one printable word of 1 to {ID_MAX} bytes; choose another")
            }
            Self::EmptySecret => f.write_str("the secret is empty; use 32 random bytes"),
            Self::TooShort => write!(
                f,
                "the secret has fewer than {SHORT} bytes, too few for countersign/1; use 32 random \
                 bytes, or use the key for raw and hex only"
            ),
            Self::MixedDialects => f.write_str(MIXED),
            Self::BadAudience => {
                write!(f, "an audience is one printable word of 1 to {ID_MAX} bytes; change it")
            }
            Self::NeverValid => {
                f.write_str("the key expires before it becomes valid; change one of the dates")
            }
            Self::DuplicateId(id) => {
                write!(f, "the id {id} is used twice; change one of them")
            }
            Self::DuplicateSecret(id) => {
                write!(f, "the key {id} has the same secret; remove one of them")
            }
            Self::TooMany(dialect) => write!(
                f,
                "more than {KEYS_TRIED_MAX} keys are for {dialect}, and each is tried for every \
                 proof; remove {dialect} from the dialects of one"
            ),
        }
    }
}

impl fmt::Debug for KeyError {
    /// The text, since a `main` that fails prints this.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for KeyError {}
