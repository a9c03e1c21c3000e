//! The key schedule: from the transcript to the keys of a session (HKDF, RFC 5869).

use hkdf::Hkdf;
use hmac::digest::CtOutput;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::handshake::countersign::frame::{Nonce, PROOF};
use crate::keys::key::PRK;
use crate::records::{RecordKey, keyed};

/// The hash of everything that was sent before a proof.
pub(crate) type Transcript = [u8; 32];

/// The bytes of each key.
const KEY: usize = 32;

/// The hash of the server's nonce, the client's hello with the magic, and the server's hello
/// without its proof, each with its header.
pub(crate) fn transcript(nonce: &Nonce, call: &[u8], server_hello: &[u8]) -> Transcript {
    let mut hash = Sha256::new();
    for part in [b"countersign/1 th", &nonce[..], call, server_hello] {
        hash.update(part);
    }
    hash.finalize().into()
}

/// The keys of a session. Each has one use, and none can be computed from another.
pub(crate) struct Schedule {
    transcript: Transcript,
    okm: Zeroizing<[u8; 5 * KEY]>,
}

impl Schedule {
    /// The keys from a shared key and a transcript.
    pub(crate) fn new(prk: &[u8; PRK], transcript: Transcript) -> Self {
        let mut okm = Zeroizing::new([0; 5 * KEY]);
        let info: [&[u8]; 2] = [b"countersign/1 keys", &transcript];
        let expanded = Hkdf::<Sha256>::from_prk(prk)
            .is_ok_and(|key| key.expand_multi_info(&info, &mut okm[..]).is_ok());
        debug_assert!(expanded, "a prk is as long as a hash, and HKDF gives 255 times as much");
        Self { transcript, okm }
    }

    /// The server's proof that it holds the key.
    pub(crate) fn server_proof(&self) -> [u8; PROOF] {
        hmac(self.key(0), &[b"countersign/1 server", &self.transcript])
    }

    /// The client's proof that it holds the key and has seen the server's proof.
    pub(crate) fn client_proof(&self, server_proof: &[u8; PROOF]) -> [u8; PROOF] {
        hmac(self.key(1), &[b"countersign/1 client", &self.transcript, server_proof])
    }

    /// The key of records from server to client.
    pub(crate) fn to_client(&self) -> RecordKey {
        RecordKey::new(self.key(2))
    }

    /// The key of records from client to server.
    pub(crate) fn to_server(&self) -> RecordKey {
        RecordKey::new(self.key(3))
    }

    /// The key from which the host program may derive secrets.
    pub(crate) fn exporter(&self) -> Exporter {
        Exporter(Zeroizing::new(*self.key(4)))
    }

    fn key(&self, at: usize) -> &[u8; KEY] {
        let (keys, _) = self.okm.as_chunks();
        &keys[at]
    }
}

/// The HMAC of the parts together.
fn hmac(key: &[u8; KEY], parts: &[&[u8]]) -> [u8; PROOF] {
    let mut mac = keyed(key);
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// Whether two proofs are the same; compared in constant time.
pub(crate) fn is_same(one: &[u8; PROOF], other: &[u8; PROOF]) -> bool {
    let output = |proof: &[u8; PROOF]| CtOutput::<Hmac<Sha256>>::new((*proof).into());
    output(one) == output(other)
}

/// Secrets that only the two ends of one `countersign/1` connection share.
///
/// They are bound to the connection: to bind another protocol to it (channel binding), or to
/// encrypt content, derive a secret at both ends with the same label. No secret is ever sent.
#[derive(Clone)]
pub struct Exporter(Zeroizing<[u8; KEY]>);

impl Exporter {
    /// The secret of this label: HMAC-SHA256(exporter, label).
    #[must_use]
    pub fn secret(&self, label: &[u8]) -> [u8; 32] {
        hmac(&self.0, &[label])
    }
}

impl core::fmt::Debug for Exporter {
    /// The secret is not shown.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Exporter(..)")
    }
}

#[cfg(test)]
mod tests;
