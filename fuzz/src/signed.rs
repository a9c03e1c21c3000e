//! A peer that holds the key, and signs what the fuzzer has written.
//!
//! A fuzzer can't guess a proof or a tag. So it writes what it likes, and where a proof or a tag
//! belongs, the right one is put in its place: what lies behind is reached, and mutations stay
//! mutations of the bytes on the wire.

use std::time::Duration;

use countersign::{Dialect, Mac};
use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::Md5;
use sha2::Sha256;

use crate::forger::{BATCH, DATA, Direction, Forger};
use crate::setup::{AUDIENCES, ID, NONCE, RAW_SECRET, SECRET, Setup};

const MAGIC: &[u8] = b"\x9ecsgn/1\n";

/// The lengths of a tag, of a proof, of the header of a frame, and of what stands in a hello
/// before the id of the key.
const TAG: usize = 16;
const PROOF: usize = 32;
const HEADER: usize = 4;
const HELLO_FRONT: usize = 56;

/// What arrives at the session.
#[derive(Debug, Default)]
pub struct Signed {
    pub stream: Vec<u8>,
    /// The proofs that may open the session: one of them has to be in the stream. An empty one is
    /// in every stream; without any, the session must not open.
    pub proofs: Vec<Vec<u8>>,
    /// The messages that stand in records with right tags, up to the first record without one.
    pub messages: Vec<Vec<u8>>,
}

impl Signed {
    /// Signs as many proofs and records as the setup says.
    pub fn new(setup: &Setup, stream: &[u8]) -> Self {
        let mut signed = Self { stream: stream.to_vec(), ..Self::default() };
        let is_hello = stream.starts_with(MAGIC);
        match (setup.dialect, setup.is_server) {
            (Dialect::Countersign, true) if setup.shares_raw && !is_hello => signed.answer(setup),
            (Dialect::Countersign, true) => {
                let _ = signed.server(setup);
            }
            (Dialect::Countersign, false) => {
                let call = said(setup, &[]).unwrap_or_default();
                let _ = signed.client(setup, &call);
            }
            (Dialect::Raw | Dialect::Hex, true) => signed.answer(setup),
            (Dialect::Multiprocessing, _) => {
                let _ = signed.multiprocessing(setup);
            }
            // The server proves nothing, or nobody does.
            (Dialect::Raw | Dialect::Hex | Dialect::Open, _) => signed.proofs.push(Vec::new()),
            (dialect, _) => panic!("nobody knows how to prove anything in {dialect}"),
        }
        signed
    }

    /// The same for a client, which has sent this in `countersign/1`.
    pub fn to_client(setup: &Setup, call: &[u8], stream: &[u8]) -> Self {
        if setup.dialect != Dialect::Countersign {
            return Self::new(setup, stream);
        }
        let mut signed = Self { stream: stream.to_vec(), ..Self::default() };
        signed.client(setup, call);
        signed
    }

    /// Whether the peer has proved that it holds the key.
    pub fn has_proof(&self) -> bool {
        let has = |proof: &Vec<u8>| {
            proof.is_empty() || self.stream.windows(proof.len()).any(|part| part == proof)
        };
        self.proofs.iter().any(has)
    }

    /// Puts a proof here, if it is to be signed and there is room for it.
    fn put(&mut self, setup: &Setup, at: usize, proof: &[u8]) -> Option<()> {
        let place = self.stream.get_mut(at..at + proof.len()).filter(|_| setup.signs > 0)?;
        place.copy_from_slice(proof);
        Some(())
    }

    /// In `raw` and `hex`: the answer to the challenge, at the front.
    fn answer(&mut self, setup: &Setup) {
        let secret = if setup.shares_raw { &RAW_SECRET } else { &SECRET };
        let mut proof = mac(setup.mac, secret, &NONCE);
        if setup.dialect == Dialect::Hex {
            proof = base16ct::lower::encode_string(&proof).into_bytes();
        }
        self.put(setup, 0, &proof);
        self.proofs.push(proof);
    }

    /// In `multiprocessing`: the answer to the challenge is the first message of a client, and the
    /// third of a server.
    fn multiprocessing(&mut self, setup: &Setup) -> Option<()> {
        let start = match setup.is_server {
            true => 0,
            false => self.length_frame(self.length_frame(0)?)?,
        };
        let challenge = said(setup, &self.stream[..start])?;
        let challenge = &challenge[challenge.len().checked_sub(48)?..];
        self.proofs.push(mac(Mac::Sha256, &SECRET, challenge));
        if setup.mac != Mac::Sha256 {
            self.proofs.push(mac(setup.mac, &SECRET, challenge));
        }
        let end = self.length_frame(start)?;
        // An answer without the name of its digest is that of an old peer.
        let is_md5 = setup.mac != Mac::Sha256 && end - start == HEADER + TAG;
        let proof = self.proofs[usize::from(is_md5)].clone();
        self.put(setup, end.checked_sub(proof.len())?.max(start), &proof)
    }

