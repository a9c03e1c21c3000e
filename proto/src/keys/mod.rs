//! The key ring: the keys that a listener or a client holds.

pub(crate) mod candidate;
pub(crate) mod fault;
pub(crate) mod key;
pub(crate) mod passphrase;
pub(crate) mod secrets;
pub(crate) mod validity;
pub(crate) mod wipe;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use crate::dialect::Dialect;
use crate::keys::fault::{KEYS_TRIED_MAX, KeyError};
use crate::keys::key::{Credential, Key, KeyNumber, Mac};
use crate::keys::secrets::RingSecrets;

/// The dialects in which the peer doesn't name its key.
const NAMELESS: [Dialect; 3] = [Dialect::Raw, Dialect::Hex, Dialect::Multiprocessing];

/// The keys that a listener or a client holds, each under its id.
///
/// ```
/// use countersign_proto::{Dialect, Key, KeyRing, RingSecrets};
///
/// let secrets = RingSecrets::new([7; 48]); // from the system's random source
/// let ring = KeyRing::new(secrets)
///     .with(Key::new("garden", b"sixteen bytes or more")?.with_audience("sprinkler")?)?
///     .with(Key::new("gate", b"open-sesame")?.with_dialect(Dialect::Raw))?;
/// assert_eq!(ring.to_string(), "garden, gate");
/// assert_eq!(ring.key("garden").map(|key| key.audience()), Some("sprinkler"));
/// # Ok::<(), countersign_proto::KeyError>(())
/// ```
///
/// A ring reads no clock: where it matters whether a key is valid, the time since 1970 is an
/// argument.
///
/// # Both ends in one program
///
/// In `countersign/1` a ring and its clones are one end, which doesn't talk to itself: a server
/// closes the connection of a client that has a clone of its ring, and the client fails with
/// `ClientError::SameRing`. Read or parse the ring once for each
/// end.
#[derive(Debug, Clone)]
pub struct KeyRing {
    /// In the order of the file; ids and secrets are unique.
    keys: Vec<Key>,
    /// The number that was given last, on this ring or one that it replaced.
    last: KeyNumber,
    /// Drawn once; its clones and the rings that replace it have the same.
    secrets: Arc<RingSecrets>,
}

impl KeyRing {
    /// A ring without keys. With an operating system,
    /// `KeyRingExt::empty` of the crate `countersign` draws the secrets.
    #[must_use]
    pub fn new(secrets: RingSecrets) -> Self {
        let last = KeyNumber::default();
        Self { keys: Vec::new(), last, secrets: Arc::new(secrets) }
    }

    /// The same ring with one more key.
    ///
    /// # Errors
    ///
    /// As for [`add`](Self::add).
    pub fn with(mut self, key: Key) -> Result<Self, KeyError> {
        self.add(key)?;
        Ok(self)
    }

    /// Adds a key.
    ///
    /// # Errors
    ///
    /// It is too short for `countersign/1`, or never valid, or serves `multiprocessing` beside
    /// `raw` or `hex`. Its id or its secret is on the ring already. It serves one of these three,
    /// and eight others do.
    pub fn add(&mut self, mut key: Key) -> Result<(), KeyError> {
        key.check()?;
        if self.keys.iter().any(|other| other.id() == key.id()) {
            return Err(KeyError::DuplicateId(key.id().into()));
        }
        if let Some(other) = self.keys.iter().find(|other| other.same_secret(&key)) {
            return Err(KeyError::DuplicateSecret(other.id().into()));
        }
        for dialect in NAMELESS {
            // Whatever the time is: a ring that can be read today must be readable tomorrow.
            let others = self.keys.iter().filter(|other| other.serves(dialect));
            if key.serves(dialect) && others.count() == KEYS_TRIED_MAX {
                return Err(KeyError::TooMany(dialect));
            }
        }
        key.set_number(self.fresh_number());
        self.keys.push(key);
        Ok(())
    }

    fn fresh_number(&mut self) -> KeyNumber {
        self.last = KeyNumber(self.last.0.wrapping_add(1));
        self.last
    }

