//! What a key ring is made of beside its keys: random bytes, drawn once.

use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};

use zeroize::Zeroizing;

use crate::keys::key::PRK;

/// The bytes that tell one ring from another.
pub(crate) const INSTANCE: usize = 16;

/// The secret random bytes of a [`KeyRing`](crate::KeyRing), which its listeners and clients share.
pub struct RingSecrets {
    /// By which they know one another, so that none talks to itself.
    pub(crate) instance: [u8; INSTANCE],
    /// Stands for the key that somebody names and the ring doesn't have.
    pub(crate) decoy: Zeroizing<[u8; PRK]>,
    /// A listener of this process has it.
    listens: AtomicBool,
}

impl RingSecrets {
    /// How many random bytes they are made of.
    pub const LENGTH: usize = INSTANCE + PRK;

    /// Of bytes that come from the system's random source, and are used for no other ring.
    #[must_use]
    pub fn new(random: [u8; Self::LENGTH]) -> Self {
        let random = Zeroizing::new(random);
        let (front, back) = random.split_at(INSTANCE);
        let (mut instance, mut decoy) = ([0; INSTANCE], Zeroizing::new([0; PRK]));
        instance.copy_from_slice(front);
        decoy.copy_from_slice(back);
        Self { instance, decoy, listens: AtomicBool::new(false) }
    }

    pub(crate) fn note_listener(&self) {
        self.listens.store(true, Ordering::Relaxed);
    }

    pub(crate) fn listens(&self) -> bool {
        self.listens.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for RingSecrets {
    /// Nobody may see them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RingSecrets").finish_non_exhaustive()
    }
}
