//! The random bytes of a key ring, drawn once.

use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};

use zeroize::Zeroizing;

use crate::keys::key::PRK;

/// The bytes that tell one ring from another.
pub(crate) const INSTANCE: usize = 16;

/// The secret random bytes of a [`KeyRing`](crate::KeyRing), which its listeners and clients share.
pub struct RingSecrets {
    /// Identifies the ring, so that its listeners and clients don't talk to one another.
    pub(crate) instance: [u8; INSTANCE],
    /// The secret of the decoy, which stands for a key that isn't on the ring.
    pub(crate) decoy: Zeroizing<[u8; PRK]>,
    /// A listener of this process uses the ring.
    listens: AtomicBool,
}

impl RingSecrets {
    /// The number of random bytes.
    pub const LENGTH: usize = INSTANCE + PRK;

    /// The secrets of a ring. The bytes must come from the system's random source, and be used for
    /// no other ring.
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
    /// The bytes are not shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RingSecrets").finish_non_exhaustive()
    }
}
