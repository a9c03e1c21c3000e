//! What one listener, or one client, speaks.

use alloc::borrow::ToOwned as _;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use crate::dialect::Dialect;
use crate::framing::Framing;
use crate::handshake::countersign::{frame, hello};
use crate::handshake::multiprocessing::frame::FRAME_MAX;
use crate::keys::KeyRing;
use crate::keys::candidate::Candidate;
use crate::keys::key::{Credential, Key, Mac};
use crate::records::{self, TAG};
use crate::role::Role;

/// 64 KiB.
const MESSAGE_MAX_DEFAULT: usize = 64 << 10;

/// Lengths are signed 32-bit numbers on the wire; half of that is more than any message needs.
const MESSAGE_MAX_CAP: usize = 1 << 30;

/// How much of a conversation a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Exchange {
    /// Messages until either end has enough.
    #[default]
    Many,
    /// One message and its reply, then the server closes.
    Once,
    /// The handshake alone; then the server closes. For clients that only need the result.
    VerifyOnly,
}

/// Whether each message is protected, where the dialect knows records (`countersign/1`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Protection {
    /// Always, and encrypted with ChaCha20-Poly1305: only those who hold the key can read messages.
    /// There is no forward secrecy. A peer that does not seal records is refused.
    #[cfg(feature = "seal")]
    Sealed,
    /// Always: a peer without records is refused. Records have tags, and everyone on the way can
    /// read them, also where the peer offers to seal them.
    #[default]
    Required,
    /// If the other end supports records too. An attacker between the two can't change that.
    Allowed,
    /// Never: after the handshake, messages are only framed, and a relay of the handshake can take
    /// over the connection.
    Off,
}

impl Protection {
    /// Every choice, from the strictest on.
    pub const ALL: &'static [Self] = &[
        #[cfg(feature = "seal")]
        Self::Sealed,
        Self::Required,
        Self::Allowed,
        Self::Off,
    ];

    /// The name, in lower case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            #[cfg(feature = "seal")]
            Self::Sealed => "sealed",
            Self::Required => "required",
            Self::Allowed => "allowed",
            Self::Off => "off",
        }
    }

    /// Whether records are sealed, always.
    pub(crate) fn is_sealed(self) -> bool {
        match self {
            #[cfg(feature = "seal")]
            Self::Sealed => true,
            Self::Required | Self::Allowed | Self::Off => false,
        }
    }
}

/// What the shortest of the longest records carries.
const PAYLOAD_LEAST: usize = hello::RECORD_LEAST as usize - TAG;

/// What one listener, or one client, speaks: a dialect, a framing, the keys and the limit on a
/// message. Both ends of a connection are set up alike.
///
/// ```
/// use countersign_proto::{Dialect, Framing, Key, KeyRing, Protocol, RingSecrets};
///
/// let key = Key::new("garden", b"sixteen bytes or more")?.with_dialect(Dialect::Hex);
/// let secrets = RingSecrets::new([7; 48]); // from the system's random source
/// let protocol = Protocol::new(Dialect::Hex, KeyRing::new(secrets).with(key)?)
///     .with_framing(Framing::Length)
///     .with_message_max(4096);
/// assert_eq!(protocol.message_max(), 4096);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Protocol {
    dialect: Dialect,
    framing: Framing,
    mac: Mac,
    exchange: Exchange,
    message_max: usize,
    protection: Protection,
    /// A listener of `countersign/1` serves `raw` too.
    shares_raw: bool,
    /// In `multiprocessing`, Red Hat's Pythons are meant.
    red_hat: bool,
    /// The services that a listener is, or that a client means; none is the one without a name.
    audiences: Vec<Box<str>>,
    /// None in the dialect `open`.
    keys: Option<KeyRing>,
    /// The key that a client signs with; without it, the first that serves the dialect.
    key: Option<Box<str>>,
}

