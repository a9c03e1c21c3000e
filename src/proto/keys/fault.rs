//! What can be wrong with a key, a line of a key file, or the file.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::files::FileError;
use crate::proto::dialect::Dialect;
use crate::proto::keys::KEYS_TRIED_MAX;
use crate::proto::keys::key::SHORT;

/// The longest id, and the longest audience.
pub(crate) const ID_MAX: usize = 64;

/// What is wrong with a key or a key file. The text names the remedy, and never a secret.
#[non_exhaustive]
pub enum KeyError {
    /// The file can't be read, or isn't to be believed.
    File(FileError),
    /// There is no key in it.
    NoKeys,
    /// The line isn't UTF-8.
    NotUtf8,
    /// The line has only one field.
    NoSecret,
    /// The id isn't one printable word of at most 64 bytes.
    BadId,
    /// The secret doesn't say how it is written.
    NoEncoding,
    /// The secret is not what its encoding says: the encoding's name.
    BadEncoding(&'static str),
    /// The secret has no bytes, or zeros only.
    EmptySecret,
    /// The secret has fewer than 16 bytes, and the key is for `countersign/1`.
    TooShort,
    /// An option that isn't known.
    UnknownOption,
    /// An option stands twice: its name.
    RepeatedOption(String),
    /// `dialects=` names none, or one that takes no key.
    BadDialects,
    /// `dialects=` names `multiprocessing` and also `raw` or `hex`.
    MixedDialects,
    /// The audience isn't one printable word of at most 64 bytes.
    BadAudience,
    /// The option is no date: its name.
    BadDate(&'static str),
    /// It ends before it begins.
    NeverValid,
    /// Another key has this id.
    DuplicateId(String),
    /// The key with this id has the same secret.
    DuplicateSecret(String),
    /// More keys serve the dialect than are tried.
    TooMany(Dialect),
}

const MIXED: &str = "a Python that is led astray signs what a server of raw or hex has drawn, so \
                     no key serves multiprocessing beside these; give each a key of its own";

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(fault) if fault.is_missing() => f.write_str(
                "no such file; `countersign keygen --keys FILE` makes one for a server, and a \
                 client needs the line of a key from there",
            ),
            Self::File(fault) => fault.fmt(f),
            Self::NoKeys => f.write_str(
                "holds no key; `countersign keygen --keys FILE` adds one for a server, and a \
                 client needs the line of a key from there",
            ),
            Self::NotUtf8 => f.write_str("the line is not UTF-8; write such a secret as hex:"),
            Self::NoSecret => {
                f.write_str("a key needs an id and a secret; write `id  hex:00112233…`")
            }
            Self::BadId => {
                write!(f, "an id is one printable word of 1 to {ID_MAX} bytes; give it another")
            }
            Self::NoEncoding => f.write_str(
                "the secret has no encoding; write hex:, base64:, text: or passphrase: before it",
            ),
            Self::BadEncoding(name) => {
                write!(f, "the secret is no {name} text; mend it or choose another encoding")
            }
            Self::EmptySecret => f.write_str(
                "the secret is empty; `countersign keygen ID` makes a key with a good one",
            ),
            Self::TooShort => write!(
                f,
                "the secret has fewer than {SHORT} bytes, too few for countersign/1; `countersign \
                 keygen ID` makes a key with a good one, or write dialects=raw,hex if it is for \
                 these alone"
            ),
            Self::UnknownOption => f.write_str(
                "options are dialects=, audience=, not-before= and not-after=; write a text: \
                 secret with blanks as hex: or base64:",
            ),
            Self::RepeatedOption(name) => {
                write!(f, "{name}= stands twice; write all that it says in one, or remove one")
            }
            Self::BadDialects => f.write_str(
                "dialects= takes countersign/1, raw, hex and multiprocessing; write one, or \
                 several with commas between them",
            ),
            Self::MixedDialects => f.write_str(MIXED),
            Self::BadAudience => {
                write!(f, "an audience is one printable word of 1 to {ID_MAX} bytes; change it")
            }
            Self::BadDate(name) => write!(
                f,
                "{name}= takes a date; write it as 2027-01-31, or with the time of day as \
                 2027-01-31T12:00:00Z"
            ),
            Self::NeverValid => {
                f.write_str("not-after= is no later than not-before=; change one of them")
            }
            Self::DuplicateId(id) => {
                write!(f, "the id {id} is on the ring already; give one of them another")
            }
            Self::DuplicateSecret(id) => {
                write!(f, "the secret is that of the key {id}; remove one of them")
            }
            Self::TooMany(dialect) => write!(
                f,
                "more than {KEYS_TRIED_MAX} keys serve {dialect}, and each is tried for every \
                 proof; take {dialect} from the dialects= of one"
            ),
        }
    }
}

impl fmt::Debug for KeyError {
    /// What a `main` that fails prints, so it is the text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for KeyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        if let Self::File(fault) = self { Some(fault) } else { None }
    }
}

/// A key ring that can't be used: which file and line, what is wrong, and the remedy.
pub struct KeyRingError {
    path: Option<PathBuf>,
    line: Option<usize>,
    fault: KeyError,
}

impl KeyRingError {
    pub(crate) fn new(fault: KeyError) -> Self {
        Self { path: None, line: None, fault }
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
    pub fn fault(&self) -> &KeyError {
        &self.fault
    }

    /// The line at fault, counted from 1.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.line
    }
}

impl fmt::Display for KeyRingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            write!(f, "{}: ", path.display())?;
        }
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        self.fault.fmt(f)
    }
}

impl fmt::Debug for KeyRingError {
    /// What a `main` that fails prints, so it is the text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for KeyRingError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.fault)
    }
}
