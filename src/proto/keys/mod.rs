//! The key ring: the keys that a listener or a client holds.

pub(crate) mod fault;
pub(crate) mod file;
pub(crate) mod key;
pub(crate) mod line;

use std::fmt;
use std::path::Path;

use crate::proto::dialect::Dialect;
use crate::proto::keys::fault::{KeyFault, KeyRingError};
use crate::proto::keys::key::{Key, Mac};

/// How many keys may serve one dialect in which the peer doesn't name its key: each of them is
/// tried for every proof.
pub const KEYS_TRIED_MAX: usize = 8;

/// The keys that a listener or a client holds, each under its id.
///
/// # The file
///
/// One key a line, fields separated by blanks: `id  encoding:secret  [option=value …]`. Encodings
/// are `hex:`, `base64:` and `text:`; the one option is `dialects=raw,hex`, the dialects that the
/// key serves. A line that begins with `#` is a comment.
///
/// ```
/// use countersign::KeyRing;
///
/// let ring = KeyRing::parse(b"garden  text:open-sesame-open-sesame  dialects=raw,hex\n")?;
/// assert_eq!(ring.keys().next().map(|key| key.id()), Some("garden"));
/// # Ok::<(), countersign::KeyRingError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct KeyRing {
    /// In the order of the file; ids and secrets are unique.
    keys: Vec<Key>,
}

impl KeyRing {
    /// A ring without keys, which serves the dialect `open` alone.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a ring from a file that nobody but its owner can read.
    ///
    /// # Errors
    ///
    /// The file can't be opened, is a symbolic link or no regular file, others may read it, it
    /// holds no key, or a line of it is at fault. The message says where, and how to mend it.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, KeyRingError> {
        let path = path.as_ref();
        let at_file = |fault| KeyRingError::new(fault).in_file(path);
        let text = file::read(path).map_err(at_file)?;
        let ring = Self::parse(&text).map_err(|error| error.in_file(path))?;
        if ring.keys.is_empty() { Err(at_file(KeyFault::NoKeys)) } else { Ok(ring) }
    }

    /// Reads a ring from the text of such a file.
    ///
    /// # Errors
    ///
    /// A line is at fault. The message says which, and how to mend it, and holds nothing secret.
    pub fn parse(text: &[u8]) -> Result<Self, KeyRingError> {
        let mut ring = Self::new();
        for (number, line) in line::lines(text) {
            let at_line = |fault| KeyRingError::new(fault).at_line(number);
            if let Some(key) = line::parse(line).map_err(at_line)? {
                ring.add(key).map_err(at_line)?;
            }
        }
        Ok(ring)
    }

    /// Adds a key.
    ///
    /// # Errors
    ///
    /// Its id or its secret is on the ring already, or too many serve one of its dialects.
    pub fn add(&mut self, key: Key) -> Result<(), KeyFault> {
        if self.keys.iter().any(|other| other.id() == key.id()) {
            return Err(KeyFault::DuplicateId(key.id().into()));
        }
        if let Some(other) = self.keys.iter().find(|other| other.same_secret(&key)) {
            return Err(KeyFault::DuplicateSecret(other.id().into()));
        }
        for dialect in Dialect::ALL {
            if key.serves(dialect) && self.serving(dialect).count() == KEYS_TRIED_MAX {
                return Err(KeyFault::TooMany(dialect));
            }
        }
        self.keys.push(key);
        Ok(())
    }

    /// The keys, in the order of the file.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter()
    }

    /// The keys that serve a dialect.
    pub fn serving(&self, dialect: Dialect) -> impl Iterator<Item = &Key> {
        self.keys.iter().filter(move |key| key.serves(dialect))
    }

    /// The key with this id.
    #[must_use]
    pub fn key(&self, id: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.id() == id)
    }

    /// The key whose proof this is. Each is tried, whatever the ones before it said, so that the
    /// time tells nobody how many there are before the one that fits.
    pub(crate) fn prove(
        &self,
        dialect: Dialect,
        mac: Mac,
        challenge: &[u8],
        proof: &[u8],
    ) -> Option<&Key> {
        self.serving(dialect).fold(None, |found, key| {
            if key.verifies(mac, challenge, proof) { Some(key) } else { found }
        })
    }
}

