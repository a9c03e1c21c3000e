//! The errors of key files and their lines.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use countersign_proto::KeyError;

use crate::files::FileError;
use crate::os_error;

/// A key ring that can't be read: the file and the line at fault. Its
/// [source](std::error::Error::source) is the [cause](Self::cause), which names the remedy.
pub struct KeyRingError {
    path: Option<PathBuf>,
    line: Option<usize>,
    cause: KeyFileError,
}

/// What is wrong with a key file, or a line of it. The text names the remedy, and never a secret.
#[derive(Debug)]
#[non_exhaustive]
pub enum KeyFileError {
    /// The file can't be read, or isn't trusted.
    File(FileError),
    /// It has no key.
    NoKeys,
    /// The line isn't UTF-8.
    NotUtf8,
    /// The line has only one field.
    NoSecret,
    /// The secret has no encoding.
    NoEncoding,
    /// The secret doesn't match its encoding, of this name.
    BadEncoding(&'static str),
    /// An option is unknown.
    UnknownOption,
    /// The option of this name is given twice.
    RepeatedOption(String),
    /// `dialects=` names none, or one that takes no key.
    BadDialects,
    /// The option of this name is not a date.
    BadDate(&'static str),
    /// The key can't be on the ring.
    Key(KeyError),
    /// The system provides no random bytes, which every ring needs.
    Random(io::Error),
}

impl KeyRingError {
    pub(crate) fn new(cause: impl Into<KeyFileError>) -> Self {
        Self { path: None, line: None, cause: cause.into() }
    }

    pub(crate) fn in_file(mut self, path: &Path) -> Self {
        self.path = Some(path.to_owned());
        self
    }

    pub(crate) fn at_line(mut self, line: usize) -> Self {
        self.line = Some(line);
        self
    }

    /// What is wrong.
    #[must_use]
    pub fn cause(&self) -> &KeyFileError {
        &self.cause
    }

    /// The file, where the keys come from one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The line at fault, counted from 1.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.line
    }
}

impl fmt::Display for KeyRingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.path, self.line) {
            (Some(path), Some(line)) => write!(f, "{}: line {line}", path.display()),
            (Some(path), None) => write!(f, "{}", path.display()),
            (None, Some(line)) => write!(f, "line {line}"),
            (None, None) => f.write_str("no key ring can be made"),
        }
    }
}

impl fmt::Debug for KeyRingError {
    /// The text with all of its causes, since a `main` that fails prints this.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&os_error::chain(self))
    }
}

impl Error for KeyRingError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.cause)
    }
}

impl fmt::Display for KeyFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::NoKeys => f.write_str("holds no key; add one"),
            Self::NotUtf8 => f.write_str("the line is not UTF-8; write such a secret as hex:"),
            Self::NoSecret => {
                f.write_str("a key needs an id and a secret; write `id  hex:00112233…`")
            }
            Self::NoEncoding => f.write_str(
                "the secret has no encoding; write hex:, base64:, text: or passphrase: before it",
            ),
            Self::BadEncoding(name) => {
                write!(f, "the secret is not valid {name}; correct it or choose another encoding")
            }
            Self::UnknownOption => f.write_str(
                "options are dialects=, audience=, not-before= and not-after=; write a text: \
                 secret with blanks as hex: or base64:",
            ),
            Self::RepeatedOption(name) => {
                write!(f, "{name}= is given twice; combine the two, or remove one")
            }
            Self::BadDialects => f.write_str(
                "dialects= takes countersign/1, raw, hex and multiprocessing; write one, or \
                 several separated by commas",
            ),
            Self::BadDate(name) => write!(
                f,
                "{name}= takes a date; write it as 2027-01-31, or with the time of day as \
                 2027-01-31T12:00:00Z"
            ),
            Self::Key(error) => error.fmt(f),
            Self::Random(_) => f.write_str("no random bytes can be had"),
        }
    }
}

impl Error for KeyFileError {
    /// If the text is another error's, the source is that error's source.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::File(error) => error.source(),
            Self::Random(error) => Some(error),
            _ => None,
        }
    }
}

impl From<KeyError> for KeyRingError {
    fn from(error: KeyError) -> Self {
        Self::new(error)
    }
}

impl From<FileError> for KeyFileError {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

impl From<KeyError> for KeyFileError {
    fn from(error: KeyError) -> Self {
        Self::Key(error)
    }
}
