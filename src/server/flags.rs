//! The readiness of a connection, in single bits to keep its entry small.

use crate::reactor::readiness::Readiness;

/// The readiness of a connection, and whether it is queued, as a set of bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Flags(u8);

impl Flags {
    /// There may be something to read.
    pub(super) const READABLE: Self = Self(1);
    /// The peer has ended its stream: its end follows the bytes that are left to read.
    pub(super) const ENDED: Self = Self(1 << 1);
    /// The connection is broken.
    pub(super) const FAILED: Self = Self(1 << 2);
    /// It is in the queue of ready connections.
    pub(super) const QUEUED: Self = Self(1 << 3);
    /// Urgent data has arrived; the system stops reads before it.
    pub(super) const URGENT: Self = Self(1 << 4);
    /// A reply with an injected fault is being sent, or something else that waits in its place.
    pub(super) const HELD: Self = Self(1 << 5);
    /// It waits for the end of a pause.
    pub(super) const PAUSED: Self = Self(1 << 6);
    /// Nothing is read or served.
    pub(super) const FAILED_OR_HELD: Self = Self(Self::FAILED.0 | Self::HELD.0);
    /// There may be more to read after a short read.
    pub(super) const MORE: Self = Self(Self::ENDED.0 | Self::URGENT.0);

    /// Whether any of these is set.
    pub(super) fn has(self, flag: Self) -> bool {
        self.0 & flag.0 != 0
    }

    /// Sets or clears these. Returns whether any was set.
    pub(super) fn set(&mut self, flag: Self, value: bool) -> bool {
        let had = self.has(flag);
        self.0 = if value { self.0 | flag.0 } else { self.0 & !flag.0 };
        had
    }

    /// Sets these too.
    pub(super) fn add(&mut self, flags: Self) {
        self.0 |= flags.0;
    }
}

impl From<Readiness> for Flags {
    fn from(Readiness { readable, ended, failed, urgent, .. }: Readiness) -> Self {
        let bits = [readable, ended, failed, false, urgent];
        Self(bits.into_iter().rev().fold(0, |all, bit| all << 1 | u8::from(bit)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_flag_comes_and_goes_alone() {
        let all = [
            Flags::READABLE,
            Flags::ENDED,
            Flags::FAILED,
            Flags::QUEUED,
            Flags::URGENT,
            Flags::HELD,
            Flags::PAUSED,
        ];
        for flag in all {
            let mut flags = Flags::default();
            assert!(!flags.set(flag, true));
            assert!(all.iter().all(|each| flags.has(*each) == (*each == flag)));
            flags.add(Flags::default());
            assert!(flags.set(flag, false), "adding nothing takes nothing away");
            assert_eq!(flags, Flags::default());
        }
        let ended = Readiness { readable: true, ended: true, ..Readiness::default() };
        let failed = Readiness { failed: true, ..Readiness::default() };
        let urgent = Readiness { urgent: true, ..Readiness::default() };
        for (readiness, flags) in [(ended, &all[..2]), (failed, &all[2..3]), (urgent, &all[4..5])] {
            assert!(
                all.iter().all(|each| Flags::from(readiness).has(*each) == flags.contains(each))
            );
        }
    }
}
