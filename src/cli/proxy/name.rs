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
pub(super) struct Name {
    pub(super) slot: usize,
    /// 0 is no pair's.
    pub(super) generation: usize,
}

/// Which of the two ends of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Plain = 0,
    Far = 1,
}

impl Name {
    /// The token of one of its ends.
    pub(super) fn token(self, side: Side) -> Token {
        debug_assert!(self.slot < SLOTS_MAX, "the limit on connections is capped");
        Token(self.generation << HALF | self.slot << 1 | side as usize)
    }

    /// Whom a token is for.
    pub(super) fn told_by(Token(token): Token) -> (Self, Side) {
        let side = if token & 1 == Side::Plain as usize { Side::Plain } else { Side::Far };
        let slot = (token & ((1 << HALF) - 1)) >> 1;
        (Self { slot, generation: token >> HALF }, side)
    }

    /// Whether a token is for no pair.
    pub(super) fn is_nobodys(token: Token) -> bool {
        Self::told_by(token).0.generation == 0
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
            for side in [Side::Plain, Side::Far] {
                let name = Name { slot, generation };
                assert_eq!(Name::told_by(name.token(side)), (name, side));
                assert!(!Name::is_nobodys(name.token(side)));
            }
        }
        assert!(Name::is_nobodys(Token(0)) && Name::is_nobodys(Token((1 << HALF) - 1)));
        assert_eq!(Name::generation_after(0), 1);
        assert_eq!(Name::generation_after((1 << HALF) - 1), 1, "0 is nobody's");
    }
}
