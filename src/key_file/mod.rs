//! Key files: the text in which a [`KeyRing`] is kept, and reading it.

pub(crate) mod date;
pub(crate) mod error;
pub(crate) mod line;

use std::io;
use std::path::Path;

use countersign_proto::{Key, KeyRing, RingSecrets, without_traces};

use crate::files::FileRules;
use crate::key_file::error::{KeyFileError, KeyRingError};
use crate::random;

/// Makes a [`KeyRing`] from a key file, from one key or empty, with random bytes of the system.
///
/// # The file
///
/// One key per line, with fields separated by blanks: `id  encoding:secret  [option=value …]`. A
/// line that begins with `#` is a comment. The secret is written in one of four ways:
///
/// | encoding | the secret is | | --- | --- | | `hex:` | the bytes in hexadecimal digits | |
/// `base64:` | the bytes in base64, with or without `=` at the end | | `text:` | the text itself,
/// which has no blanks, in UTF-8 | | `passphrase:` | derived from the text by
/// [`Key::from_passphrase`](crate::Key::from_passphrase) |
///
/// Each option may be given once:
///
/// | option | without it |
/// | --- | --- |
/// | `dialects=NAME,NAME`: what the key may be used for | `countersign/1` alone |
/// | `audience=NAME`: the only service that it is for | any |
/// | `not-before=DATE`: from when on it is valid | always |
/// | `not-after=DATE`: until when it is valid | always |
///
/// A date is written as in RFC 3339: a day (`2027-01-31`, in UTC, all of which is included) or an
/// instant (`2027-01-31T12:00:00Z`, `2027-01-31T12:00:00+02:00`). Dates before 1970 count as the
/// beginning of 1970.
///
/// ```
/// use countersign::{Dialect, KeyRing, KeyRingExt as _};
///
/// let ring = KeyRing::parse(b"
/// ## Keys of the house.
/// garden  hex:9f86d081884c7d659a2feaa0c55ad015  audience=sprinkler
/// gate    text:open-sesame                      dialects=raw,hex  not-after=2027-01-31
/// shed    base64:AAECAwQFBgcICQoLDA0ODw==       not-before=2027-01-01T06:00:00+01:00
/// ")?;
/// let dialects: Vec<_> = ring.keys().map(|key| key.serves(Dialect::Countersign)).collect();
/// assert_eq!(dialects, [true, false, true]);
/// assert_eq!(ring.key("garden").map(|key| key.audience()), Some("sprinkler"));
/// # Ok::<(), countersign::KeyRingError>(())
/// ```
pub trait KeyRingExt: Sized {
    /// Reads a ring from a file or a pipe that only its owner can read, by the rules of
    /// [`FileRules::secret`].
    ///
    /// # Errors
    ///
    /// The file can't be opened or doesn't meet the rules, it has no key, or a line is malformed.
    /// The error says where, and its source names the remedy.
    fn from_file(path: impl AsRef<Path>) -> Result<Self, KeyRingError> {
        Self::from_file_with(FileRules::secret(), path)
    }

    /// Reads a ring from a file that meets other rules.
    ///
    /// # Errors
    ///
    /// As for [`from_file`](Self::from_file).
    fn from_file_with(rules: FileRules, path: impl AsRef<Path>) -> Result<Self, KeyRingError>;

    /// Reads a ring from the text of such a file.
    ///
    /// # Errors
    ///
    /// A line is malformed. The error says which, its source names the remedy, and neither contains
    /// anything secret.
    fn parse(text: &[u8]) -> Result<Self, KeyRingError>;

    /// A ring with this key only.
    ///
    /// # Errors
    ///
    /// No ring can have the key: see [`KeyRing::add`].
    fn from_key(key: Key) -> Result<Self, KeyRingError>;

    /// A ring without keys.
    ///
    /// # Errors
    ///
    /// The system provides no random bytes, which every ring needs.
    fn empty() -> io::Result<Self>;
}

impl KeyRingExt for KeyRing {
    fn from_file_with(rules: FileRules, path: impl AsRef<Path>) -> Result<Self, KeyRingError> {
        let path = path.as_ref();
        let text = rules.read(path).map_err(|error| KeyRingError::new(error).in_file(path))?;
        let ring = Self::parse(&text).map_err(|error| error.in_file(path))?;
        if ring.keys().next().is_none() {
            return Err(KeyRingError::new(KeyFileError::NoKeys).in_file(path));
        }
        Ok(ring)
    }

    fn parse(text: &[u8]) -> Result<Self, KeyRingError> {
        without_traces(|| parse_lines(text))
    }

    fn from_key(key: Key) -> Result<Self, KeyRingError> {
        Ok(fresh()?.with(key)?)
    }

    fn empty() -> io::Result<Self> {
        Ok(Self::new(RingSecrets::new(random::bytes()?)))
    }
}

fn fresh() -> Result<KeyRing, KeyRingError> {
    KeyRing::empty().map_err(|error| KeyRingError::new(KeyFileError::Random(error)))
}

fn parse_lines(text: &[u8]) -> Result<KeyRing, KeyRingError> {
    let mut ring = fresh()?;
    for (number, line) in line::lines(text) {
        if let Some(key) = line::parse(line).map_err(|e| KeyRingError::new(e).at_line(number))? {
            ring.add(key).map_err(|error| KeyRingError::new(error).at_line(number))?;
        }
    }
    Ok(ring)
}

#[cfg(test)]
mod tests;

#[cfg(target_os = "linux")]
#[cfg(test)]
mod traces;
