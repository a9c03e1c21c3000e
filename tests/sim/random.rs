//! Chance from a seed: SplitMix64, written out so that a seed means the same run for ever.

/// A stream of numbers that depends on the seed alone.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Self(seed);
        random.number();
        random
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: usize, high: usize) -> usize {
        let span = (high.max(low) - low) as u64 + 1;
        low + usize::try_from(self.number() % span).unwrap()
    }

    /// The same for milliseconds.
    pub(crate) fn millis(&mut self, low: u64, high: u64) -> u64 {
        low + self.number() % (high.max(low) - low + 1)
    }

    /// Whether something happens that happens so many times in a thousand.
    pub(crate) fn per_mille(&mut self, per_mille: u64) -> bool {
        per_mille > 0 && self.number() % 1000 < per_mille
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.between(0, from.len() - 1)]
    }

    /// A length up to `max`: mostly short, and often at the limit itself.
    pub(crate) fn length(&mut self, max: usize) -> usize {
        match self.number() % 10 {
            0 => max,
            1 => max.saturating_sub(1),
            2 => self.between(0, max),
            _ => self.between(0, max.min(24)),
        }
    }

    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        for eight in bytes.chunks_mut(8) {
            eight.copy_from_slice(&self.number().to_le_bytes()[..eight.len()]);
        }
    }
}
