//! What a key ring draws by lot, once.

use std::fmt;

use hkdf::Hkdf;
use sha2::Sha256;

/// The random bytes of a seed.
pub(crate) const RANDOM: usize = 48;

/// What every listener and client that shares a ring has in common, and nobody can guess.
pub(crate) struct Seed {
    /// By which they know one another, so that none talks to itself.
    pub(crate) instance: [u8; 16],
    /// Stands for the key that somebody names and the ring doesn't have.
    pub(crate) decoy: Hkdf<Sha256>,
}

impl Seed {
    pub(crate) fn new(random: &[u8; RANDOM]) -> Self {
        let (front, prk) = random.split_at(16);
        let mut instance = [0; 16];
        instance.copy_from_slice(front);
        // What is left is as long as a key of HKDF's must be.
        let decoy = Hkdf::from_prk(prk).unwrap_or_else(|_| Hkdf::new(None, prk));
        Self { instance, decoy }
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seed").finish_non_exhaustive()
    }
}
