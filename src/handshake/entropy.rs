//! Random filler for handshake packets, drawn from a seed that the caller hands in: SHA-256 in counter mode.
//!
//! The core asks no operating system for randomness, so a test that fixes the seed fixes every byte sent.

use sha2::{Digest, Sha256};

/// A stream of bytes that nobody can predict without the seed.
pub struct Entropy {
    seed: [u8; 32],
    block: u64,
}

impl Entropy {
    /// A stream determined by `seed`, which comes from the operating system except in tests.
    #[must_use]
    pub const fn new(seed: [u8; 32]) -> Self {
        Self { seed, block: 0 }
    }

    /// Fills `out` with bytes not given out before.
    pub fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(32) {
            let block = Sha256::new()
                .chain_update(self.seed)
                .chain_update(self.block.to_be_bytes())
                .finalize();
            // 2^64 blocks are more than any connection sends, so the counter never repeats.
            self.block = self.block.wrapping_add(1);
            for (byte, random) in chunk.iter_mut().zip(block) {
                *byte = random;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed() -> [u8; 32] {
        std::array::from_fn(|i| i.try_into().unwrap())
    }

    #[test]
    fn blocks_are_hashes_of_seed_and_counter() {
        let mut out = [0; 36];
        Entropy::new(seed()).fill(&mut out);
        // sha256(00..1f || 0000000000000000), then the start of the same with counter 1.
        assert_eq!(out[..8], [0xa9, 0xd6, 0xe5, 0x00, 0x29, 0x3a, 0x88, 0xbd]);
        assert_eq!(out[32..], [0x60, 0x61, 0xc4, 0x38]);
    }

    #[test]
    fn two_fills_never_give_the_same_bytes() {
        let mut entropy = Entropy::new(seed());
        let (mut a, mut b) = ([0; 20], [0; 20]);
        entropy.fill(&mut a);
        entropy.fill(&mut b);
        assert_ne!(a, b);
    }
}
