//! The server's end: it answers a client's hello, and then verifies the client's proof.
//!
//! A client whose key isn't on the ring is answered too, with a decoy key. The work and the bytes
//! are the same, so a client without the key can't find out whether the key exists.

use alloc::vec::Vec;
use core::time::Duration;

use crate::config::options::Protection;
use crate::config::session_config::SessionConfig;
use crate::handshake::countersign::Negotiated;
use crate::handshake::countersign::frame::{self, HEADER, Header, MAGIC, Nonce, PROOF, STATUS};
use crate::handshake::countersign::hello::{self, Hello, ServerHello};
use crate::handshake::countersign::schedule::{Schedule, is_same, transcript};
use crate::keys::candidate::{Candidate, Claimant};
use crate::keys::key::Key;
use crate::keys::key::KeyNumber;
use crate::records::{Records, TAG};
use crate::refusal::{Refusal, RefusalCode};

/// A server that has answered, and awaits the client's proof.
#[derive(Debug)]
pub(crate) struct Pending {
    /// The proof that the client must send.
    proof: [u8; PROOF],
    /// The client's key, or that the decoy was used.
    claimant: Claimant,
    /// The client has offered to seal records, which isn't done here.
    lacks_sealing: bool,
    negotiated: Negotiated,
}

/// Answers a client's hello: appends our nonce, if it wasn't `sent` before, and our hello.
pub(crate) fn answer(
    config: &SessionConfig,
    now: Duration,
    nonce: &Nonce,
    sent: bool,
    call: &[u8],
    out: &mut Vec<u8>,
) -> Result<Pending, Refusal> {
    let ring = config.keys().ok_or(Refusal::UnknownKey)?;
    let secrets = ring.secrets();
    let theirs = Hello::read(&call[MAGIC.len() + HEADER..])?;
    if theirs.instance == secrets.instance {
        return Err(Refusal::Reflected);
    }
    let is_sealed = config.protection().is_sealed();
    let flags = match config.protection() {
        Protection::Off if theirs.flags & hello::RECORDS_REQUIRED != 0 => Err(Refusal::Protection),
        Protection::Off => Ok(0),
        Protection::Allowed => Ok(theirs.flags & hello::RECORDS),
        _ if is_sealed && !theirs.offers_sealing() => Err(Refusal::Protection),
        _ if theirs.flags & hello::RECORDS == 0 => Err(Refusal::Protection),
        _ => Ok(hello::RECORDS),
    }?;
    let Candidate { prk, claimant } = config.select(ring, (theirs.key_id, theirs.audience), now);
    let ours = ServerHello {
        flags,
        record_max: config.record_max(),
        instance: secrets.instance,
        extensions: if is_sealed { &hello::SEALING_EXTENSION } else { &[] },
    };
    if !sent {
        out.extend_from_slice(nonce);
    }
    let start = out.len();
    let length = hello::SERVER_HELLO_BARE + ours.extensions.len() + PROOF;
    out.extend_from_slice(&Header { kind: frame::SERVER_HELLO, length }.bytes());
    ours.write(out);
    let said = transcript(nonce, call, &out[start..]);
    let schedule = Schedule::new(&prk, said);
    let proof = schedule.server_proof();
    out.extend_from_slice(&proof);
    let negotiated = Negotiated {
        records: Records::new(schedule.to_client(), schedule.to_server(), theirs.record_max)
            .with_sealing(is_sealed),
        plain: flags & hello::RECORDS == 0,
        exporter: schedule.exporter(),
    };
    let proof = schedule.client_proof(&proof);
    let lacks_sealing = theirs.offers_sealing() && !is_sealed;
    Ok(Pending { proof, claimant, lacks_sealing, negotiated })
}

impl Pending {
    /// Verifies the client's proof, and appends that we accept, if the key is still `known`.
    pub(crate) fn verify<'k>(
        self,
        proof: &[u8],
        known: impl FnOnce(KeyNumber) -> Option<&'k Key>,
        out: &mut Vec<u8>,
    ) -> Result<(&'k Key, Negotiated), Refusal> {
        let given = proof.try_into().map_err(|_| Refusal::Malformed)?;
        let number = self.claimant.admit(is_same(&self.proof, given))?;
        let key = known(number).ok_or(Refusal::UnknownKey)?;
        let mut negotiated = self.negotiated;
        let start = out.len();
        out.extend_from_slice(&Header { kind: frame::ACCEPT, length: 1 + TAG }.bytes());
        out.push(STATUS);
        out.extend_from_slice(&[0; TAG]);
        negotiated.records.seal_next(&mut out[start..]);
        negotiated.records = negotiated.records.behind(out.len());
        negotiated.records.start_sending();
        negotiated.records.start_receiving();
        Ok((key, negotiated))
    }

    /// Why a client leaves that has seen our proof and sends none: its key has another secret here,
    /// or isn't accepted, or we don't seal records, which it requires.
    pub(crate) fn left(&self) -> Refusal {
        match self.claimant.refusal() {
            Refusal::WrongProof if self.lacks_sealing => Refusal::Protection,
            why => why,
        }
    }
}

/// Appends a refusal, and before it our nonce, if it wasn't sent yet.
pub(crate) fn refuse(nonce: Option<&Nonce>, code: RefusalCode, out: &mut Vec<u8>) {
    out.extend(nonce.into_iter().flatten());
    frame::write(frame::REFUSAL, &[code.to_byte()], out);
}
