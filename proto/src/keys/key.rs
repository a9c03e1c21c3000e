//! One key: a secret of which only the keyed states of the HMAC are kept.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;
use core::time::Duration;

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac as _};
use sha2::Sha256;
use zeroize::{Zeroize as _, Zeroizing};

use crate::dialect::{Dialect, Dialects};
use crate::keys::fault::{ID_MAX, KeyError, SHORT};
use crate::keys::passphrase;
use crate::keys::validity::{Validity, ValidityPeriod};
use crate::keys::wipe;

/// The bytes of what HKDF extracts from a secret.
pub(crate) const PRK: usize = 32;

/// The bytes of an HMAC-MD5, which is recognized also where the feature to compute it is off.
pub(crate) const MD5_TAG: usize = 16;

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
            Self::Md5 => MD5_TAG,
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
/// ```
/// use countersign_proto::{Dialect, Key};
///
/// let key = Key::new("garden", b"sixteen bytes or more")?;
/// assert!(key.serves(Dialect::Countersign) && !key.serves(Dialect::Raw));
/// let key = Key::new("gate", b"short")?.with_dialect(Dialect::Raw);
/// assert!(key.serves(Dialect::Raw) && !key.serves(Dialect::Countersign));
/// # Ok::<(), countersign_proto::KeyError>(())
/// ```
///
/// [`KeyRing`]: crate::KeyRing
#[derive(Clone)]
pub struct Key {
    /// What the ring, the logs and the service call it.
    id: Box<str>,
    /// What it may be used for; none stands for `countersign/1` alone.
    dialects: Dialects,
    /// The service that it is for; empty for any.
    audience: Box<str>,
    /// When it is valid.
    validity: ValidityPeriod,
    /// It is shorter than [`SHORT`].
    short: bool,
    /// Its number on the ring.
    number: KeyNumber,
    /// Equal for two secrets that are the same key of an HMAC.
    identity: [u8; 32],
    /// What HKDF (RFC 5869) has extracted from the secret.
    prk: Zeroizing<[u8; PRK]>,
    /// HMAC-SHA256 with the pads absorbed.
    sha256: Hmac<Sha256>,
    /// HMAC-MD5 likewise.
    #[cfg(feature = "legacy-md5")]
    md5: Hmac<md5::Md5>,
}

/// Distinguishes a key from earlier and later ones with the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct KeyNumber(pub(crate) u32);

/// What a peer has authenticated with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credential {
    /// The key, by its number on the ring.
    pub number: KeyNumber,
    /// The dialect that was spoken.
    pub dialect: Dialect,
}

impl Key {
    /// A key for the dialect `countersign/1`, unless [`with_dialect`](Self::with_dialect) names
    /// others.
    ///
    /// # Errors
    ///
    /// The id isn't one printable word of at most 64 bytes, or the secret is empty. A secret of
    /// zero bytes alone is empty too: an HMAC pads its key with zeros, so it can't tell them apart.
    pub fn new(id: &str, secret: &[u8]) -> Result<Self, KeyError> {
        wipe::without_traces(|| Self::of_secret(id, secret))
    }

    fn of_secret(id: &str, secret: &[u8]) -> Result<Self, KeyError> {
        check_id(id)?;
        if secret.iter().all(|&byte| byte == 0) {
            return Err(KeyError::EmptySecret);
        }
        let sha256: Hmac<Sha256> = keyed(secret)?;
        Ok(Self {
            id: id.into(),
            dialects: Dialects::default(),
            audience: "".into(),
            validity: ValidityPeriod::default(),
            short: secret.len() < SHORT,
            number: KeyNumber::default(),
            identity: tag(&sha256, b"countersign fingerprint").finalize().into_bytes().into(),
            prk: extract(secret),
            sha256,
            #[cfg(feature = "legacy-md5")]
            md5: keyed(secret)?,
        })
    }

    /// A key from a secret that people can remember: PBKDF2-HMAC-SHA256 of it with 600,000 rounds
    /// and the id in the salt, 32 bytes. It takes a good part of a second.
    ///
    /// Anyone who knows the id can test guesses offline, so use a passphrase only for a key that
    /// must be spoken: five or more words, chosen with dice.
    ///
    /// # Errors
    ///
    /// The id isn't one printable word of at most 64 bytes, or the passphrase is empty.
    pub fn from_passphrase(id: &str, passphrase: &[u8]) -> Result<Self, KeyError> {
        check_id(id)?;
        if passphrase.is_empty() {
            return Err(KeyError::EmptySecret);
        }
        wipe::without_traces(|| Self::of_secret(id, &passphrase::stretch(id, passphrase)?))
    }

    /// The same key for a dialect, and for those that were named before, instead of
    /// `countersign/1` alone.
    #[must_use]
    pub fn with_dialect(mut self, dialect: Dialect) -> Self {
        self.dialects = self.dialects.with(dialect);
        self
    }

    /// The same key for one service only, which both ends give this name.
    ///
    /// # Errors
    ///
    /// The name isn't one printable word of at most 64 bytes.
    pub fn with_audience(mut self, audience: &str) -> Result<Self, KeyError> {
        if !is_word(audience) {
            return Err(KeyError::BadAudience);
        }
        self.audience = audience.into();
        Ok(self)
    }

