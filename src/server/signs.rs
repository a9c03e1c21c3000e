//! What events say of a connection, one bit each to keep its entry small.

use crate::server::net::Readiness;

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
    /// Urgent data has arrived, before which the system stops a read.
    pub(super) const URGENT: Self = Self(1 << 4);
    /// There may be more behind a short read.
    pub(super) const MORE: Self = Self(Self::ENDED.0 | Self::URGENT.0);

    /// Whether this one is there, or one of these.
    pub(super) fn has(self, sign: Self) -> bool {
        self.0 & sign.0 != 0
    }

    /// Puts it there, or takes it away. Says whether it was there.
    pub(super) fn set(&mut self, sign: Self, is_there: bool) -> bool {
        let had = self.has(sign);
        self.0 = if is_there { self.0 | sign.0 } else { self.0 & !sign.0 };
        had
    }

    /// Puts these there too.
    pub(super) fn add(&mut self, signs: Self) {
        self.0 |= signs.0;
    }
}

impl From<Readiness> for Signs {
    fn from(Readiness { readable, ended, failed, urgent, .. }: Readiness) -> Self {
        let bits = [readable, ended, failed, false, urgent];
        Self(bits.into_iter().rev().fold(0, |all, bit| all << 1 | u8::from(bit)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sign_comes_and_goes_alone() {
        let all = [Signs::READABLE, Signs::ENDED, Signs::FAILED, Signs::QUEUED, Signs::URGENT];
        for sign in all {
            let mut signs = Signs::default();
            assert!(!signs.set(sign, true));
            assert!(all.iter().all(|each| signs.has(*each) == (*each == sign)));
            signs.add(Signs::default());
            assert!(signs.set(sign, false), "adding nothing takes nothing away");
            assert_eq!(signs, Signs::default());
        }
        let ended = Readiness { readable: true, ended: true, ..Readiness::default() };
        let failed = Readiness { failed: true, ..Readiness::default() };
        let urgent = Readiness { urgent: true, ..Readiness::default() };
        for (readiness, signs) in [(ended, &all[..2]), (failed, &all[2..3]), (urgent, &all[4..])] {
            assert!(
                all.iter().all(|each| Signs::from(readiness).has(*each) == signs.contains(each))
            );
        }
    }
}
