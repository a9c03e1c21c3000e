//! A peer that holds the key and keeps to nothing else: the protocol's page a second time, so that
//! what no honest end sends can be sent with right proofs and tags.

use chacha20poly1305::ChaCha20Poly1305;
use chacha20poly1305::aead::AeadInOut as _;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

/// The bytes of a nonce.
const NONCE: usize = 32;

/// The type of the server's acceptance, which has a tag in any case.
const ACCEPTANCE: u8 = 0x04;

pub(crate) const DATA: u8 = 0x10;
pub(crate) const PING: u8 = 0x11;
pub(crate) const PONG: u8 = 0x12;
pub(crate) const CLOSE: u8 = 0x13;
pub(crate) const BATCH: u8 = 0x14;

pub(crate) fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[kind], &length[1..], body].concat()
}

/// The payload of a batch of these messages.
pub(crate) fn batch<M: AsRef<[u8]>>(messages: &[M]) -> Vec<u8> {
    let entry = |message: &M| {
        let message = message.as_ref();
        [&u32::try_from(message.len()).unwrap().to_be_bytes()[1..], message].concat()
    };
    messages.iter().flat_map(entry).collect()
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// One direction: its key, and the number of the next record.
#[derive(Debug, Clone)]
pub(crate) struct Direction {
    key: [u8; 32],
    pub(crate) next: u64,
    /// Records are sealed, all but the acceptance.
    is_sealed: bool,
}

impl Direction {
    pub(crate) fn record(&mut self, kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut record = frame(kind, &[payload, &[0; 16]].concat());
        let front = record.len() - 16;
        if self.is_sealed && kind != ACCEPTANCE {
            let (cipher, nonce) = self.cipher();
            let (header, rest) = record.split_at_mut(4);
            let (payload, tag) = rest.split_at_mut(front - 4);
            let sealed = cipher.encrypt_inout_detached(&nonce.into(), header, payload.into());
            tag.copy_from_slice(&sealed.unwrap());
            self.next += 1;
            return record;
        }
        let tag = hmac(&self.key, &[&self.next.to_be_bytes(), &record[..front]]);
        record[front..].copy_from_slice(&tag[..16]);
        self.next += 1;
        record
    }
}

impl Direction {
    /// The payload of the next record, if this is it.
    pub(crate) fn payload(&mut self, record: &[u8]) -> Option<Vec<u8>> {
        let mut payload = record[4..record.len() - 16].to_vec();
        if !self.is_sealed {
            return (self.record(record[0], &payload) == record).then_some(payload);
        }
        let (cipher, nonce) = self.cipher();
        let tag: [u8; 16] = record[record.len() - 16..].try_into().unwrap();
        let (nonce, header) = (nonce.into(), &record[..4]);
        let text = payload.as_mut_slice().into();
        self.next += 1;
        cipher.decrypt_inout_detached(&nonce, header, text, &tag.into()).ok()?;
        Some(payload)
    }

    /// What seals the next record, and its nonce.
    fn cipher(&self) -> (ChaCha20Poly1305, [u8; 12]) {
        let key = hmac(&self.key, &[b"countersign/1 chacha20-poly1305"]);
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&self.next.to_be_bytes());
        (ChaCha20Poly1305::new(&key.into()), nonce)
    }
}

/// What both know of a session.
#[derive(Debug)]
pub(crate) struct Forger {
    pub(crate) server_proof: [u8; 32],
    pub(crate) confirm: Vec<u8>,
    pub(crate) to_client: Direction,
    pub(crate) to_server: Direction,
}

impl Forger {
    /// From the key, the client's call, and the server's nonce and hello, of which the proof may be
    /// missing.
    pub(crate) fn new(secret: &[u8], call: &[u8], answer: &[u8]) -> Self {
        let (nonce, hello) = answer.split_at(NONCE);
        let length = u32::from_be_bytes([0, hello[1], hello[2], hello[3]]) as usize;
        let unsigned = &hello[..4 + length - 32];
        // The server answers no extension but that by which it seals.
        let is_sealed = unsigned.len() > 30;
        let mut hash = Sha256::new();
        for part in [&b"countersign/1 th"[..], nonce, call, unsigned] {
            hash.update(part);
        }
        let th = hash.finalize();
        let mut okm = [0; 160];
        let key = Hkdf::<Sha256>::new(Some(b"countersign/1 psk"), secret);
        key.expand(&[&b"countersign/1 keys"[..], &th].concat(), &mut okm).unwrap();
        let key = |at: usize| -> [u8; 32] { okm[32 * at..][..32].try_into().unwrap() };
        let server_proof = hmac(&key(0), &[b"countersign/1 server", &th]);
        let client_proof = hmac(&key(1), &[b"countersign/1 client", &th, &server_proof]);
        Self {
            server_proof,
            confirm: frame(3, &client_proof),
            // The acceptance is the first record of the server's.
            to_client: Direction { key: key(2), next: 0, is_sealed },
            to_server: Direction { key: key(3), next: 0, is_sealed },
        }
    }
}
