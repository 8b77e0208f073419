//! What SWF verification of type 1 proves: that a player knows a SWF file, by the file's hash and size. Media servers of
//! Flash's time ask for it, in the hope that a stream is played on its own page only.
//!
//! It reads files only far enough for that: the container of the SWF File Format Specification 19, page 27. How the
//! proof is asked for and given is the business of `message` and `session`.

mod file;

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

pub use self::file::{Error, MAX_FILE, MAX_MOVIE};

/// Bytes of a hash and of a proof: HMAC-SHA-256.
pub const HASH_SIZE: usize = 32;

/// Key of every file's hash.
const HASH_KEY: &[u8] = b"Genuine Adobe Flash Player 001";

/// What is known of a SWF file. It is as good as the file itself for whoever asks, so `Debug` shows no hash.
#[derive(Clone, Eq, PartialEq)]
pub struct Identity {
    hash: [u8; HASH_SIZE],
    size: u32,
}

impl Identity {
    /// The identity with this hash and this size, in bytes, both of the file when it is not compressed.
    #[must_use]
    pub const fn new(hash: [u8; HASH_SIZE], size: u32) -> Self {
        Self { hash, size }
    }

    /// The identity of a SWF file, compressed or not.
    ///
    /// # Errors
    ///
    /// What is not a SWF file, is damaged, is compressed with LZMA, or is longer than the limits.
    pub fn of_file(file: &[u8]) -> Result<Self, Error> {
        let mut hash = keyed(HASH_KEY);
        let size = file::unpack(file, |part| hash.update(part))?;
        Ok(Self {
            hash: hash.finalize().into_bytes().into(),
            size,
        })
    }

    /// HMAC-SHA-256 of the file when it is not compressed.
    #[must_use]
    pub const fn hash(&self) -> &[u8; HASH_SIZE] {
        &self.hash
    }

    /// Bytes of the file when it is not compressed.
    #[must_use]
    pub const fn size(&self) -> u32 {
        self.size
    }

    /// The answer to `challenge`, the end of the server's S1.
    #[must_use]
    pub fn prove(&self, challenge: &[u8]) -> [u8; HASH_SIZE] {
        self.proof(challenge).finalize().into_bytes().into()
    }

    /// Whether somebody who knows this file has answered `challenge` with `size` and `proof`.
    #[must_use]
    pub fn is_proven(&self, challenge: &[u8], size: u32, proof: &[u8; HASH_SIZE]) -> bool {
        size == self.size && self.proof(challenge).verify_slice(proof).is_ok()
    }

    fn proof(&self, challenge: &[u8]) -> Hmac<Sha256> {
        keyed(challenge).chain_update(self.hash)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: [u8; 32] = [
        0x78, 0x37, 0x52, 0xbd, 0xed, 0xd7, 0x43, 0x43, 0xc3, 0x4d, 0xa2, 0x2e, 0xb4, 0x63, 0x17, 0xcb, 0x8f,
        0x68, 0xb0, 0x60, 0xea, 0x87, 0xfa, 0x8b, 0xf5, 0xa6, 0xa1, 0x2f, 0x08, 0x4a, 0x62, 0x6d,
    ];

    const PROOF: [u8; 32] = [
        0xec, 0x60, 0xb1, 0x36, 0x96, 0x1a, 0x12, 0x88, 0xad, 0xf3, 0xa7, 0x45, 0x6c, 0x32, 0xd2, 0x46, 0xbc,
        0xd8, 0xdf, 0x9d, 0x1c, 0x6b, 0x44, 0xcb, 0x3a, 0x38, 0x5a, 0x93, 0x31, 0xca, 0x5b, 0x58,
    ];

    /// The end of the golden S1: byte `i` of it is `17 * i + 5`.
    fn challenge() -> [u8; 32] {
        std::array::from_fn(|i| (17 * (1504 + i) + 5).to_le_bytes()[0])
    }

    #[test]
    fn compressed_or_not_a_file_is_the_same() {
        for file in [file::tests::FWS, file::tests::CWS] {
            let identity = Identity::of_file(file).unwrap();
            assert_eq!(identity, Identity::new(HASH, 24));
            assert_eq!((identity.hash(), identity.size()), (&HASH, 24));
        }
    }

    #[test]
    fn the_proof_is_the_known_one() {
        assert_eq!(Identity::new(HASH, 24).prove(&challenge()), PROOF);
    }

    #[test]
    fn only_the_right_proof_for_the_right_challenge_counts() {
        let identity = Identity::new(HASH, 24);
        assert!(identity.is_proven(&challenge(), 24, &PROOF));
        assert!(!identity.is_proven(&challenge(), 25, &PROOF));
        assert!(!identity.is_proven(&[0; 32], 24, &PROOF));
        let mut wrong = PROOF;
        wrong[31] ^= 1;
        assert!(!identity.is_proven(&challenge(), 24, &wrong));
    }

    #[test]
    fn debug_shows_no_hash() {
        assert_eq!(
            format!("{:?}", Identity::new(HASH, 24)),
            "Identity { size: 24, .. }"
        );
    }
}
