//! `multiprocessing`: what every Python's `multiprocessing.connection` speaks.
//!
//! Each end challenges the other, the server first, and the other answers with an HMAC of the whole
//! challenge. The name of the digest is part of the challenge, so it can't be changed on the path.
//! Each message is a [frame] of at most 256 bytes.
//!
//! Pythons up to 3.11 name no digest and use MD5; those of Red Hat, where MD5 is forbidden, use
//! SHA-256. They are recognized by the lengths of their messages, and served if the configuration
//! allows it.

pub(crate) mod frame;

use alloc::vec::Vec;
use core::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::config::session_config::SessionConfig;
use crate::dialect::Dialect;
use crate::framing::length;
use crate::handshake::CHALLENGE;
use crate::handshake::multiprocessing::frame::write_message;
use crate::keys::key::{Key, Mac};
use crate::refusal::{Refusal, RefusalCode};
use crate::role::Role;

/// What a challenge begins with.
const MARK: &[u8] = b"#CHALLENGE#";
const WELCOME: &[u8] = b"#WELCOME#";
const FAILURE: &[u8] = b"#FAILURE#";

/// The name of the digest, before a challenge and before a proof.
const SHA256: &[u8] = b"{sha256}";
const MD5: &[u8] = b"{md5}";

/// The longest name of a digest, with its braces.
const NAME_MAX: usize = 10;

/// The bytes of a challenge that names no digest, whatever it begins with; no other is shorter.
const NAMELESS: usize = 20;

/// What tells our own challenges from others.
const SEAL: usize = 8;

/// The length of our challenges: a name, 32 random bytes, and 8 that are computed from these.
type Challenge = [u8; SHA256.len() + CHALLENGE + SEAL];

/// How far the handshake of `multiprocessing` has come.
#[derive(Debug, Clone, Copy)]
pub(crate) enum MultiprocessingState {
    /// Our challenge is sent, and its proof is awaited.
    SentChallenge(Role, [u8; CHALLENGE]),
    /// The other end's challenge is awaited.
    AwaitingChallenge(Retained),
    /// We have answered it, and the other end's welcome is awaited.
    SentProof(Retained),
}

/// What an end retains while it isn't challenging.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Retained {
    /// A server: the number of the key that the client has proved, in bytes. Aligned, it would
    /// make every session longer.
    Key([u8; 4]),
    /// A client: the random bytes of its challenge.
    Nonce([u8; CHALLENGE]),
}

/// Whether a server that should speak another dialect begins with a challenge of this one.
pub(crate) fn begins(heard: &[u8]) -> bool {
    heard.get(length::HEADER..).is_some_and(|message| message.starts_with(MARK))
}

/// Appends a challenge.
pub(crate) fn write_challenge(role: Role, nonce: &[u8; CHALLENGE], out: &mut Vec<u8>) {
    write_message(&[MARK, &challenge_text(role, nonce)], out);
}

/// Python sends 40 random bytes. Ours are 32 random bytes, as many as an HMAC-SHA256 has, and 8
/// that are computed from them. These can't be predicted either, and mark the challenge as one of
/// this end.
fn challenge_text(role: Role, nonce: &[u8; CHALLENGE]) -> Challenge {
    let mut made = [0; size_of::<Challenge>()];
    let (name, rest) = made.split_at_mut(SHA256.len());
    let (drawn, seal) = rest.split_at_mut(CHALLENGE);
    name.copy_from_slice(SHA256);
    drawn.copy_from_slice(nonce);
    let label: &[u8] = match role {
        Role::Server => b"countersign multiprocessing server",
        Role::Client => b"countersign multiprocessing client",
    };
    let digest = Sha256::new().chain_update(label).chain_update(nonce).finalize();
    seal.copy_from_slice(&digest[..SEAL]);
    made
}

/// Whether this end has made the challenge, on any of its connections.
fn is_own_challenge(role: Role, challenge: &[u8]) -> bool {
    let nonce = challenge.get(SHA256.len()..).and_then(|rest| rest.first_chunk());
    nonce.is_some_and(|nonce| challenge_text(role, nonce) == challenge)
}

