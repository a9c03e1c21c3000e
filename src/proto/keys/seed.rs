//! What a key ring draws by lot, once.

use std::fmt;

use hkdf::Hkdf;
use sha2::Sha256;

/// The random bytes of a seed.
pub(crate) const RANDOM: usize = 48;

/// What every listener and client that shares a ring has in common, and nobody can guess.
#[cfg_attr(not(test), expect(dead_code, reason = "the handshake of countersign/1 reads it"))]
pub(crate) struct Seed {
    /// By which they know one another, so that none talks to itself.
    pub(crate) instance: [u8; 16],
    /// Stands for the key that somebody names and the ring doesn't have.
    pub(crate) decoy: Hkdf<Sha256>,
}

impl Seed {
    pub(crate) fn new(random: &[u8; RANDOM]) -> Self {
        let (instance, decoy) = random.split_at(16);
        let mut seed = Self { instance: [0; 16], decoy: Hkdf::new(None, decoy) };
        seed.instance.copy_from_slice(instance);
        seed
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seed").finish_non_exhaustive()
    }
}
