//! `raw`: the proof is the HMAC's bytes.

use alloc::vec::Vec;
use core::time::Duration;

use crate::dialect::Dialect;
use crate::handshake::CHALLENGE;
use crate::keys::key::{Key, Mac};
use crate::protocol::Protocol;

/// The key of a proof, among those that serve the dialect.
pub(super) fn check<'k>(
    protocol: &'k Protocol,
    dialect: Dialect,
    now: Duration,
    challenge: &[u8; CHALLENGE],
    proof: &[u8],
) -> Option<&'k Key> {
    protocol.verify(dialect, now, protocol.mac(), challenge, proof)
}

pub(super) fn write(mac: Mac, tag: &[u8; 32], out: &mut Vec<u8>) {
    out.extend_from_slice(&tag[..mac.length()]);
}
