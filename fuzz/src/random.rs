//! The choices of an input in the place of random numbers: what draws cases for a test then draws
//! them for the fuzzer. Behind the end of the input, numbers depend on the input alone.

/// A source of numbers, with the functions of `tests/beside_c/random.rs`.
#[derive(Debug)]
pub struct Random {
    choices: Vec<u8>,
    at: usize,
    /// splitmix64.
    state: u64,
}

impl Random {
    pub fn new(choices: &[u8]) -> Self {
        let state = choices.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self { choices: choices.to_vec(), at: 0, state }
    }

    pub fn byte(&mut self) -> u8 {
        if let Some(byte) = self.choices.get(self.at) {
            self.at += 1;
            return *byte;
        }
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.state;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ word >> 31).to_le_bytes()[0]
    }

    /// A number below this one.
    pub fn below(&mut self, end: usize) -> usize {
        let bytes = if end > 256 { 4 } else { 1 };
        (0..bytes).fold(0, |number, _| number << 8 | usize::from(self.byte())) % end
    }

    /// True in so many cases of a hundred.
    pub fn percent(&mut self, cases: usize) -> bool {
        self.below(100) < cases
    }

    pub fn word(&mut self) -> u32 {
        u32::from_be_bytes(self.array())
    }

    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.byte()).collect()
    }

    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.byte())
    }

    pub fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }
}
