//! `hex`: the proof is the HMAC in lower-case hexadecimal digits. Upper case is a wrong proof.

use alloc::vec::Vec;
use core::time::Duration;

use crate::config::session_config::SessionConfig;
use crate::dialect::Dialect;
use crate::handshake::{CHALLENGE, PROOF_MAX, raw};
use crate::keys::key::{Key, Mac};

/// Two digits a byte.
pub(super) fn length(tag: usize) -> usize {
    2 * tag
}

/// Decodes in constant time. A proof that isn't hexadecimal is treated like others: it is compared
/// as an empty proof, which matches no key.
pub(super) fn check<'k>(
    config: &'k SessionConfig,
    now: Duration,
    challenge: &[u8; CHALLENGE],
    proof: &[u8],
) -> Option<&'k Key> {
    let mut bytes = [0; PROOF_MAX / 2];
    let proof = base16ct::lower::decode(proof, &mut bytes).unwrap_or_default();
    raw::check(config, Dialect::Hex, now, challenge, proof)
}

pub(super) fn write(mac: Mac, tag: &[u8; 32], out: &mut Vec<u8>) {
    let mut digits = [0; PROOF_MAX];
    let digits = base16ct::lower::encode(&tag[..mac.length()], &mut digits).unwrap_or_default();
    out.extend_from_slice(digits);
}
