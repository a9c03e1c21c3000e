//! What protects the records of one direction: tags, or encryption with tags.

use core::fmt;

use hmac::digest::block_api::{Buffer, CoreProxy};
use hmac::{Hmac, KeyInit as _, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::records::batch::TAG;
use crate::records::cipher::Cipher;

type HmacSha256 = Hmac<Sha256>;
type Core = <HmacSha256 as CoreProxy>::Core;

/// What protects the records of one direction, and the number of the next one.
///
/// The number is not sent: both ends count, so the tag of a record that was dropped, repeated,
/// reordered or reflected is wrong.
pub(crate) struct RecordKey {
    protector: Protector,
    next: u64,
}

enum Protector {
    /// The HMAC with the pads absorbed, without the buffer that it needs only at work.
    Hmac(Core),
    /// For records that are sealed.
    Cipher(Cipher),
}

impl RecordKey {
    /// A key that tags records.
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        let (keyed, _) = keyed(key).decompose();
        Self { protector: Protector::Hmac(keyed), next: 0 }
    }

    /// Seals records from the next one on, with a key that is derived from this one.
    pub(crate) fn start_sealing(&mut self) {
        let Protector::Hmac(keyed) = &self.protector else { return };
        let mut mac = compose(keyed);
        mac.update(b"countersign/1 chacha20-poly1305");
        let key = Zeroizing::new(mac.finalize().into_bytes().into());
        if let Some(cipher) = Cipher::new(&key) {
            self.protector = Protector::Cipher(cipher);
        }
    }

    /// Protects our next record: fills in its tag, and encrypts it where records are sealed.
    pub(crate) fn protect(&mut self, record: &mut [u8]) {
        let number = self.take_number();
        match &self.protector {
            Protector::Hmac(keyed) => {
                if let Some((front, tag)) = record.split_last_chunk_mut::<TAG>() {
                    let full = mac(keyed, number, front).finalize().into_bytes();
                    tag.copy_from_slice(&full[..TAG]);
                }
            }
            Protector::Cipher(cipher) => cipher.seal(number, record),
        }
    }

    /// Whether the tag of the next record is right; compared in constant time.
    pub(crate) fn verify(&mut self, record: &[u8]) -> bool {
        let number = self.take_number();
        match (&self.protector, record.split_last_chunk::<TAG>()) {
            (Protector::Hmac(keyed), Some((front, tag))) => {
                mac(keyed, number, front).verify_truncated_left(tag).is_ok()
            }
            _ => false,
        }
    }

    /// The same for a sealed record, which is decrypted if its tag is right.
    pub(crate) fn unseal(&mut self, record: &mut [u8]) -> bool {
        let number = self.take_number();
        match &self.protector {
            Protector::Hmac(_) => false,
            Protector::Cipher(cipher) => cipher.open(number, record),
        }
    }

    /// No connection lasts for 2^64 records, so the number never wraps.
    fn take_number(&mut self) -> u64 {
        let number = self.next;
        self.next = number.wrapping_add(1);
        number
    }
}

/// The HMAC of a record, of which this is everything before the tag.
fn mac(keyed: &Core, number: u64, record: &[u8]) -> HmacSha256 {
    let mut mac = compose(keyed);
    mac.update(&number.to_be_bytes());
    mac.update(record);
    mac
}

fn compose(keyed: &Core) -> HmacSha256 {
    HmacSha256::compose(keyed.clone(), Buffer::<Core>::default())
}

/// The HMAC with its key absorbed, which it pads with zeros to a block of the hash.
pub(crate) fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    let mut block = Zeroizing::new([0; 64]);
    block[..32].copy_from_slice(key);
    Hmac::new((&*block).into())
}

impl fmt::Debug for RecordKey {
    /// The key is not shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordKey").field("next", &self.next).finish_non_exhaustive()
    }
}
