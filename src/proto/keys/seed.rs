//! What a key ring draws by lot, once.

use std::fmt;
use std::sync::atomic::AtomicBool;

use zeroize::Zeroizing;

use crate::proto::keys::key::PRK;

/// The random bytes of a seed.
pub(crate) const RANDOM: usize = 48;

/// What every listener and client that shares a ring has in common, and nobody can guess.
pub(crate) struct Seed {
    /// By which they know one another, so that none talks to itself.
    pub(crate) instance: [u8; 16],
    /// Stands for the key that somebody names and the ring doesn't have.
    pub(crate) decoy: Zeroizing<[u8; PRK]>,
    /// A listener of this process has it.
    pub(crate) listens: AtomicBool,
}

impl Seed {
    pub(crate) fn new(random: &[u8; RANDOM]) -> Self {
        let (front, back) = random.split_at(16);
        let (mut instance, mut decoy) = ([0; 16], Zeroizing::new([0; PRK]));
        instance.copy_from_slice(front);
        decoy.copy_from_slice(back);
        Self { instance, decoy, listens: AtomicBool::new(false) }
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seed").finish_non_exhaustive()
    }
}
