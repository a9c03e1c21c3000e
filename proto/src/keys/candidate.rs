//! The key that a handshake of `countersign/1` continues with, chosen in constant time.
//!
//! All keys are examined in the same way, and the choice is made without a branch or an address
//! that depends on it: the time and the contents of the processor's caches are the same whether or
//! not the key that a client names is on the ring, valid and for this service. Only the name of the
//! refusal is looked up, in a few bytes.

use core::hint::black_box;
use core::time::Duration;

use zeroize::Zeroizing;

use crate::dialect::Dialect;
use crate::keys::KeyRing;
use crate::keys::key::{KeyNumber, PRK};
use crate::refusal::Refusal;

/// The key that a handshake continues with.
pub(crate) struct Candidate {
    /// The pseudorandom key of the chosen key, or of the decoy.
    pub(crate) prk: Zeroizing<[u8; PRK]>,
    pub(crate) claimant: Claimant,
}

/// The client that claims to hold a key (NIST SP 800-63), until its proof is verified.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claimant {
    number: KeyNumber,
    /// The client has named a key that it may use here.
    is_known: bool,
    /// Why the client is refused without the right proof.
    refusal: Refusal,
}

impl Claimant {
    /// The key's number, if the proof `holds`. The proof of a decoy never counts.
    pub(crate) fn admit(self, holds: bool) -> Result<KeyNumber, Refusal> {
        if holds & self.is_known { Ok(self.number) } else { Err(self.refusal) }
    }

    /// Why a client without a proof is refused.
    pub(crate) fn refusal(self) -> Refusal {
        self.refusal
    }
}

impl KeyRing {
    /// Chooses the key that a peer names, if it is valid now, for this audience, and the audience
    /// is `served` here; otherwise the decoy.
    pub(crate) fn select(
        &self,
        id: &[u8],
        audience: &[u8],
        served: bool,
        now: Duration,
    ) -> Candidate {
        const REFUSALS: [Refusal; 3] =
            [Refusal::UnknownKey, Refusal::WrongAudience, Refusal::WrongProof];
        let mut prk = self.secrets().decoy.clone();
        let (mut number, mut named, mut known) = (0, 0, 0);
        for key in self.keys() {
            let bound = key.audience().as_bytes();
            let is_named = is_same(key.id().as_bytes(), id)
                & key.serves(Dialect::Countersign)
                & key.is_valid_at(now);
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
        let claimant = Claimant { number: KeyNumber(number), is_known: known == 1, refusal };
        Candidate { prk, claimant }
    }
}

/// Whether two names are the same, in a time that depends only on their lengths.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    let bytes = one.iter().zip(other);
    let difference = bytes.fold(0, |difference, (a, b)| difference | black_box(a ^ b));
    (one.len() == other.len()) & (difference == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_only_if_each_byte_is() {
        assert!(is_same(b"", b"") && is_same(b"garden", b"garden"));
        // Also where the differences cancel each other out.
        for other in [&b""[..], b"garde", b"gardens", b"gbqden", b"gardem", b"GARDEN"] {
            assert!(!is_same(b"garden", other) && !is_same(other, b"garden"));
        }
    }
}