    /// The end of the frame that begins here, if all of it is there.
    fn length_frame(&self, at: usize) -> Option<usize> {
        let length = u32::from_be_bytes(*self.stream.get(at..)?.first_chunk()?);
        self.end(at, usize::try_from(length).ok()?)
    }

    /// The same of `countersign/1`.
    fn frame(&self, at: usize) -> Option<usize> {
        let [_, a, b, c] = *self.stream.get(at..)?.first_chunk()?;
        self.end(at, usize::try_from(u32::from_be_bytes([0, a, b, c])).ok()?)
    }

    fn end(&self, at: usize, length: usize) -> Option<usize> {
        let end = at.checked_add(HEADER)?.checked_add(length)?;
        (end <= self.stream.len()).then_some(end)
    }

    /// Of a client of `countersign/1`: its hello, its proof, its records.
    fn server(&mut self, setup: &Setup) -> Option<()> {
        let hello = self.frame(MAGIC.len())?;
        let answer = said(setup, &self.stream[..hello])?;
        // Behind what was sent before, if `raw` is served too.
        let is_accepted = answer.get(32) == Some(&2);
        let mut forger =
            is_accepted.then(|| Forger::new(&SECRET, &self.stream[..hello], &answer))?;
        if names_the_key(&self.stream[..hello]) {
            self.proofs.push(forger.confirm[HEADER..].to_vec());
        }
        self.put(setup, hello, &forger.confirm)?;
        self.records(hello + forger.confirm.len(), setup.signs - 1, &mut forger.to_server)
    }

    /// Of a server of `countersign/1`: its challenge, its hello with the proof, its acceptance, its
    /// records.
    fn client(&mut self, setup: &Setup, call: &[u8]) -> Option<()> {
        let hello = self.frame(NONCE.len())?;
        let proof = hello - PROOF;
        if proof < NONCE.len() + HEADER {
            return None;
        }
        let mut forger = Forger::new(&SECRET, call, &self.stream[..hello]);
        self.proofs.push(forger.server_proof.to_vec());
        self.put(setup, proof, &forger.server_proof)?;
        let accept = self.frame(hello)?;
        if accept - hello != HEADER + 1 + TAG {
            return None;
        }
        let [kind, _, _, _, status] = *self.stream[hello..].first_chunk()?;
        let accepted = forger.to_client.record(kind, &[status]);
        self.put(setup, hello, &accepted)?;
        self.records(accept, setup.signs - 1, &mut forger.to_client)
    }

    /// Signs so many records, as far as they are whole.
    fn records(&mut self, mut at: usize, most: usize, direction: &mut Direction) -> Option<()> {
        for _ in 0..most {
            let end = self.frame(at)?;
            let payload = self.stream.get(at + HEADER..end.checked_sub(TAG)?)?.to_vec();
            let kind = self.stream[at];
            self.stream[at..end].copy_from_slice(&direction.record(kind, &payload));
            match kind {
                DATA => self.messages.push(payload),
                BATCH => self.messages.extend(batched(&payload)?),
                _ => {}
            }
            at = end;
        }
        Some(())
    }
}

/// The messages of a batch, unless it is malformed.
pub(crate) fn batched(mut payload: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut messages = Vec::new();
    while let Some(([a, b, c], rest)) = payload.split_first_chunk() {
        let length = usize::try_from(u32::from_be_bytes([0, *a, *b, *c])).ok()?;
        let (message, rest) = rest.split_at_checked(length)?;
        messages.push(message.to_vec());
        payload = rest;
    }
    (payload.is_empty() && !messages.is_empty()).then_some(messages)
}

/// Whether a hello, behind the magic and its header, names the key and an audience of ours.
fn names_the_key(call: &[u8]) -> bool {
    let named = || {
        let mut rest = call.get(MAGIC.len() + HEADER + HELLO_FRONT..)?;
        let mut field = || {
            let (length, behind) = rest.split_first()?;
            let (name, behind) = behind.split_at_checked(usize::from(*length))?;
            rest = behind;
            Some(name)
        };
        Some((field()?, field()?))
    };
    named().is_some_and(|(id, audience)| {
        id == ID.as_bytes() && AUDIENCES.iter().any(|name| name.as_bytes() == audience)
    })
}

/// What the session says to this.
fn said(setup: &Setup, mut input: &[u8]) -> Option<Vec<u8>> {
    let (mut session, mut out) = (setup.session()?, Vec::new());
    // What it makes of it shows in what it says.
    let _ = session.process(Duration::ZERO, &mut input, &mut out);
    Some(out)
}

fn mac(mac: Mac, secret: &[u8], message: &[u8]) -> Vec<u8> {
    match mac {
        Mac::Sha256 => {
            let mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
            mac.chain_update(message).finalize().into_bytes().to_vec()
        }
        _ => {
            let mac = Hmac::<Md5>::new_from_slice(secret).unwrap();
            mac.chain_update(message).finalize().into_bytes().to_vec()
        }
    }
}