impl From<Key> for KeyRing {
    fn from(key: Key) -> Self {
        Self { keys: vec![key] }
    }
}

impl fmt::Display for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, key) in self.keys.iter().enumerate() {
            write!(f, "{}{}", if n == 0 { "" } else { ", " }, key.id())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_every_nicety_is_read() {
        let text = "\u{feff}# keys\r\n\r\n  one\ttext:芝麻开门 dialects=raw\r\n\
                    two hex:00ff00FF00ff00ff00ff00ff00ff00ff\n\
                    three base64:AAECAwQFBgcICQoLDA0ODw== dialects=hex,raw";
        let ring = KeyRing::parse(text.as_bytes()).unwrap();
        assert_eq!(ring.to_string(), "one, two, three");
        let serving = |dialect| ring.serving(dialect).map(Key::id).collect::<Vec<_>>();
        assert_eq!(serving(Dialect::Raw), ["one", "three"]);
        assert_eq!(serving(Dialect::Hex), ["three"]);
        assert_eq!(serving(Dialect::Open), [""; 0]);
        assert!(ring.key("one").unwrap().is_short());
        assert!(!ring.key("two").unwrap().is_short());
    }

    #[test]
    fn a_faulty_line_is_named_with_a_remedy_and_without_its_secret() {
        let cases = [
            ("key", "line 1: a key needs an id and a secret"),
            ("key s3cret", "line 1: the secret has no encoding"),
            ("key rot13:s3cret", "line 1: the secret has no encoding"),
            ("key hex:s3cret", "line 1: the secret is no hexadecimal text"),
            ("key hex:abc", "line 1: the secret is no hexadecimal text"),
            ("key base64:s3!cret", "line 1: the secret is no base64 text"),
            ("key text:", "line 1: the secret is empty"),
            ("key hex:", "line 1: the secret is empty"),
            ("key hex:0000", "line 1: the secret is empty"),
            ("key text:s3 cret", "line 1: the only option is dialects="),
            ("key text:s3cret dialects=rot13", "line 1: dialects= takes"),
            ("key text:s3cret dialects=", "line 1: dialects= takes"),
            ("key text:s3cret dialects=open", "line 1: dialects= takes"),
            ("key text:s3cret dialects=raw dialects=hex", "line 1: dialects= stands twice"),
            ("k text:s3cret\nk text:other", "line 2: the id k is on the ring already"),
            ("a text:s3cret\nb text:s3cret", "line 2: the secret is that of the key a"),
            ("a text:s3cret\nb hex:73336372657400", "line 2: the secret is that of the key a"),
        ];
        for (text, expected) in cases {
            let message = KeyRing::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(message.starts_with(expected), "{text:?}: {message}");
            assert!(message.contains(';'), "{text:?} has no remedy: {message}");
            assert!(!message.contains("s3"), "{message}");
        }
        let binary = KeyRing::parse(b"ok text:fine\nkey text:\xff").unwrap_err().to_string();
        assert!(binary.starts_with("line 2: the line is not UTF-8"), "{binary}");
    }

    #[test]
    fn ids_are_one_printable_word_of_at_most_64_bytes() {
        assert!(KeyRing::parse(format!("{} text:secret", "k".repeat(64)).as_bytes()).is_ok());
        for id in ["k".repeat(65), "a\u{7}b".into()] {
            let error = KeyRing::parse(format!("{id} text:secret").as_bytes()).unwrap_err();
            assert!(error.to_string().starts_with("line 1: an id is"), "{error}");
        }
    }

    #[test]
    fn at_most_eight_keys_serve_a_dialect() {
        let line = |n| format!("k{n} text:secret-{n} dialects=raw\n");
        let eight: String = (0..8).map(line).collect();
        assert!(KeyRing::parse(eight.as_bytes()).is_ok());
        let nine: String = (0..9).map(line).collect();
        let error = KeyRing::parse(nine.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with("line 9: more than 8 keys serve raw"), "{error}");
    }

    #[test]
    fn neither_debug_nor_display_shows_a_secret() {
        let ring = KeyRing::parse(b"key text:s3cret dialects=raw").unwrap();
        let shown = format!("{ring:?} {ring}");
        assert!(!shown.contains("s3cret") && shown.contains("key"), "{shown}");
    }
}