    /// The same key, valid from an instant on: the time since 1970 began, in UTC.
    #[must_use]
    pub fn with_not_before(mut self, since_epoch: Duration) -> Self {
        self.validity.from = Some(since_epoch);
        self
    }

    /// The same key, valid until an instant: the time since 1970 began, in UTC.
    #[must_use]
    pub fn with_not_after(mut self, since_epoch: Duration) -> Self {
        self.validity.until = Some(since_epoch);
        self
    }

    /// The id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether the key may be used for a dialect. For `countersign/1`, its secret must have 16
    /// bytes at least; with `multiprocessing` beside `raw` or `hex`, it serves none of these.
    #[must_use]
    pub fn serves(&self, dialect: Dialect) -> bool {
        self.names(dialect)
            && match dialect {
                Dialect::Countersign => !self.short,
                _ => !self.is_mixed(),
            }
    }

    /// The dialects that it may be used for.
    pub fn dialects(&self) -> impl Iterator<Item = Dialect> {
        Dialect::ALL.iter().copied().filter(|&dialect| self.serves(dialect))
    }

    /// The service that it is for; empty for any.
    #[must_use]
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// From when on it is valid: the time since 1970 began.
    #[must_use]
    pub fn not_before(&self) -> Option<Duration> {
        self.validity.from
    }

    /// Until when it is valid: the time since 1970 began.
    #[must_use]
    pub fn not_after(&self) -> Option<Duration> {
        self.validity.until
    }

    /// Its validity at this time. A ring accepts it while it is [valid](Validity::Valid).
    #[must_use]
    pub fn validity_at(&self, now: Duration) -> Validity {
        self.validity.at(now)
    }

    /// Whether it is valid at this time.
    #[must_use]
    pub fn is_valid_at(&self, now: Duration) -> bool {
        self.validity_at(now) == Validity::Valid
    }

    /// Whether the secret has fewer than 16 bytes, so that anyone who has seen a proof can guess
    /// it.
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
        base16ct::lower::encode_string(&self.identity[..8])
    }

    /// Why it can't be on a ring, if it can't.
    pub(crate) fn check(&self) -> Result<(), KeyError> {
        if self.short && self.names(Dialect::Countersign) {
            return Err(KeyError::TooShort);
        }
        if self.is_mixed() {
            return Err(KeyError::MixedDialects);
        }
        if self.validity.is_never() { Err(KeyError::NeverValid) } else { Ok(()) }
    }

    fn names(&self, dialect: Dialect) -> bool {
        match self.dialects.is_empty() {
            true => dialect == Dialect::Countersign,
            false => self.dialects.contains(dialect),
        }
    }

    /// Whether clients of one dialect could be made to answer the challenge of another: a Python up
    /// to 3.11 that connects to a false server signs any bytes, such as the challenge of a server
    /// of `raw`.
    fn is_mixed(&self) -> bool {
        let challenged = self.names(Dialect::Raw) || self.names(Dialect::Hex);
        challenged && self.names(Dialect::Multiprocessing)
    }

    /// The number that its ring has given it.
    #[must_use]
    pub fn number(&self) -> KeyNumber {
        self.number
    }

    pub(crate) fn credential(&self, dialect: Dialect) -> Credential {
        Credential { number: self.number, dialect }
    }

    pub(crate) fn set_number(&mut self, number: KeyNumber) {
        self.number = number;
    }

    /// The pseudorandom key that expands into the keys of a session: HKDF-Extract was done once,
    /// with the salt "countersign/1 psk".
    pub(crate) fn prk(&self) -> &[u8; PRK] {
        &self.prk
    }

    /// Whether both secrets are the same key of an HMAC, as "k" and "k\0" are.
    pub(crate) fn same_secret(&self, other: &Self) -> bool {
        self.identity == other.identity
    }

    /// Whether peers that authenticated with this key could also do so with the new one: it has the
    /// same id and secret, and its audience is the same or any.
    pub(crate) fn lets_in_as(&self, new: &Self) -> bool {
        let is_for_it = new.audience.is_empty() || new.audience == self.audience;
        self.id == new.id && self.same_secret(new) && is_for_it
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

fn check_id(id: &str) -> Result<(), KeyError> {
    if is_word(id) && !id.starts_with('#') { Ok(()) } else { Err(KeyError::BadId) }
}

/// One printable word of 1 to 64 bytes.
fn is_word(text: &str) -> bool {
    // A byte order mark comes from a file that was put behind another one, and nobody sees it.
    let printable = |c: char| !c.is_whitespace() && !c.is_control() && c != '\u{feff}';
    (1..=ID_MAX).contains(&text.len()) && text.chars().all(printable)
}

fn extract(secret: &[u8]) -> Zeroizing<[u8; PRK]> {
    let (mut extracted, _) = Hkdf::<Sha256>::extract(Some(b"countersign/1 psk"), secret);
    let mut prk = Zeroizing::new([0; PRK]);
    prk.copy_from_slice(&extracted);
    extracted.as_mut_slice().zeroize();
    prk
}

/// HMAC accepts keys of any length, so this never fails.
fn keyed<M: KeyInit>(secret: &[u8]) -> Result<M, KeyError> {
    M::new_from_slice(secret).map_err(|_| KeyError::EmptySecret)
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

#[cfg(test)]
mod tests;