    /// The keys, in the order of the file.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter()
    }

    /// The keys that serve a dialect, and are valid at this time.
    pub fn serving(&self, dialect: Dialect, now: Duration) -> impl Iterator<Item = &Key> {
        self.keys.iter().filter(move |key| key.serves(dialect) && key.is_valid_at(now))
    }

    /// The key with this id.
    #[must_use]
    pub fn key(&self, id: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.id() == id)
    }

    /// The key that this proof was made with. All keys are tried, even after a match, so that the
    /// time doesn't depend on the position of the key.
    pub(crate) fn verify(
        &self,
        dialect: Dialect,
        now: Duration,
        mac: Mac,
        challenge: &[u8],
        proof: &[u8],
    ) -> Option<&Key> {
        self.serving(dialect, now).fold(None, |found, key| {
            if key.verifies(mac, challenge, proof) { Some(key) } else { found }
        })
    }

    /// Replaces another ring: keys that were on it keep their numbers, and the secrets are kept.
    pub fn inherit(&mut self, old: &Self) {
        self.last = self.last.max(old.last);
        for at in 0..self.keys.len() {
            let key = &self.keys[at];
            let same = old.keys.iter().find(|old| old.lets_in_as(key));
            let number = same.map(Key::number);
            let number = number.unwrap_or_else(|| self.fresh_number());
            self.keys[at].set_number(number);
        }
        self.secrets = Arc::clone(&old.secrets);
    }
}

impl KeyRing {
    /// The key of this number; none once it is removed from the ring, or its secret is replaced.
    #[must_use]
    pub fn by_number(&self, number: KeyNumber) -> Option<&Key> {
        self.keys.iter().find(|key| key.number() == number)
    }

    /// The key that a peer has authenticated with, for as long as the peer could do so again: it is
    /// on the ring, valid at this time, and for the same dialect and audience.
    pub(crate) fn accepted(&self, credential: Credential, now: Duration) -> Option<&Key> {
        let key = self.by_number(credential.number)?;
        (key.serves(credential.dialect) && key.is_valid_at(now)).then_some(key)
    }

    /// When the next key expires, of those that are still valid at this time; without a time, the
    /// first that ever expires.
    #[must_use]
    pub fn next_expiry(&self, now: Duration) -> Option<Duration> {
        self.keys.iter().filter_map(Key::not_after).filter(|end| *end > now).min()
    }

    /// Records that a listener of this process has this ring, or a clone.
    pub fn note_listener(&self) {
        self.secrets.note_listener();
    }

    /// Whether a listener of this process has it.
    #[must_use]
    pub fn listens(&self) -> bool {
        self.secrets.listens()
    }