impl Protocol {
    /// A dialect over `lines` (`multiprocessing`: over `length`) with messages of at most 64 KiB,
    /// HMAC-SHA256 where the dialect signs, and any number of messages on a connection.
    #[must_use]
    pub fn new(dialect: Dialect, keys: KeyRing) -> Self {
        Self::of(dialect, Some(keys))
    }

    fn of(dialect: Dialect, keys: Option<KeyRing>) -> Self {
        Self {
            dialect,
            framing: match dialect {
                Dialect::Multiprocessing => Framing::Length,
                _ => Framing::default(),
            },
            mac: Mac::default(),
            exchange: Exchange::default(),
            message_max: MESSAGE_MAX_DEFAULT,
            protection: Protection::default(),
            shares_raw: false,
            red_hat: false,
            audiences: Vec::new(),
            keys,
            key: None,
        }
    }

    /// No handshake: every client is served.
    #[must_use]
    pub fn open() -> Self {
        Self::of(Dialect::Open, None)
    }

    /// With another framing than `lines`. `multiprocessing` has its own, whatever is asked for.
    #[must_use]
    pub fn with_framing(mut self, framing: Framing) -> Self {
        if self.dialect != Dialect::Multiprocessing {
            self.framing = framing;
        }
        self
    }

    /// With another hash under the HMAC than SHA-256; in `multiprocessing`, with that one too.
    #[must_use]
    pub fn with_mac(mut self, mac: Mac) -> Self {
        self.mac = mac;
        self
    }

    /// For one exchange, or for the handshake alone.
    #[must_use]
    pub fn with_exchange(mut self, exchange: Exchange) -> Self {
        self.exchange = exchange;
        self
    }

    /// With another limit on a message's bytes, which don't count what frames it: at least one
    /// byte, without which a chunk would never come to its end, and at most 1 GiB. No end may ask
    /// for records shorter than 1,024 bytes, so that in records it is 1,008 bytes at least, and 17
    /// bytes less than 16 MiB at most.
    #[must_use]
    pub fn with_message_max(mut self, bytes: usize) -> Self {
        self.message_max = bytes.clamp(1, MESSAGE_MAX_CAP);
        self
    }

    /// With records only where the other end has them too, or without. Both ends of a conversation
    /// without records need the same framing; `chunks` has none without.
    #[must_use]
    pub fn with_protection(mut self, protection: Protection) -> Self {
        self.protection = protection;
        self
    }

    /// As a listener of `countersign/1`, serve clients of `raw` at the same port. Give them keys of
    /// their own.
    #[must_use]
    pub fn with_raw(mut self) -> Self {
        self.shares_raw = true;
        self
    }

    /// In `multiprocessing`, speak with the Pythons up to 3.11 of Red Hat's systems too. Where MD5
    /// is forbidden, these sign by SHA-256 and don't say so. Those that mean MD5 ask for a proof in
    /// the same form, and are not served then.
    #[must_use]
    pub fn with_rhel(mut self) -> Self {
        self.red_hat = true;
        self
    }

    /// As a listener of `countersign/1`, be this service too; as a client, mean this one. Names
    /// have at most 64 bytes, and longer ones fit none. Without any, it is the one without a name.
    #[must_use]
    pub fn with_audience(mut self, name: &str) -> Self {
        self.audiences.push(name.into());
        self
    }

    /// As a client, sign with the key of this id.
    #[must_use]
    pub fn with_key(mut self, id: &str) -> Self {
        self.key = Some(id.into());
        self
    }

    /// The dialect.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The framing of messages.
    #[must_use]
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// The hash under the HMAC.
    #[must_use]
    pub fn mac(&self) -> Mac {
        self.mac
    }

    /// How much of a conversation a connection is for.
    #[must_use]
    pub fn exchange(&self) -> Exchange {
        self.exchange
    }

    /// The most bytes that a message may have.
    #[must_use]
    pub fn message_max(&self) -> usize {
        self.message_max
    }

