//! What both ends derive from the key and the transcript, and the tags of records.

use chacha20poly1305::{ChaCha20Poly1305, aead::AeadInOut as _};
use hmac::{Hmac, KeyInit, Mac as _};
use sha2::{Digest as _, Sha256};

/// The bytes of a header, of a frame or a record.
pub(crate) const HEADER: usize = 4;

/// The bytes of a record's tag.
pub(crate) const TAG: usize = 16;

/// HMAC-SHA256 of these parts, one behind the other.
pub(crate) fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    tag(keyed(key), parts)
}

/// HMAC-SHA256 with a key, which may be of any length.
pub(crate) fn keyed(key: &[u8]) -> Hmac<Sha256> {
    // RFC 2104: a key that is longer than a block is hashed first.
    let mut block = [0; 64];
    if key.len() > block.len() {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    KeyInit::new(&block.into())
}

pub(crate) fn tag(mut keyed: Hmac<Sha256>, parts: &[&[u8]]) -> [u8; 32] {
    parts.iter().for_each(|part| keyed.update(part));
    keyed.finalize().into_bytes().into()
}

/// A header: `type u8 || length u24`.
pub(crate) fn header(kind: u8, length: usize) -> [u8; HEADER] {
    let length = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    [kind, length[1], length[2], length[3]]
}

/// A frame: a header, and the body that it announces.
pub(crate) fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    [&header(kind, body.len()), body].concat()
}

/// The keys of one connection, and the proofs of both ends.
#[derive(Clone)]
pub(crate) struct Secrets {
    pub(crate) mac_s: [u8; 32],
    pub(crate) mac_c: [u8; 32],
    pub(crate) k_s2c: [u8; 32],
    pub(crate) k_c2s: [u8; 32],
}

impl Secrets {
    /// Of a key, and of what was said: the nonce, the call, and the answer without its proof.
    pub(crate) fn derive(secret: &[u8], nonce_s: &[u8], call: &[u8], answer: &[u8]) -> Self {
        let prk = hmac(b"countersign/1 psk", &[secret]);
        let mut th = Sha256::new();
        for part in [&b"countersign/1 th"[..], nonce_s, call, answer] {
            th.update(part);
        }
        let th = th.finalize();
        let [ks_fin, kc_fin, k_s2c, k_c2s] =
            expand(&prk, &[b"countersign/1 keys", &th[..]].concat());
        let mac_s = hmac(&ks_fin, &[b"countersign/1 server", &th]);
        let mac_c = hmac(&kc_fin, &[b"countersign/1 client", &th, &mac_s]);
        Self { mac_s, mac_c, k_s2c, k_c2s }
    }
}

/// HKDF-Expand to as many keys as there are, of 32 bytes each.
fn expand<const N: usize>(prk: &[u8; 32], info: &[u8]) -> [[u8; 32]; N] {
    let mut keys = [[0; 32]; N];
    let mut last: &[u8] = &[];
    let mut block;
    for (key, number) in keys.iter_mut().zip(1u8..) {
        block = hmac(prk, &[last, info, &[number]]);
        *key = block;
        last = &block;
    }
    keys
}

/// The protection of the records of one direction.
#[derive(Clone)]
pub(crate) enum RecordCipher {
    /// A tag alone.
    Tagged([u8; 32]),
    /// ChaCha20-Poly1305.
    Sealed(Box<ChaCha20Poly1305>),
}

impl RecordCipher {
    pub(crate) fn new(key: &[u8; 32], is_sealed: bool) -> Self {
        if !is_sealed {
            return Self::Tagged(*key);
        }
        let key = hmac(key, &[b"countersign/1 chacha20-poly1305"]);
        Self::Sealed(Box::new(ChaCha20Poly1305::new(&key.into())))
    }

    /// The record of this number: a header of this length, whatever the payload's is.
    pub(crate) fn protect(&self, number: u64, kind: u8, length: usize, payload: &[u8]) -> Vec<u8> {
        let head = header(kind, length);
        let mut record = [&head, payload].concat();
        let tag: [u8; TAG] = match self {
            Self::Tagged(key) => truncated(hmac(key, &[&number.to_be_bytes(), &record])),
            Self::Sealed(cipher) => {
                let payload = (&mut record[HEADER..]).into();
                let sealed = cipher.encrypt_inout_detached(&nonce(number).into(), &head, payload);
                sealed.map_or([0; TAG], Into::into)
            }
        };
        record.extend(tag);
        record
    }

    /// The payload of the record of this number, if its tag is right.
    pub(crate) fn open(&self, number: u64, record: &[u8]) -> Option<Vec<u8>> {
        let (content, tag) = record.split_last_chunk::<TAG>()?;
        let (head, payload) = content.split_at_checked(HEADER)?;
        match self {
            Self::Tagged(key) => {
                let expected = hmac(key, &[&number.to_be_bytes(), content]);
                (truncated(expected) == *tag).then(|| payload.to_vec())
            }
            Self::Sealed(cipher) => {
                let mut opened = payload.to_vec();
                let (nonce, buffer) = (nonce(number).into(), (&mut opened[..]).into());
                let is_right = cipher.decrypt_inout_detached(&nonce, head, buffer, tag.into());
                is_right.is_ok().then_some(opened)
            }
        }
    }
}

fn truncated(tag: [u8; 32]) -> [u8; TAG] {
    std::array::from_fn(|at| tag[at])
}

fn nonce(number: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&number.to_be_bytes());
    nonce
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn bytes(set: &Value, name: &str) -> Vec<u8> {
        base16ct::lower::decode_vec(set[name].as_str().unwrap()).unwrap()
    }

    #[test]
    fn proofs_and_tags_are_those_of_the_vectors() {
        let text = include_str!("../../tests/vectors/countersign-1.json");
        let vectors: Value = serde_json::from_str(text).unwrap();
        let sets = vectors["sets"].as_array().unwrap();
        assert!(sets.len() >= 4, "{} sets", sets.len());
        for set in sets {
            let [key, nonce, call, answer] =
                ["key", "sg", "ch", "sh_unsigned"].map(|name| bytes(set, name));
            let secrets = Secrets::derive(&key, &nonce, &call, &answer);
            let name = &set["name"];
            assert_eq!(secrets.mac_s[..], bytes(set, "mac_s"), "{name}");
            assert_eq!(secrets.mac_c[..], bytes(set, "mac_c"), "{name}");
            let accept = RecordCipher::new(&secrets.k_s2c, false).protect(0, 0x04, 17, &[0]);
            assert_eq!(accept, bytes(set, "sf"), "{name}");
        }
    }

    #[test]
    fn what_is_sealed_is_that_of_the_page_and_opens_with_its_number_alone() {
        let hex = |digits| base16ct::lower::decode_vec(digits).unwrap();
        // The fourth set of vectors.
        let key = hex("d639e574c4df052fb2b656343b9531450fa8f5b5ec0bf33a6f5892f3ff2c04e3");
        let cipher = RecordCipher::new(&key.try_into().unwrap(), true);
        let record = cipher.protect(0, 0x10, 20, b"time");
        assert_eq!(record, hex("10000014510c8f4401f46cbc63f3e0a0c0c9991df3f52a1e"));
        assert_eq!(cipher.open(0, &record).as_deref(), Some(&b"time"[..]));
        assert_eq!(cipher.open(1, &record), None);
    }
}
