//! The handshakes by challenge and response: one file a dialect, or a folder.
//!
//! In `raw` and `hex`, which this file joins, the server sends 32 random bytes and the client
//! answers with their HMAC in the dialect's form. No word of success follows; a wrong proof closes
//! the connection.

pub(crate) mod countersign;
mod hex;
pub(crate) mod multiprocessing;
mod raw;

use crate::proto::dialect::Dialect;
use crate::proto::keys::key::{Key, Mac};
use crate::proto::protocol::Protocol;
use crate::proto::refusal::{Opening, Refusal};

/// The bytes of a challenge.
pub(crate) const CHALLENGE: usize = 32;

/// The longest proof: SHA-256 in hexadecimal digits.
pub(crate) const PROOF_MAX: usize = 64;

/// The bytes of a proof.
pub(crate) fn proof_length(dialect: Dialect, mac: Mac) -> usize {
    match dialect {
        Dialect::Raw => mac.length(),
        Dialect::Hex => hex::length(mac),
        Dialect::Countersign | Dialect::Multiprocessing | Dialect::Open => 0,
    }
}

/// The key whose proof this is.
pub(crate) fn check<'k>(
    protocol: &'k Protocol,
    challenge: &[u8; CHALLENGE],
    proof: &[u8],
) -> Result<Option<&'k Key>, Refusal> {
    let key = match protocol.challenged() {
        Dialect::Raw => raw::check(protocol, Dialect::Raw, challenge, proof),
        Dialect::Hex => hex::check(protocol, challenge, proof),
        Dialect::Countersign | Dialect::Multiprocessing | Dialect::Open => return Ok(None),
    };
    // A stranger is told from someone who guesses.
    let wrong = || match Opening::of(proof) {
        Opening::Other => Refusal::WrongProof,
        opening => Refusal::Foreign(opening),
    };
    key.ok_or_else(wrong).map(Some)
}

/// Appends the proof that answers a challenge.
pub(crate) fn answer(protocol: &Protocol, key: &Key, challenge: &[u8], out: &mut Vec<u8>) {
    let mac = protocol.mac();
    let tag = key.sign(mac, challenge);
    match protocol.dialect() {
        Dialect::Raw => raw::write(mac, &tag, out),
        Dialect::Hex => hex::write(mac, &tag, out),
        Dialect::Countersign | Dialect::Multiprocessing | Dialect::Open => {}
    }
}
