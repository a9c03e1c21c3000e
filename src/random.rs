//! The only source of random bytes: the system.

use std::{fmt, io};

use rand::TryRng;
use rand::rngs::SysRng;

/// The random bytes that are fetched at once: 128 challenges, for one system call.
pub const POOL: usize = 4096;

/// Fills the buffer with unpredictable random bytes of the system.
pub fn fill(bytes: &mut [u8]) -> io::Result<()> {
    SysRng.try_fill_bytes(bytes).map_err(|error| match error.raw_os_error() {
        Some(number) => io::Error::from_raw_os_error(number),
        None => io::Error::other(error),
    })
}

/// The same as an array.
pub fn bytes<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    fill(&mut bytes)?;
    Ok(bytes)
}

/// Random bytes of the system's, fetched in bulk; each is given out once.
pub struct Pool {
    bytes: Box<[u8; POOL]>,
    /// The bytes from here on have not been given out.
    next: usize,
}

impl Default for Pool {
    fn default() -> Self {
        Self { bytes: Box::new([0; POOL]), next: POOL }
    }
}

impl Pool {
    /// Fills the buffer with random bytes that are used only once.
    pub fn take(&mut self, into: &mut [u8]) -> io::Result<()> {
        if self.bytes.len() - self.next < into.len() {
            fill(&mut self.bytes[..])?;
            self.next = 0;
        }
        let given = &mut self.bytes[self.next..][..into.len()];
        into.copy_from_slice(given);
        // A peer knows what it was given; no other peer may get the same.
        given.fill(0);
        self.next += into.len();
        Ok(())
    }
}

impl fmt::Debug for Pool {
    /// Bytes that will be given out are not shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("next", &self.next).finish_non_exhaustive()
    }
}
