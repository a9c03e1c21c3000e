//! `raw`: the proof is the HMAC's bytes.

use crate::proto::dialect::Dialect;
use crate::proto::handshake::CHALLENGE;
use crate::proto::keys::key::{Key, Mac};
use crate::proto::protocol::Protocol;

/// The key of a proof, among those that serve the dialect.
pub(super) fn check<'k>(
    protocol: &'k Protocol,
    dialect: Dialect,
    challenge: &[u8; CHALLENGE],
    proof: &[u8],
) -> Option<&'k Key> {
    protocol.prove(dialect, protocol.mac(), challenge, proof)
}

pub(super) fn write(mac: Mac, tag: &[u8; 32], out: &mut Vec<u8>) {
    out.extend_from_slice(&tag[..mac.length()]);
}
