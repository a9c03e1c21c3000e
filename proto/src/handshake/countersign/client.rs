//! The client's end: it sends its hello, verifies that the server holds the key, and only then
//! proves that it holds the key itself.

use alloc::vec::Vec;
use core::ops::RangeInclusive;

use crate::config::options::Protection;
use crate::config::session_config::SessionConfig;
use crate::handshake::countersign::Negotiated;
use crate::handshake::countersign::frame::{self, CONFIRM, HEADER, Header, MAGIC, NONCE, Nonce};
use crate::handshake::countersign::hello::{self, Hello, ServerHello};
use crate::handshake::countersign::schedule::{Schedule, is_same, transcript};
use crate::keys::KeyRing;
use crate::keys::key::Key;
use crate::records::Records;
use crate::refusal::Refusal;

/// Appends the magic and our hello.
pub(crate) fn call(
    config: &SessionConfig,
    (ring, key): (&KeyRing, &Key),
    nonce: &Nonce,
    out: &mut Vec<u8>,
) {
    let hello = Hello {
        flags: match config.protection() {
            Protection::Allowed => hello::RECORDS,
            Protection::Off => 0,
            _ => hello::RECORDS | hello::RECORDS_REQUIRED,
        },
        record_max: config.record_max(),
        nonce: *nonce,
        instance: ring.secrets().instance,
        key_id: key.id().as_bytes(),
        audience: config.audience_for(key),
        extensions: client_extensions(config),
    };
    out.extend_from_slice(&MAGIC);
    let start = out.len();
    out.extend_from_slice(&[0; HEADER]);
    hello.write(out);
    let header = Header { kind: frame::HELLO, length: out.len() - start - HEADER };
    out[start..][..HEADER].copy_from_slice(&header.bytes());
}

/// The extensions that the client offers.
fn client_extensions(config: &SessionConfig) -> &'static [u8] {
    if config.protection().is_sealed() { &hello::SEALING_EXTENSION } else { &[] }
}

/// Verifies the server's proof in `heard`, its nonce and hello, and appends ours.
pub(crate) fn confirm(
    config: &SessionConfig,
    (ring, key): (&KeyRing, &Key),
    nonce: &Nonce,
    heard: &[u8],
    out: &mut Vec<u8>,
) -> Result<Negotiated, Refusal> {
    let (theirs, frame) = heard.split_first_chunk::<NONCE>().ok_or(Refusal::Malformed)?;
    let (hello, proof) = ServerHello::read(&frame[HEADER..], client_extensions(config))?;
    let chosen = hello.flags & hello::RECORDS != 0;
    let is_fit = match config.protection() {
        Protection::Off => !chosen,
        Protection::Allowed => true,
        _ => chosen,
    };
    if !is_fit {
        return Err(Refusal::Protection);
    }
    if hello.instance == ring.secrets().instance {
        return Err(Refusal::Reflected);
    }
    // The same arguments give the same hello again, so it isn't kept.
    let mut called = Vec::with_capacity(frame::HELLO_MAX);
    call(config, (ring, key), nonce, &mut called);
    let said = &frame[..frame.len() - proof.len()];
    let schedule = Schedule::new(key.prk(), transcript(theirs, &called, said));
    if !is_same(&schedule.server_proof(), proof) {
        return Err(Refusal::WrongProof);
    }
    // The proof is verified, so this is the server's own choice.
    let is_sealed = match hello.suites() {
        _ if !config.protection().is_sealed() => false,
        Some([hello::CHACHA20_POLY1305]) => true,
        Some(_) => return Err(Refusal::Malformed),
        None => return Err(Refusal::Protection),
    };
    frame::write(CONFIRM, &schedule.client_proof(proof), out);
    let records = Records::new(schedule.to_server(), schedule.to_client(), hello.record_max);
    let mut records = records.behind(out.len()).with_sealing(is_sealed);
    records.start_sending();
    Ok(Negotiated { records, plain: !chosen, exporter: schedule.exporter() })
}

/// Checks the header of the server's answer: it is the frame that is due, or a refusal.
pub(crate) fn judge(
    header: Header,
    due: u8,
    lengths: RangeInclusive<usize>,
) -> Result<(), Refusal> {
    match header {
        Header { kind, length } if kind == due && lengths.contains(&length) => Ok(()),
        Header { kind: frame::REFUSAL, length: 1 } => Ok(()),
        _ => Err(Refusal::Malformed),
    }
}
