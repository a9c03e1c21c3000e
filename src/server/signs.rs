//! What is known of a connection from moment to moment, one bit each to keep its entry small.

/// A set of signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Signs(u8);

impl Signs {
    /// There may be something to read.
    pub(super) const READABLE: Self = Self(1);
    /// The end of the peer's stream has arrived, and stands behind what is to be read.
    pub(super) const ENDED: Self = Self(1 << 1);
    /// The connection is broken.
    pub(super) const FAILED: Self = Self(1 << 2);
    /// It stands in the queue of the ready.
    pub(super) const QUEUED: Self = Self(1 << 3);

    /// Whether this one is there.
    pub(super) fn has(self, sign: Self) -> bool {
        self.0 & sign.0 != 0
    }

    /// Puts it there, or takes it away. Says whether it was there.
    pub(super) fn set(&mut self, sign: Self, is_there: bool) -> bool {
        let had = self.has(sign);
        self.0 = if is_there { self.0 | sign.0 } else { self.0 & !sign.0 };
        had
    }

    /// Puts it there if this is so; leaves it as it is if not.
    pub(super) fn add(&mut self, sign: Self, is_so: bool) {
        self.set(sign, is_so || self.has(sign));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sign_comes_and_goes_alone() {
        let all = [Signs::READABLE, Signs::ENDED, Signs::FAILED, Signs::QUEUED];
        for sign in all {
            let mut signs = Signs::default();
            assert!(!signs.set(sign, true));
            assert!(all.iter().all(|each| signs.has(*each) == (*each == sign)));
            signs.add(sign, false);
            assert!(signs.set(sign, false), "adding nothing takes nothing away");
            assert_eq!(signs, Signs::default());
        }
    }
}
