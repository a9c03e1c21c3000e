//! The handshakes by challenge and response: one file a dialect, or a folder.
//!
//! In `raw` and `hex`, which this file joins, the server sends 32 random bytes and the client
//! answers with their HMAC in the dialect's form. The server doesn't confirm success; after a
//! wrong proof it closes the connection.

pub(crate) mod countersign;
mod hex;
pub(crate) mod multiprocessing;
mod raw;

use alloc::vec::Vec;
use core::time::Duration;

use crate::config::session_config::SessionConfig;
use crate::dialect::Dialect;
use crate::framing::Framing;
use crate::keys::key::{Key, MD5_TAG, Mac};
use crate::refusal::{ForeignProtocol, Refusal, is_hex};

/// How far the handshake of `raw` or `hex` has come.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ChallengeState {
    /// As a server: the challenge is sent, and its proof is awaited.
    AwaitingProof([u8; CHALLENGE]),
    /// As a client: the challenge is awaited.
    AwaitingChallenge,
}

/// The bytes of a challenge.
pub const CHALLENGE: usize = 32;

/// The longest proof: SHA-256 in hexadecimal digits.
pub(crate) const PROOF_MAX: usize = 64;

/// The length of a proof with a tag of this length.
pub(crate) fn proof_length(dialect: Dialect, tag: usize) -> usize {
    if dialect == Dialect::Hex { hex::length(tag) } else { tag }
}

/// The key that this proof was made with.
pub(crate) fn check<'k>(
    config: &'k SessionConfig,
    now: Duration,
    challenge: &[u8; CHALLENGE],
    proof: &[u8],
) -> Result<&'k Key, Refusal> {
    let key = match config.challenged() {
        Dialect::Hex => hex::check(config, now, challenge, proof),
        dialect => raw::check(config, dialect, now, challenge, proof),
    };
    // A peer of another protocol is distinguished from one that guesses a key.
    let stranger = || match (ForeignProtocol::of(proof), config.challenged()) {
        (ForeignProtocol::Other | ForeignProtocol::Hex, Dialect::Hex) => by_md5(proof),
        (ForeignProtocol::Other, _) => None,
        (opening, _) => Some(Refusal::Foreign(opening)),
    };
    key.ok_or_else(|| stranger().unwrap_or(Refusal::WrongProof))
}

/// In `hex`, a proof with MD5 and the message after it, where one with SHA-256 is awaited. Nothing
/// is after it where one with MD5 is.
fn by_md5(proof: &[u8]) -> Option<Refusal> {
    let (front, rest) = proof.split_at_checked(hex::length(MD5_TAG))?;
    // A wrong digit alone doesn't look like a message.
    let others = rest.iter().filter(|byte| !is_hex(core::slice::from_ref(byte))).count();
    (is_hex(front) && others > rest.len() / 2).then_some(Refusal::OtherDigest)
}

/// What is wrong with a proof that stays incomplete, if its length or its bytes show it. The peer
/// waits too, so no other sign will follow.
pub(crate) fn suspect(config: &SessionConfig, front: &[u8]) -> Option<Refusal> {
    let (dialect, mac) = (config.challenged(), config.mac());
    let is_short = front.len() == proof_length(dialect, MD5_TAG) && mac == Mac::Sha256;
    let shortest = front.get(..MD5_TAG);
    let is_raw = shortest.is_some_and(|front| core::str::from_utf8(front).is_err());
    match (dialect, ForeignProtocol::of(front)) {
        (Dialect::Raw, _) if is_short => Some(Refusal::OtherDigest),
        (Dialect::Hex, ForeignProtocol::Hex) => is_short.then_some(Refusal::OtherDigest),
        (Dialect::Hex, ForeignProtocol::Other) if is_raw => {
            Some(Refusal::Foreign(ForeignProtocol::Raw))
        }
        (_, ForeignProtocol::Other | ForeignProtocol::Hex) => None,
        (_, opening) => Some(Refusal::Foreign(opening)),
    }
}

/// Appends the proof that answers a challenge.
pub(crate) fn answer(config: &SessionConfig, key: &Key, challenge: &[u8], out: &mut Vec<u8>) {
    let mac = config.mac();
    let tag = key.sign(mac, challenge);
    match config.dialect() {
        Dialect::Hex => hex::write(mac, &tag, out),
        _ => raw::write(mac, &tag, out),
    }
}

impl ForeignProtocol {
    /// The dialect of a server that should speak `open`, if its first bytes are a challenge. A
    /// service may greet with anything, but hardly with 32 bytes that are neither text nor a line.
    #[must_use]
    pub fn of_challenge(heard: &[u8], framing: Framing) -> Option<Self> {
        let is_challenge = heard.len() == CHALLENGE
            && framing == Framing::Lines
            && !heard.ends_with(b"\n")
            && core::str::from_utf8(heard).is_err();
        let is_python = multiprocessing::begins(heard).then_some(Self::Multiprocessing);
        is_python.or(is_challenge.then_some(Self::Raw))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_where_none_is_expected_is_known_unless_it_may_be_a_message() {
        let cases: [(&[u8], Framing, Option<ForeignProtocol>); 8] = [
            (&[0xff; CHALLENGE], Framing::Lines, Some(ForeignProtocol::Raw)),
            (&[0xff; CHALLENGE], Framing::Length, None),
            (&[0xff; CHALLENGE - 1], Framing::Lines, None),
            (&[0xff; CHALLENGE + 1], Framing::Lines, None),
            (&[b'x'; CHALLENGE], Framing::Lines, None),
            (&[&[0xff; CHALLENGE - 1][..], b"\n"].concat(), Framing::Lines, None),
            (b"\0\0\0\x1f#CHALLENGE#", Framing::Length, Some(ForeignProtocol::Multiprocessing)),
            (b"", Framing::Lines, None),
        ];
        for (heard, framing, expected) in cases {
            let known = ForeignProtocol::of_challenge(heard, framing);
            assert_eq!(known, expected, "{heard:?} in {framing:?}");
        }
    }

    #[test]
    fn a_proof_with_md5_is_known_by_what_is_no_digit_behind_it() {
        for (others, rest, expected) in [(0, 0, false), (16, 32, false), (17, 32, true)] {
            let proof = [vec![b'a'; 32], vec![b' '; others], vec![b'b'; rest - others]].concat();
            assert_eq!(by_md5(&proof), expected.then_some(Refusal::OtherDigest), "{others}");
        }
        assert_eq!(by_md5(&[b'a'; 31]), None);
    }
}
