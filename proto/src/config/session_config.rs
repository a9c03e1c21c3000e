//! What the configurations of servers and clients share.

use alloc::borrow::ToOwned as _;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use crate::config::error::NoUsableKeyError;
use crate::config::options::{Exchange, Protection};
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

/// What the shortest of the longest records carries.
const PAYLOAD_LEAST: usize = hello::RECORD_LEAST as usize - TAG;

/// What a [`ServerConfig`](crate::ServerConfig) and a [`ClientConfig`](crate::ClientConfig) share,
/// with the getters of both. Each derefs to it.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    pub(super) dialect: Dialect,
    pub(super) framing: Framing,
    pub(super) mac: Mac,
    pub(super) exchange: Exchange,
    pub(super) message_max: usize,
    pub(super) protection: Protection,
    /// A server of `countersign/1` serves `raw` too.
    pub(super) shares_raw: bool,
    /// In `multiprocessing`, also speaks with Red Hat's Pythons.
    pub(super) red_hat: bool,
    /// The audiences that a server serves, or the one that a client asks for.
    pub(super) audiences: Vec<Box<str>>,
    /// The keys; none in the dialect `open`.
    pub(super) keys: Option<KeyRing>,
    /// The id of the key that a client signs with; if there is none, the first that serves the
    /// dialect.
    pub(super) key: Option<Box<str>>,
}

impl SessionConfig {
    /// The highest limit on a message: 1 GiB. Lengths are signed 32-bit numbers on the wire.
    pub const MESSAGE_MAX: usize = 1 << 30;

    /// The defaults of a dialect: `lines` (`multiprocessing`: `length`), messages of at most
    /// 64 KiB, HMAC-SHA256, and any number of messages on a connection.
    pub(super) fn new(dialect: Dialect) -> Self {
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
            keys: None,
            key: None,
        }
    }

    /// The same configuration with other keys, which [inherit](KeyRing::inherit) from the old ones.
    pub(super) fn with_keys(&self, mut ring: KeyRing) -> Self {
        self.keys.iter().for_each(|old| ring.inherit(old));
        let keys = self.dialect.authenticates().then_some(ring);
        Self { keys, audiences: self.audiences.clone(), key: self.key.clone(), ..*self }
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

    /// The hash of the HMAC.
    #[must_use]
    pub fn mac(&self) -> Mac {
        self.mac
    }

    /// How many messages a connection is for.
    #[must_use]
    pub fn exchange(&self) -> Exchange {
        self.exchange
    }

    /// The longest message, in bytes.
    #[must_use]
    pub fn message_max(&self) -> usize {
        self.message_max
    }

    /// When messages are protected, in `countersign/1`.
    #[must_use]
    pub fn protection(&self) -> Protection {
        self.protection
    }

    /// Whether clients of `raw` are served beside those of `countersign/1`.
    pub(crate) fn shares_raw(&self) -> bool {
        self.shares_raw
    }

    /// Whether the exchange ends with the first message that arrives at this end.
    pub(crate) fn ends_with_one(&self, role: Role) -> bool {
        self.exchange == Exchange::Once && role == Role::Server
    }

    /// In `multiprocessing`: the hash of peers that name none, if they are served.
    pub(crate) fn unnamed_mac(&self) -> Option<Mac> {
        match self.mac {
            _ if self.red_hat => Some(Mac::Sha256),
            Mac::Sha256 => None,
            #[cfg(feature = "legacy-md5")]
            Mac::Md5 => Some(Mac::Md5),
        }
    }

    /// The dialect of a peer that answers our challenge directly.
    pub(crate) fn challenged(&self) -> Dialect {
        if self.shares_raw { Dialect::Raw } else { self.dialect }
    }

    /// The longest frame, in bytes: a message with its frame, or a part of the handshake.
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

    /// The longest record that we accept, as the hello states it.
    pub(crate) fn record_max(&self) -> u32 {
        u32::try_from(self.record_payload_max() + TAG).unwrap_or(u32::MAX)
    }

    /// The longest message that we accept in a record: exactly what the hello states.
    pub(crate) fn record_payload_max(&self) -> usize {
        self.message_max.clamp(PAYLOAD_LEAST, records::MESSAGE_MAX)
    }

    /// As a server: the key that a client names together with an audience, or the decoy.
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

    /// As a client: the audience that we ask for with a key.
    pub(crate) fn audience_for<'a>(&'a self, key: &'a Key) -> &'a [u8] {
        self.audiences.first().map_or(key.audience(), |name| name).as_bytes()
    }

    /// The keys; none in the dialect `open`.
    #[must_use]
    pub fn keys(&self) -> Option<&KeyRing> {
        self.keys.as_ref()
    }

    /// The keys that serve a dialect at this time.
    fn serving(&self, dialect: Dialect, now: Duration) -> impl Iterator<Item = &Key> {
        self.keys.iter().flat_map(move |keys| keys.serving(dialect, now))
    }

    /// The key that this proof was made with: see [`KeyRing::verify`].
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

    /// As a server: checks that some client can authenticate.
    pub(super) fn check_keys(&self, now: Duration) -> Result<(), NoUsableKeyError> {
        let usable = !self.dialect.authenticates() || self.serving(self.dialect, now).count() > 0;
        if usable { Ok(()) } else { Err(self.no_usable_key(None)) }
    }

    /// As a client: the key to sign with; none in the dialect `open`.
    pub(crate) fn signing_key(&self, now: Duration) -> Result<Option<&Key>, NoUsableKeyError> {
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
        // A key that serves the dialect and yet can't be used has dates.
        let is_dated = self.keys.iter().flat_map(KeyRing::keys).any(meant);
        NoUsableKeyError { dialect, id: id.map(str::to_owned), is_dated }
    }
}
