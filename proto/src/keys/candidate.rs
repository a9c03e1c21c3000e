//! Which key a handshake of `countersign/1` goes on with, found in a time that doesn't tell.
//!
//! All keys are looked at, each in the same way, and what is chosen is put together without a
//! branch or an address that depends on it: time, and what lies in the processor's caches, are the
//! same whether the key that a prover names is on the ring, in force and for this service, or not.

use core::hint::black_box;

use zeroize::Zeroizing;

use crate::dialect::Dialect;
use crate::keys::KeyRing;
use crate::keys::key::{KeyNumber, PRK};
use crate::refusal::Refusal;

/// What a handshake goes on with.
pub(crate) struct Candidate {
    /// The key's, or the decoy's.
    pub(crate) prk: Zeroizing<[u8; PRK]>,
    pub(crate) prover: Prover,
}

/// Who calls.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Prover {
    number: KeyNumber,
    /// The prover may be let in.
    is_known: bool,
    /// What a prover without the right proof is refused for.
    refusal: Refusal,
}

impl Prover {
    /// The key's number, if the proof that was given holds; a decoy's holds for nobody.
    pub(crate) fn admit(self, holds: bool) -> Result<KeyNumber, Refusal> {
        if holds & self.is_known { Ok(self.number) } else { Err(self.refusal) }
    }

    /// Why a prover is refused that gives no proof.
    pub(crate) fn refusal(self) -> Refusal {
        self.refusal
    }
}

impl KeyRing {
    /// Chooses the key that a peer names, if that is live and lets into this audience, which is
    /// `served` here or not; else the decoy.
    pub(crate) fn select(&self, id: &[u8], audience: &[u8], served: bool) -> Candidate {
        const REFUSALS: [Refusal; 3] =
            [Refusal::UnknownKey, Refusal::WrongAudience, Refusal::WrongProof];
        let mut prk = self.secrets().decoy.clone();
        let (mut number, mut named, mut known) = (0, 0, 0);
        for key in self.keys() {
            let bound = key.audience().as_bytes();
            let is_named = is_same(key.id().as_bytes(), id)
                & key.serves(Dialect::Countersign)
                & self.is_live(key);
            let fits = bound.is_empty() | is_same(bound, audience);
            let is_known = is_named & fits & served;
            // The compiler must not know that these are all or nothing, or it may branch.
            let mask = black_box(u8::from(is_known).wrapping_neg());
            for (chosen, other) in prk.iter_mut().zip(key.prk()) {
                *chosen ^= mask & (*chosen ^ other);
            }
            number |= u32::from_be_bytes([mask; 4]) & key.number().0;
            named |= u8::from(is_named);
            known |= mask & 1;
        }
        let refusal = REFUSALS[usize::from(black_box(named + known))];
        let prover = Prover { number: KeyNumber(number), is_known: known == 1, refusal };
        Candidate { prk, prover }
    }
}

/// Whether two names are the same, in a time that their lengths alone decide.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    let bytes = one.iter().zip(other);
    let difference = bytes.fold(0, |difference, (a, b)| difference | black_box(a ^ b));
    (one.len() == other.len()) & (difference == 0)
}
