//! Keys from passphrases.

use alloc::vec;

use hmac::Hmac;
use sha2::Sha256;

use crate::keys::fault::KeyError;
use crate::keys::wipe::Secret;

/// The rounds, which are the cost of one guess: as many as OWASP's Password Storage Cheat Sheet
/// recommends for PBKDF2-HMAC-SHA256.
const ROUNDS: u32 = 600_000;

const SALT: &[u8] = b"countersign/1 pass";

/// PBKDF2 (RFC 8018) of a passphrase, with the key's id in the salt. It takes a good part of a
/// second on a small machine: that is its purpose.
pub(crate) fn stretch(id: &str, passphrase: &[u8]) -> Result<Secret, KeyError> {
    // On the heap: passed by value, it would leave copies that nobody wipes.
    let mut stretched = Secret::new(vec![0; 32]);
    let salt = [SALT, id.as_bytes()].concat();
    // HMAC accepts keys of any length, so this never fails.
    pbkdf2::pbkdf2::<Hmac<Sha256>>(passphrase, &salt, ROUNDS, &mut stretched[..])
        .map_err(|_| KeyError::EmptySecret)?;
    Ok(stretched)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passphrase_is_stretched_as_by_pythons_hashlib() {
        // hashlib.pbkdf2_hmac("sha256", b"correct-horse-battery-staple",
        //                     b"countersign/1 pass" + b"garden", 600_000, 32).hex()
        let stretched = stretch("garden", b"correct-horse-battery-staple").unwrap();
        let expected = "c54c117e0263044679019cdcbc3c5de9b173a7e5354fc854b15d89ae36b2e255";
        assert_eq!(base16ct::lower::encode_string(&stretched[..]), expected);
    }
}
