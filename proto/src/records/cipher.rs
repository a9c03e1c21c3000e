//! ChaCha20-Poly1305 (RFC 8439), for records that are sealed. Without the feature `seal` there is
//! none.

#[cfg(feature = "seal")]
use chacha20poly1305::{ChaCha20Poly1305, KeyInit as _, aead::AeadInOut as _};

#[cfg(feature = "seal")]
use crate::handshake::countersign::frame::HEADER;
#[cfg(feature = "seal")]
use crate::records::batch::TAG;

#[cfg(feature = "seal")]
type Algorithm = ChaCha20Poly1305;

#[cfg(not(feature = "seal"))]
type Algorithm = core::convert::Infallible;

/// What seals the records of one direction.
pub(crate) struct Cipher(Algorithm);

#[cfg(feature = "seal")]
impl Cipher {
    pub(crate) fn new(key: &[u8; 32]) -> Option<Self> {
        Some(Self(ChaCha20Poly1305::new(key.into())))
    }

    /// Encrypts the payload of the record of this number, and fills in its tag.
    pub(crate) fn seal(&self, number: u64, record: &mut [u8]) {
        let Some((header, payload, tag)) = parts(record) else { return };
        match self.0.encrypt_inout_detached(&nonce(number).into(), header, (&mut *payload).into()) {
            Ok(sealed) => *tag = sealed.into(),
            // Only for 256 GiB and more. Plaintext must never be sent.
            Err(_) => payload.fill(0),
        }
    }

    /// Decrypts the payload of the record of this number, if its tag is right.
    pub(crate) fn open(&self, number: u64, record: &mut [u8]) -> bool {
        parts(record).is_some_and(|(header, payload, tag)| {
            let (nonce, tag) = (nonce(number).into(), (&*tag).into());
            self.0.decrypt_inout_detached(&nonce, header, payload.into(), tag).is_ok()
        })
    }
}

#[cfg(not(feature = "seal"))]
impl Cipher {
    pub(crate) fn new(_: &[u8; 32]) -> Option<Self> {
        None
    }

    pub(crate) fn seal(&self, _: u64, _: &mut [u8]) {
        match self.0 {}
    }

    pub(crate) fn open(&self, _: u64, _: &mut [u8]) -> bool {
        match self.0 {}
    }
}

/// The header of a record, its payload and its tag.
#[cfg(feature = "seal")]
fn parts(record: &mut [u8]) -> Option<(&[u8; HEADER], &mut [u8], &mut [u8; TAG])> {
    let (header, rest) = record.split_first_chunk_mut()?;
    let (payload, tag) = rest.split_last_chunk_mut()?;
    Some((header, payload, tag))
}

/// The nonce of a record: each number is used once with a key.
#[cfg(feature = "seal")]
fn nonce(number: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&number.to_be_bytes());
    nonce
}
