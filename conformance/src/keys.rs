//! The secrets of a key file, which the library reads but doesn't give out.

use std::path::Path;
use std::time::Duration;

use base64ct::{Base64, Base64Unpadded, Encoding as _};
use countersign::{Dialect, Key, KeyRing, KeyRingError, KeyRingExt as _};

use crate::needs::{Feature, KeyChoice};
use crate::secrets::{keyed, tag};

/// The keys that both ends of a test know.
#[derive(Clone)]
pub struct TestKeys {
    keys: Vec<TestKey>,
}

/// One key, and what it is good for.
#[derive(Clone)]
pub(crate) struct TestKey {
    pub(crate) id: Vec<u8>,
    pub(crate) secret: Vec<u8>,
    purpose: KeyChoice,
    serves_raw: bool,
}

impl TestKeys {
    /// The keys of a file, which is read by the rules of the library.
    ///
    /// # Errors
    ///
    /// The library rejects the file.
    pub fn from_file(path: &Path, now: Duration) -> Result<Self, KeyRingError> {
        let ring = KeyRing::from_file(path)?;
        let text = std::fs::read(path).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines = text.trim_start_matches('\u{feff}').lines();
        let mut keys: Vec<TestKey> = Vec::new();
        for line in lines.filter(|line| !line.trim_start().starts_with('#')) {
            let mut fields = line.split_whitespace();
            let (Some(id), Some(secret)) = (fields.next(), fields.next()) else { continue };
            let Some(key) = ring.key(id) else { continue };
            let is_second = keys.iter().any(|key| key.purpose == KeyChoice::First);
            let purpose = match secret.starts_with("passphrase:") {
                true if key.serves(Dialect::Countersign) => KeyChoice::Passphrase,
                _ => purpose_of(key, now, is_second),
            };
            keys.extend(secret_of(id, secret).map(|secret| TestKey {
                id: id.into(),
                secret,
                purpose,
                serves_raw: key.serves(Dialect::Raw),
            }));
        }
        Ok(Self { keys })
    }

    /// The key for this use, if the file has one.
    pub(crate) fn choose(&self, choice: KeyChoice) -> Option<TestKey> {
        let first = || self.choose(KeyChoice::First);
        match choice {
            KeyChoice::Unknown => Some(TestKey {
                id: b"countersign-nobody".to_vec(),
                secret: fresh(),
                purpose: choice,
                serves_raw: false,
            }),
            KeyChoice::Raw => self.keys.iter().find(|key| key.serves_raw).cloned(),
            KeyChoice::Wrong => {
                first().map(|key| TestKey { secret: fresh(), purpose: choice, ..key })
            }
            _ => self.keys.iter().find(|key| key.purpose == choice).cloned(),
        }
    }

    /// Whether a key can be used at all.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.choose(KeyChoice::First).is_some()
    }

    /// Whether they have what a case needs.
    pub(crate) fn have(&self, feature: Feature) -> bool {
        match feature {
            Feature::TwoKeys => self.choose(KeyChoice::Second).is_some(),
            Feature::ExpiredKey => self.choose(KeyChoice::Expired).is_some(),
            Feature::OtherDialect => self.choose(KeyChoice::OtherDialect).is_some(),
            Feature::Passphrase => self.choose(KeyChoice::Passphrase).is_some(),
            Feature::RawKey => self.choose(KeyChoice::Raw).is_some(),
            Feature::Concurrency | Feature::Deadline => true,
        }
    }

    /// The key of this id.
    pub(crate) fn by_id(&self, id: &[u8]) -> Option<&TestKey> {
        self.keys.iter().find(|key| key.id == id)
    }
}

impl std::fmt::Debug for TestKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} keys", self.keys.len())
    }
}

/// Random bytes that nobody holds as a key.
fn fresh() -> Vec<u8> {
    countersign::random::bytes::<32>().unwrap_or_default().to_vec()
}

fn purpose_of(key: &Key, now: Duration, is_second: bool) -> KeyChoice {
    match (key.serves(Dialect::Countersign), key.is_valid_at(now), is_second) {
        (false, ..) => KeyChoice::OtherDialect,
        (_, false, _) => KeyChoice::Expired,
        (_, _, true) => KeyChoice::Second,
        _ => KeyChoice::First,
    }
}

/// The secret of a line that the library has accepted.
fn secret_of(id: &str, field: &str) -> Option<Vec<u8>> {
    let (encoding, text) = field.split_once(':')?;
    match encoding {
        "text" => Some(text.into()),
        "hex" => base16ct::mixed::decode_vec(text).ok(),
        "base64" => Base64::decode_vec(text).or_else(|_| Base64Unpadded::decode_vec(text)).ok(),
        _ => Some(stretch(id, text).to_vec()),
    }
}

/// PBKDF2-HMAC-SHA256 of a passphrase: one block of 600,000 rounds.
fn stretch(id: &str, passphrase: &str) -> [u8; 32] {
    let salt = [b"countersign/1 pass", id.as_bytes(), &[0, 0, 0, 1]];
    let keyed = keyed(passphrase.as_bytes());
    let mut round = tag(keyed.clone(), &salt);
    let mut sum = round;
    for _ in 1..600_000 {
        round = tag(keyed.clone(), &[&round]);
        sum.iter_mut().zip(round).for_each(|(sum, byte)| *sum ^= byte);
    }
    sum
}