/// Appends the proof that answers a challenge.
///
/// A challenge that this end has made is not answered: the peer has received it on another
/// connection, and can't answer it itself.
pub(crate) fn answer(
    config: &SessionConfig,
    role: Role,
    key: &Key,
    message: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Refusal> {
    let challenge = message.strip_prefix(MARK).ok_or(Refusal::Malformed)?;
    let unnamed = config.unnamed_mac();
    let (name, mac) = match challenge {
        _ if challenge.len() < NAMELESS => return Err(Refusal::Malformed),
        _ if is_own_challenge(role, challenge) => return Err(Refusal::Reflected),
        _ if challenge.len() == NAMELESS => (&b""[..], unnamed),
        _ if challenge.starts_with(SHA256) => (SHA256, Some(Mac::Sha256)),
        // A peer that names digests accepts MD5 without a name too.
        _ if challenge.starts_with(MD5) => (&b""[..], unnamed.filter(|mac| *mac != Mac::Sha256)),
        _ => (&b""[..], None),
    };
    let mac = mac.ok_or_else(|| other(challenge))?;
    let tag = key.sign(mac, challenge);
    write_message(&[name, &tag[..mac.length()]], out);
    Ok(())
}

/// The key that the other end has answered our challenge with, which is then confirmed. A server
/// tries all keys that serve the dialect; a client uses one.
pub(crate) fn verify<'k>(
    config: &'k SessionConfig,
    now: Duration,
    role: Role,
    nonce: &[u8; CHALLENGE],
    message: &[u8],
    out: &mut Vec<u8>,
) -> Result<&'k Key, Refusal> {
    let (mac, tag) = proof(config, message)?;
    let challenge = challenge_text(role, nonce);
    let key = match role {
        Role::Server => config.verify(Dialect::Multiprocessing, now, mac, &challenge, tag),
        Role::Client => {
            let key = config.signing_key(now).ok().flatten();
            key.filter(|key| key.verifies(mac, &challenge, tag))
        }
    };
    let key = key.ok_or(Refusal::WrongProof)?;
    write_message(&[WELCOME], out);
    Ok(key)
}

/// The parts of a proof: the hash that it names, and the tag.
fn proof<'m>(config: &SessionConfig, message: &'m [u8]) -> Result<(Mac, &'m [u8]), Refusal> {
    let fits = |mac: Mac, tag: &&[u8]| tag.len() == mac.length();
    let named = message.strip_prefix(SHA256).filter(|tag| fits(Mac::Sha256, tag));
    let named = named.map(|tag| (Mac::Sha256, tag));
    let unnamed = config.unnamed_mac().filter(|mac| fits(*mac, &message));
    named.or(unnamed.map(|mac| (mac, message))).ok_or_else(|| other(message))
}

/// What is wrong with a challenge or a proof of another form.
fn other(message: &[u8]) -> Refusal {
    let is_nameless = [16, NAMELESS, 32].contains(&message.len());
    let is_named = message.starts_with(b"{") && message.iter().take(NAME_MAX).any(|&b| b == b'}');
    match is_nameless || (is_named && !message.starts_with(SHA256)) {
        true => Refusal::OtherDigest,
        false => Refusal::Malformed,
    }
}

/// Checks that the message confirms our proof.
pub(crate) fn check_welcome(message: &[u8]) -> Result<(), Refusal> {
    if message == WELCOME { Ok(()) } else { Err(Refusal::Malformed) }
}

/// Checks that the message doesn't report a failure, which can come at any time.
pub(crate) fn check_failure(message: &[u8]) -> Result<(), Refusal> {
    if message == FAILURE { Err(Refusal::Rejected(RefusalCode::Refused)) } else { Ok(()) }
}

/// Appends the report of a failure, unless the other end has sent one.
pub(crate) fn write_failure(why: Refusal, out: &mut Vec<u8>) {
    if !matches!(why, Refusal::Rejected(_)) {
        write_message(&[FAILURE], out);
    }
}

#[cfg(test)]
mod tests;