    /// Whether messages are protected. With `chunks` they always are: without records, a chunk of
    /// `countersign/1` could not be told from the handshake before it.
    #[must_use]
    pub fn protection(&self) -> Protection {
        match self.protection {
            Protection::Allowed | Protection::Off if self.framing == Framing::Chunks => {
                Protection::Required
            }
            protection => protection,
        }
    }

    /// Whether clients of `raw` are served beside those of `countersign/1`.
    #[must_use]
    pub fn shares_raw(&self) -> bool {
        self.shares_raw && self.dialect == Dialect::Countersign
    }

    /// Whether the exchange is over with the first message that arrives at this end.
    pub(crate) fn ends_with_one(&self, role: Role) -> bool {
        role == Role::Server && self.exchange == Exchange::Once
    }

    /// In `multiprocessing`: the hash that those mean who name none, if they are spoken with.
    pub(crate) fn unnamed_mac(&self) -> Option<Mac> {
        match self.mac {
            _ if self.red_hat => Some(Mac::Sha256),
            Mac::Sha256 => None,
            #[cfg(feature = "legacy-md5")]
            Mac::Md5 => Some(Mac::Md5),
        }
    }

    /// The dialect of those who were sent a challenge, and answer it at once.
    pub(crate) fn challenged(&self) -> Dialect {
        if self.shares_raw() { Dialect::Raw } else { self.dialect }
    }

    /// The most bytes that a frame may have: a message together with what frames it, or a hello.
    #[must_use]
    pub fn frame_max(&self) -> usize {
        let plain = self.framing.frame_max(self.message_max);
        match self.dialect {
            Dialect::Countersign => {
                let record = records::frame_max(self.record_payload_max());
                plain.max(record).max(frame::HELLO_MAX)
            }
            Dialect::Multiprocessing => plain.max(FRAME_MAX),
            Dialect::Raw | Dialect::Hex | Dialect::Open => plain,
        }
    }

    /// The longest record that we take, as the other end is told.
    pub(crate) fn record_max(&self) -> u32 {
        u32::try_from(self.record_payload_max() + TAG).unwrap_or(u32::MAX)
    }

    /// The longest message that we take in a record: what we tell the other end, we keep to.
    pub(crate) fn record_payload_max(&self) -> usize {
        self.message_max.clamp(PAYLOAD_LEAST, records::MESSAGE_MAX)
    }

    /// As a server: the key of a prover who names it and the service that it means, or the decoy.
    pub(crate) fn select(
        &self,
        ring: &KeyRing,
        (id, audience): (&[u8], &[u8]),
        now: Duration,
    ) -> Candidate {
        let served = self.audiences.iter().any(|name| name.as_bytes() == audience)
            || (self.audiences.is_empty() && audience.is_empty());
        ring.select(id, audience, served, now)
    }

    /// As a client: the service that we mean with a key.
    pub(crate) fn audience_for<'a>(&'a self, key: &'a Key) -> &'a [u8] {
        self.audiences.first().map_or(key.audience(), |name| name).as_bytes()
    }

    /// The keys; none in the dialect [`open`](Self::open).
    #[must_use]
    pub fn keys(&self) -> Option<&KeyRing> {
        self.keys.as_ref()
    }

    /// The keys that serve a dialect at this time.
    fn serving(&self, dialect: Dialect, now: Duration) -> impl Iterator<Item = &Key> {
        self.keys.iter().flat_map(move |keys| keys.serving(dialect, now))
    }

    /// The key whose proof this is: see [`KeyRing::verify`].
    pub(crate) fn verify(
        &self,
        dialect: Dialect,
        now: Duration,
        mac: Mac,
        challenge: &[u8],
        proof: &[u8],
    ) -> Option<&Key> {
        self.keys.as_ref()?.verify(dialect, now, mac, challenge, proof)
    }

    /// The key that a peer has authenticated with: see [`KeyRing::accepted`].
    pub(crate) fn accepted(&self, credential: Credential, now: Duration) -> Option<&Key> {
        self.keys.as_ref()?.accepted(credential, now)
    }

