//! One key: a secret of which only the keyed states of the HMAC are kept.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::proto::dialect::{Dialect, Dialects};
use crate::proto::keys::fault::{ID_MAX, KeyFault};

/// A secret shorter than this can be guessed (NIST SP 800-107 asks of an HMAC key that it be at
/// least as long as the security strength, 16 bytes for 128 bits).
pub(crate) const SHORT: usize = 16;

/// The hash under the HMAC of a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Mac {
    /// HMAC-SHA256: a tag of 32 bytes.
    #[default]
    Sha256,
    /// HMAC-MD5: a tag of 16 bytes, for programs written before Python 3.8.
    #[cfg(feature = "legacy-md5")]
    Md5,
}

impl Mac {
    /// The bytes of a tag.
    #[must_use]
    pub fn length(self) -> usize {
        match self {
            Self::Sha256 => 32,
            #[cfg(feature = "legacy-md5")]
            Self::Md5 => 16,
        }
    }

    /// The name, as it stands on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            #[cfg(feature = "legacy-md5")]
            Self::Md5 => "md5",
        }
    }
}

/// A secret that both ends share, and the id under which it stands on the [`KeyRing`].
///
/// The secret itself isn't kept: the HMAC's keyed states are, computed once and cloned for each
/// proof. They are wiped when the key is dropped, and shown by no `Debug`.
///
/// [`KeyRing`]: crate::KeyRing
#[derive(Clone)]
pub struct Key {
    /// What the ring, the logs and the service call it.
    id: Box<str>,
    /// What it may be used for.
    dialects: Dialects,
    /// It is shorter than [`SHORT`].
    short: bool,
    /// HMAC-SHA256 with the pads absorbed.
    sha256: Hmac<Sha256>,
    /// HMAC-MD5 likewise.
    #[cfg(feature = "legacy-md5")]
    md5: Hmac<md5::Md5>,
}

impl Key {
    /// A key that serves no dialect yet: see [`with_dialect`](Self::with_dialect).
    ///
    /// # Errors
    ///
    /// The id isn't one printable word of at most 64 bytes, or the secret is empty. A secret of
    /// zero bytes alone is empty too: an HMAC pads its key with zeros, so it can't tell them apart.
    pub fn new(id: &str, secret: &[u8]) -> Result<Self, KeyFault> {
        let printable = |c: char| !c.is_whitespace() && !c.is_control();
        if id.is_empty() || id.len() > ID_MAX || !id.chars().all(printable) || id.starts_with('#') {
            return Err(KeyFault::BadId);
        }
        if secret.iter().all(|&byte| byte == 0) {
            return Err(KeyFault::EmptySecret);
        }
        Ok(Self {
            id: id.into(),
            dialects: Dialects::default(),
            short: secret.len() < SHORT,
            sha256: keyed(secret)?,
            #[cfg(feature = "legacy-md5")]
            md5: keyed(secret)?,
        })
    }

    /// The same key, serving a dialect more.
    #[must_use]
    pub fn with_dialect(mut self, dialect: Dialect) -> Self {
        self.dialects = self.dialects.with(dialect);
        self
    }

    /// The id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether the key may be used for a dialect.
    #[must_use]
    pub fn serves(&self, dialect: Dialect) -> bool {
        self.dialects.contains(dialect)
    }

    /// Whether the secret has fewer than 16 bytes, and so can be guessed by whoever saw a proof.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.short
    }

    /// 16 hexadecimal digits by which two people can compare a key without showing it.
    ///
    /// They are the front of HMAC-SHA256(secret, "countersign fingerprint"). Of a secret that can
    /// be guessed, they confirm the guess.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        base16ct::lower::encode_string(&self.identity()[..8])
    }

    /// Whether an HMAC can't tell the two apart, as with "k" and "k\0".
    pub(crate) fn same_secret(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }

    fn identity(&self) -> [u8; 32] {
        tag(&self.sha256, b"countersign fingerprint").finalize().into_bytes().into()
    }

    /// The HMAC of a message; the bytes past [`Mac::length`] are zero.
    pub(crate) fn sign(&self, mac: Mac, message: &[u8]) -> [u8; 32] {
        match mac {
            Mac::Sha256 => tag(&self.sha256, message).finalize().into_bytes().into(),
            #[cfg(feature = "legacy-md5")]
            Mac::Md5 => {
                let mut padded = [0; 32];
                padded[..16].copy_from_slice(&tag(&self.md5, message).finalize().into_bytes());
                padded
            }
        }
    }

    /// Whether this is the HMAC of the message; compared in constant time.
    pub(crate) fn verifies(&self, mac: Mac, message: &[u8], proof: &[u8]) -> bool {
        match mac {
            Mac::Sha256 => tag(&self.sha256, message).verify_slice(proof).is_ok(),
            #[cfg(feature = "legacy-md5")]
            Mac::Md5 => tag(&self.md5, message).verify_slice(proof).is_ok(),
        }
    }
}

/// An HMAC takes a key of any length, so this fails for none.
fn keyed<M: KeyInit>(secret: &[u8]) -> Result<M, KeyFault> {
    M::new_from_slice(secret).map_err(|_| KeyFault::EmptySecret)
}

fn tag<M: hmac::Mac + Clone>(keyed: &M, message: &[u8]) -> M {
    let mut mac = keyed.clone();
    mac.update(message);
    mac
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Bytes that are wiped when they are dropped.
pub(crate) type Secret = Zeroizing<Vec<u8>>;

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        base16ct::lower::encode_string(bytes)
    }

    #[test]
    fn hmac_sha256_is_that_of_rfc_4231() {
        let key = Key::new("case-2", b"Jefe").unwrap();
        let tag = key.sign(Mac::Sha256, b"what do ya want for nothing?");
        assert_eq!(hex(&tag), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        let key = Key::new("case-6", &[0xaa; 131]).unwrap();
        let tag = key.sign(Mac::Sha256, b"Test Using Larger Than Block-Size Key - Hash Key First");
        assert_eq!(hex(&tag), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    }

    #[cfg(feature = "legacy-md5")]
    #[test]
    fn hmac_md5_is_that_of_rfc_2202() {
        let key = Key::new("case-2", b"Jefe").unwrap();
        let tag = key.sign(Mac::Md5, b"what do ya want for nothing?");
        assert_eq!(hex(&tag[..16]), "750c783e6ab0b503eaa86e310a5db738");
        assert_eq!(tag[16..], [0; 16]);
    }

    #[test]
    fn a_proof_of_another_length_is_wrong() {
        let key = Key::new("key", b"secret").unwrap();
        let tag = key.sign(Mac::Sha256, b"challenge");
        assert!(key.verifies(Mac::Sha256, b"challenge", &tag));
        assert!(!key.verifies(Mac::Sha256, b"challenge", &tag[..31]));
        assert!(!key.verifies(Mac::Sha256, b"challenge", &[&tag[..], b"\0"].concat()));
        assert!(!key.verifies(Mac::Sha256, b"challenge", b""));
    }

    #[test]
    fn fingerprints_tell_keys_apart() {
        let fingerprint = |secret: &[u8]| Key::new("key", secret).unwrap().fingerprint();
        assert_eq!(fingerprint(b"secret").len(), 16);
        assert_ne!(fingerprint(b"secret"), fingerprint(b"secreu"));
        assert_eq!(fingerprint(b"secret"), fingerprint(b"secret\0"), "one key to an HMAC");
    }
}
