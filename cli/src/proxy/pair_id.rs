//! What a pair is called: its slot on the slab, and which of the slot's tenants it is.
//!
//! The slab gives a slot anew as soon as it is free, so an event of the same batch that names the
//! slot alone could hit the next tenant.

use mio::Token;

/// Half of a token is the generation; the other half is the slot, and which end it is.
const HALF: u32 = usize::BITS / 2;

/// The most slots that a token can tell apart.
pub(super) const SLOTS_MAX: usize = 1 << (HALF - 1);

/// Names one pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PairId {
    pub(super) slot: usize,
    /// 0 is no pair's.
    pub(super) generation: usize,
}

/// Which of the two ends of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leg {
    Plain = 0,
    Secure = 1,
}

impl PairId {
    /// The token of one of its ends.
    pub(super) fn token(self, leg: Leg) -> Token {
        debug_assert!(self.slot < SLOTS_MAX, "the limit on connections is capped");
        Token(self.generation << HALF | self.slot << 1 | leg as usize)
    }

    /// Whom a token is for.
    pub(super) fn of(Token(token): Token) -> (Self, Leg) {
        let leg = if token & 1 == Leg::Plain as usize { Leg::Plain } else { Leg::Secure };
        let slot = (token & ((1 << HALF) - 1)) >> 1;
        (Self { slot, generation: token >> HALF }, leg)
    }

    /// Whether a token is for no pair.
    pub(super) fn belongs_to_no_pair(token: Token) -> bool {
        Self::of(token).0.generation == 0
    }

    /// The generation of the next pair. It wraps, past 0.
    pub(super) fn generation_after(generation: usize) -> usize {
        if generation >= (1 << HALF) - 1 { 1 } else { generation + 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_tells_whom_it_is_for() {
        for (slot, generation) in [(0, 1), (7, 40_000), (SLOTS_MAX - 1, (1 << HALF) - 1)] {
            for leg in [Leg::Plain, Leg::Secure] {
                let id = PairId { slot, generation };
                assert_eq!(PairId::of(id.token(leg)), (id, leg));
                assert!(!PairId::belongs_to_no_pair(id.token(leg)));
            }
        }
        assert!(
            PairId::belongs_to_no_pair(Token(0))
                && PairId::belongs_to_no_pair(Token((1 << HALF) - 1))
        );
        assert_eq!(PairId::generation_after(0), 1);
        assert_eq!(PairId::generation_after((1 << HALF) - 1), 1, "0 is nobody's");
    }
}