    pub(crate) fn secrets(&self) -> &RingSecrets {
        &self.secrets
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
pub(crate) mod tests {
    use super::*;

    /// A ring of these keys, with secrets of one byte.
    pub(crate) fn ring_of(random: u8, keys: impl IntoIterator<Item = Key>) -> KeyRing {
        let empty = KeyRing::new(RingSecrets::new([random; RingSecrets::LENGTH]));
        keys.into_iter().fold(empty, |ring, key| ring.with(key).unwrap())
    }

    #[test]
    fn at_most_eight_keys_serve_a_dialect_that_tries_each() {
        let key = |n: u64, secret: &str| Key::new(&format!("k{n}"), secret.as_bytes()).unwrap();
        let raw = |n| {
            let key = key(n, &format!("secret-{n}")).with_dialect(Dialect::Raw);
            key.with_not_after(at(10 * n + 1))
        };
        let mut eight = ring((0..8).map(raw));
        let error = eight.add(raw(8)).unwrap_err().to_string();
        assert!(error.starts_with("more than 8 keys are for raw"), "{error}");
        ring((0..99).map(|n| key(n, &format!("sixteen-bytes-{n:04}"))));
    }

    fn at(second: u64) -> Duration {
        Duration::from_secs(second)
    }

    fn dated(id: &str, from: Option<u64>, until: Option<u64>) -> Key {
        let key = Key::new(id, format!("the secret of {id}!!").as_bytes()).unwrap();
        let key = from.into_iter().fold(key, |key, second| key.with_not_before(at(second)));
        until.into_iter().fold(key, |key, second| key.with_not_after(at(second)))
    }

    fn ring(keys: impl IntoIterator<Item = Key>) -> KeyRing {
        ring_of(1, keys)
    }

    fn valid(ring: &KeyRing, second: u64) -> Vec<&str> {
        ring.serving(Dialect::Countersign, at(second)).map(Key::id).collect()
    }

    #[test]
    fn a_key_is_valid_from_its_first_instant_until_its_last() {
        let keys = [
            dated("ever", None, None),
            dated("early", None, Some(20)),
            dated("late", Some(10), None),
            dated("brief", Some(15), Some(20)),
        ];
        let mut ring = ring(keys);
        let cases: [(u64, &[&str]); 8] = [
            (9, &["ever", "early"]),
            (10, &["ever", "early", "late"]),
            (14, &["ever", "early", "late"]),
            (15, &["ever", "early", "late", "brief"]),
            (19, &["ever", "early", "late", "brief"]),
            (20, &["ever", "late"]),
            (99, &["ever", "late"]),
            (0, &["ever", "early"]),
        ];
        for (second, expected) in cases {
            assert_eq!(valid(&ring, second), expected, "{second}");
        }
        ring.add(dated("more", Some(5), None)).unwrap();
        assert_eq!(valid(&ring, 4), ["ever", "early"]);
        assert_eq!(valid(&ring, 5), ["ever", "early", "more"]);
    }

    #[test]
    fn a_key_is_found_by_its_id_and_its_audience() {
        let key = |id| dated(id, None, None);
        let ring = ring([
            key("any"),
            key("time").with_audience("time").unwrap(),
            key("raw").with_dialect(Dialect::Raw),
            dated("over", None, Some(10)),
        ]);
        let cases = [
            ("any", "", true),
            ("any", "time", true),
            ("time", "time", true),
            ("time", "", false),
            ("time", "timer", false),
            ("raw", "", false),
            ("over", "", false),
            ("none", "", false),
            ("", "", false),
        ];
        for (id, audience, found) in cases {
            let select = |served| ring.select(id.as_bytes(), audience.as_bytes(), served, at(10));
            let chosen = select(true);
            let admitted =
                chosen.claimant.admit(true).ok().and_then(|number| ring.by_number(number));
            assert_eq!(admitted.map(Key::id), found.then_some(id), "{id} for {audience:?}");
            assert_eq!(*chosen.prk, admitted.map_or([1; 32], |key| *key.prk()));
            assert!(chosen.claimant.admit(false).is_err());
            // Another service than this one is meant.
            assert_eq!(*select(false).prk, [1; 32]);
            assert!(select(false).claimant.admit(true).is_err());
        }
        assert!(ring.by_number(ring.key("over").unwrap().number()).is_some());
    }

    #[test]
    fn a_key_keeps_its_number_for_as_long_as_its_secret_stays() {
        let numbers = |ring: &KeyRing| ring.keys().map(Key::number).collect::<Vec<_>>();
        let key = |id: &str, secret: &str| Key::new(id, format!("{secret:16}").as_bytes()).unwrap();
        let first = ring([key("a", "1"), key("b", "2"), key("c", "3")]);
        let mut second = ring([key("c", "3"), key("b", "new"), key("d", "2"), key("a", "1")]);
        second.inherit(&first);
        let ([a, b, c], [c_again, b_new, d, a_again]) =
            (numbers(&first)[..].try_into().unwrap(), numbers(&second)[..].try_into().unwrap());
        assert_eq!((a_again, c_again), (a, c));
        assert!(![a, b, c].contains(&b_new) && ![a, b, c, b_new].contains(&d));
        assert!(second.by_number(b).is_none(), "its secret is another");
        assert_eq!(second.by_number(a).map(Key::id), Some("a"));
        // What was off the ring in between is another key.
        let mut third = ring([key("b", "2")]);
        third.inherit(&second);
        assert!(![a, b, c, b_new, d].contains(&numbers(&third)[0]));
    }

    #[test]
    fn the_secrets_go_on_from_ring_to_ring() {
        let mut new = ring_of(3, []);
        new.inherit(&ring_of(4, []));
        let secrets = new.secrets();
        assert_eq!((secrets.instance, *secrets.decoy), ([4; 16], [4; 32]));
    }

    #[test]
    fn neither_debug_nor_display_shows_a_secret() {
        let secrets = RingSecrets::new(*b"s3cret s3cret s3cret s3cret s3cret s3cret s3cret");
        let key = Key::new("key", b"s3cret").unwrap().with_dialect(Dialect::Raw);
        let ring = KeyRing::new(secrets).with(key).unwrap();
        let shown = format!("{ring:?} {ring}");
        assert!(!shown.contains("s3cret") && shown.contains("key"), "{shown}");
    }

    #[test]
    fn a_ring_knows_that_a_listener_has_it_or_a_clone_or_its_successor() {
        let listened = ring([dated("key", None, None)]);
        let (clone, mut successor) = (listened.clone(), ring([dated("key", None, None)]));
        assert!(!listened.listens() && !clone.listens());
        clone.note_listener();
        assert!(listened.listens() && clone.listens() && !successor.listens());
        successor.inherit(&listened);
        assert!(successor.listens());
    }
}
