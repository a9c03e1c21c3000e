//! Random numbers that follow from a seed.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};

/// A stream of random numbers that follows from a seed: each connection has its own.
#[derive(Debug, Clone)]
pub(super) struct Random(Xoshiro256PlusPlus);

impl Random {
    /// The stream of a connection, the one with this number at a listener.
    pub(super) fn of(seed: u64, listener: usize, number: u64) -> Self {
        let seed = mixed(mixed(seed) ^ listener as u64);
        Self(Xoshiro256PlusPlus::seed_from_u64(mixed(seed ^ number)))
    }

    /// A number from 0 to just below 1.
    pub(super) fn unit(&mut self) -> f64 {
        self.0.random()
    }

    /// Whether something happens that happens in so many of a hundred cases.
    pub(super) fn hits(&mut self, percent: f64) -> bool {
        percent >= 100.0 || self.unit() * 100.0 < percent
    }

    /// A number of this range.
    pub(super) fn between(&mut self, least: usize, most: usize) -> usize {
        self.0.random_range(least..=most)
    }
}

/// The finalizer of SplitMix64: numbers that differ in one bit become numbers that differ in half
/// of their bits.
pub(super) fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
