//! `raw`: the proof is the HMAC's bytes.

use alloc::vec::Vec;
use core::time::Duration;

use crate::config::session_config::SessionConfig;
use crate::dialect::Dialect;
use crate::handshake::CHALLENGE;
use crate::keys::key::{Key, Mac};

/// The key of a proof, among those that serve the dialect.
pub(super) fn check<'k>(
    config: &'k SessionConfig,
    dialect: Dialect,
    now: Duration,
    challenge: &[u8; CHALLENGE],
    proof: &[u8],
) -> Option<&'k Key> {
    config.verify(dialect, now, config.mac(), challenge, proof)
}

pub(super) fn write(mac: Mac, tag: &[u8; 32], out: &mut Vec<u8>) {
    out.extend_from_slice(&tag[..mac.length()]);
}
