//! A peer that holds the key and keeps to nothing else: the protocol's page a second time, so that
//! what no honest end sends can be sent with right proofs and tags.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

/// The bytes of a nonce.
const NONCE: usize = 32;

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
}

impl Direction {
    pub(crate) fn record(&mut self, kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut record = frame(kind, &[payload, &[0; 16]].concat());
        let front = record.len() - 16;
        let tag = hmac(&self.key, &[&self.next.to_be_bytes(), &record[..front]]);
        record[front..].copy_from_slice(&tag[..16]);
        self.next += 1;
        record
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
        let unsigned = &hello[..30];
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
            to_client: Direction { key: key(2), next: 0 },
            to_server: Direction { key: key(3), next: 0 },
        }
    }
}