    /// Takes other keys. Sessions go on, and [`SessionCore::is_revoked`] says whose key is gone; a
    /// server does it by `Server::replace_keys`.
    ///
    /// [`SessionCore::is_revoked`]: crate::SessionCore::is_revoked
    pub fn replace_keys(&mut self, mut keys: KeyRing) {
        self.keys.iter().for_each(|old| keys.inherit(old));
        self.keys = Some(keys);
    }

    /// As a server: can anybody be served?
    ///
    /// # Errors
    ///
    /// The dialect needs a key, and none on the ring serves it, or none at this time.
    pub fn check_server(&self, now: Duration) -> Result<(), NoUsableKeyError> {
        let usable = !self.dialect.authenticates() || self.serving(self.dialect, now).count() > 0;
        if usable { Ok(()) } else { Err(self.no_usable_key(None)) }
    }

    /// As a client: the key to sign with, none where the dialect needs none.
    ///
    /// # Errors
    ///
    /// The dialect needs a key, and the one asked for, or every one, isn't on the ring, doesn't
    /// serve it, or isn't valid at this time.
    pub fn signing_key(&self, now: Duration) -> Result<Option<&Key>, NoUsableKeyError> {
        if !self.dialect.authenticates() {
            return Ok(None);
        }
        let id = self.key.as_deref();
        let key = self.serving(self.dialect, now).find(|key| id.is_none_or(|id| id == key.id()));
        key.map(Some).ok_or_else(|| self.no_usable_key(id))
    }

    fn no_usable_key(&self, id: Option<&str>) -> NoUsableKeyError {
        let dialect = self.dialect;
        let meant = |key: &Key| key.serves(dialect) && id.is_none_or(|id| id == key.id());
        // One that serves the dialect and yet isn't usable has a date.
        let is_dated = self.keys.iter().flat_map(KeyRing::keys).any(meant);
        NoUsableKeyError { dialect, id: id.map(str::to_owned), is_dated }
    }
}

impl From<KeyRing> for Protocol {
    /// The dialect `countersign/1` with these keys.
    fn from(keys: KeyRing) -> Self {
        Self::new(Dialect::Countersign, keys)
    }
}

impl From<KeyRing> for Arc<Protocol> {
    /// The dialect `countersign/1` with these keys.
    fn from(keys: KeyRing) -> Self {
        Self::new(keys.into())
    }
}

/// No key on the ring serves the dialect at this time, or not the one that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoUsableKeyError {
    dialect: Dialect,
    id: Option<String>,
    /// There is such a key, and it isn't valid yet or has run out.
    is_dated: bool,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::tests::ring_of;

    #[test]
    fn a_key_that_serves_nobody_is_told_of_with_the_reason() {
        let at = Duration::from_secs;
        let key = Key::new("garden", b"sixteen bytes or more").unwrap().with_not_after(at(9));
        let ring = ring_of(1, [key]);
        let said = |dialect, now: u64, id: &str| {
            let protocol = Protocol::new(dialect, ring.clone()).with_key(id);
            let error = protocol.signing_key(at(now)).err();
            error.map(|error| error.to_string()).unwrap_or_default()
        };
        let cases = [
            (Dialect::Raw, "garden", "there is no key garden for raw; add a key"),
            (Dialect::Countersign, "shed", "there is no key shed for"),
            (
                Dialect::Countersign,
                "garden",
                "the key garden is not yet valid or has expired; change",
            ),
        ];
        for (dialect, id, expected) in cases {
            let said = said(dialect, 9, id);
            assert!(said.starts_with(expected), "{said}");
        }
        let server = Protocol::new(Dialect::Countersign, ring.clone());
        let said_by_server = server.check_server(at(9)).unwrap_err().to_string();
        assert!(said_by_server.starts_with("no key for countersign/1 is valid now"));
        assert_eq!(said(Dialect::Countersign, 8, "garden"), "");
    }
}
