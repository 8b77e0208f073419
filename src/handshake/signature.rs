//! What RTMPE's types do to the signatures in C2 and S2: 6 leaves them as they are, 8 enciphers them with XTEA, 9 with
//! Blowfish. The keys are public constants, chosen by the key that the signature was made with.

use blowfish::BlowfishLE;
use blowfish::cipher::{BlockCipherEncrypt as _, KeyInit as _};

use super::digest::Digest;

/// How signatures are enciphered under RTMPE. S0 says which way is taken; both ends' signatures go by it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SignatureCipher {
    /// Not at all: type 6, which every implementation of RTMPE knows.
    #[default]
    None,
    /// With XTEA: type 8.
    Xtea,
    /// With Blowfish: type 9.
    Blowfish,
}

/// Bytes of a block of either cipher.
const BLOCK: usize = 8;

/// Keys of either cipher that are ever chosen. Each has one more, which the modulo never reaches.
const KEYS: u8 = 15;

impl SignatureCipher {
    /// C0 or S0.
    pub(super) const fn version(self) -> u8 {
        match self {
            Self::None => 6,
            Self::Xtea => 8,
            Self::Blowfish => 9,
        }
    }

    /// The cipher that C0 or S0 names; `None` if that is not of RTMPE.
    pub(super) const fn from_version(version: u8) -> Option<Self> {
        match version {
            6 => Some(Self::None),
            8 => Some(Self::Xtea),
            9 => Some(Self::Blowfish),
            _ => None,
        }
    }

    /// Enciphers a signature that was made with `key`.
    pub(super) fn encipher(self, signature: &mut Digest, key: &Digest) {
        // The byte before each block's counterpart in the key chooses the cipher's key, counted without a sign.
        for (block, choice) in signature
            .as_chunks_mut::<BLOCK>()
            .0
            .iter_mut()
            .zip(key.iter().step_by(BLOCK))
        {
            self.encipher_block(block, usize::from(choice % KEYS));
        }
    }

    fn encipher_block(self, block: &mut [u8; BLOCK], choice: usize) {
        match self {
            Self::None => {}
            Self::Xtea => {
                let key = XTEA_KEYS.get(choice).expect("below the number of keys");
                *block = xtea(key, *block);
            }
            Self::Blowfish => {
                let key = BLOWFISH_KEYS.get(choice).expect("below the number of keys");
                BlowfishLE::new_from_slice(key)
                    .expect("Blowfish takes keys of 24 bytes")
                    .encrypt_block(block.into());
            }
        }
    }
}

/// One block of XTEA, whose halves are little-endian here and whose key is big-endian.
fn xtea(key: &[u32; 4], block: [u8; BLOCK]) -> [u8; BLOCK] {
    const CYCLES: usize = 32;
    const DELTA: u32 = 0x9E37_79B9;
    let [a, b, c, d, e, f, g, h] = block;
    let (mut left, mut right) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
    let mix = |half: u32| ((half << 4) ^ (half >> 5)).wrapping_add(half);
    let [k0, k1, k2, k3] = *key;
    let part = |sum: u32, shift: u32| {
        let part = match (sum >> shift) & 3 {
            0 => k0,
            1 => k1,
            2 => k2,
            _ => k3,
        };
        sum.wrapping_add(part)
    };
    let mut sum = 0_u32;
    for _ in 0..CYCLES {
        left = left.wrapping_add(mix(right) ^ part(sum, 0));
        sum = sum.wrapping_add(DELTA);
        right = right.wrapping_add(mix(left) ^ part(sum, 11));
    }
    let ([a, b, c, d], [e, f, g, h]) = (left.to_le_bytes(), right.to_le_bytes());
    [a, b, c, d, e, f, g, h]
}

/// Keys of type 8.
const XTEA_KEYS: [[u32; 4]; KEYS as usize] = [
    [0xbff0_34b2, 0x11d9_081f, 0xccdf_b795, 0x748d_e732],
    [0x086a_5eb6, 0x1743_090e, 0x6ef0_5ab8, 0xfe5a_39e2],
    [0x7b10_956f, 0x76ce_0521, 0x2388_a73a, 0x4401_49a1],
    [0xa943_f317, 0xebf1_1bb2, 0xa691_a5ee, 0x17f3_6339],
    [0x7a30_e00a, 0xb529_e22c, 0xa087_aea5, 0xc0cb_79ac],
    [0xbdce_0c23, 0x2feb_deff, 0x1cfa_ae16, 0x1123_239d],
    [0x55dd_3f7b, 0x77e7_e62e, 0x9bb8_c499, 0xc948_1ee4],
    [0x407b_b6b4, 0x71e8_9136, 0xa7ae_bf55, 0xca33_b839],
    [0xfcf6_bdc3, 0xb63c_3697, 0x7ce4_f825, 0x04d9_59b2],
    [0x28e0_91fd, 0x4195_4c4c, 0x7fb7_db00, 0xe3a0_66f8],
    [0x5784_5b76, 0x4f25_1b03, 0x46d4_5bcd, 0xa2c3_0d29],
    [0x0acc_eef8, 0xda55_b546, 0x0347_3452, 0x5863_713b],
    [0xb820_75dc, 0xa75f_1fee, 0xd842_68e8, 0xa72a_44cc],
    [0x07cf_6e9e, 0xa16d_7b25, 0x9fa7_ae6c, 0xd92f_5629],
    [0xfeb1_eae4, 0x8c8c_3ce1, 0x4e00_64a7, 0x6a38_7c2a],
];

/// Keys of type 9.
const BLOWFISH_KEYS: [[u8; 24]; KEYS as usize] = [
    [
        0x79, 0x34, 0x77, 0x4c, 0x67, 0xd1, 0x38, 0x3a, 0xdf, 0xb3, 0x56, 0xbe, 0x8b, 0x7b, 0xd0, 0x24, 0x38,
        0xe0, 0x73, 0x58, 0x41, 0x5d, 0x69, 0x67,
    ],
    [
        0x46, 0xf6, 0xb4, 0xcc, 0x01, 0x93, 0xe3, 0xa1, 0x9e, 0x7d, 0x3c, 0x65, 0x55, 0x86, 0xfd, 0x09, 0x8f,
        0xf7, 0xb3, 0xc4, 0x6f, 0x41, 0xca, 0x5c,
    ],
    [
        0x1a, 0xe7, 0xe2, 0xf3, 0xf9, 0x14, 0x79, 0x94, 0xc0, 0xd3, 0x97, 0x43, 0x08, 0x7b, 0xb3, 0x84, 0x43,
        0x2f, 0x9d, 0x84, 0x3f, 0x21, 0x01, 0x9b,
    ],
    [
        0xd3, 0xe3, 0x54, 0xb0, 0xf7, 0x1d, 0xf6, 0x2b, 0x5a, 0x43, 0x4d, 0x04, 0x83, 0x64, 0x3e, 0x0d, 0x59,
        0x2f, 0x61, 0xcb, 0xb1, 0x6a, 0x59, 0x0d,
    ],
    [
        0xc8, 0xc1, 0xe9, 0xb8, 0x16, 0x56, 0x99, 0x21, 0x7b, 0x5b, 0x36, 0xb7, 0xb5, 0x9b, 0xdf, 0x06, 0x49,
        0x2c, 0x97, 0xf5, 0x95, 0x48, 0x85, 0x7e,
    ],
    [
        0xeb, 0xe5, 0xe6, 0x2e, 0xa4, 0xba, 0xd4, 0x2c, 0xf2, 0x16, 0xe0, 0x8f, 0x66, 0x23, 0xa9, 0x43, 0x41,
        0xce, 0x38, 0x14, 0x84, 0x95, 0x00, 0x53,
    ],
    [
        0x66, 0xdb, 0x90, 0xf0, 0x3b, 0x4f, 0xf5, 0x6f, 0xe4, 0x9c, 0x20, 0x89, 0x35, 0x5e, 0xd2, 0xb2, 0xc3,
        0x9e, 0x9f, 0x7f, 0x63, 0xb2, 0x28, 0x81,
    ],
    [
        0xbb, 0x20, 0xac, 0xed, 0x2a, 0x04, 0x6a, 0x19, 0x94, 0x98, 0x9b, 0xc8, 0xff, 0xcd, 0x93, 0xef, 0xc6,
        0x0d, 0x56, 0xa7, 0xeb, 0x13, 0xd9, 0x30,
    ],
    [
        0xbc, 0xf2, 0x43, 0x82, 0x09, 0x40, 0x8a, 0x87, 0x25, 0x43, 0x6d, 0xe6, 0xbb, 0xa4, 0xb9, 0x44, 0x58,
        0x3f, 0x21, 0x7c, 0x99, 0xbb, 0x3f, 0x24,
    ],
    [
        0xec, 0x1a, 0xaa, 0xcd, 0xce, 0xbd, 0x53, 0x11, 0xd2, 0xfb, 0x83, 0xb6, 0xc3, 0xba, 0xab, 0x4f, 0x62,
        0x79, 0xe8, 0x65, 0xa9, 0x92, 0x28, 0x76,
    ],
    [
        0xc6, 0x0c, 0x30, 0x03, 0x91, 0x18, 0x2d, 0x7b, 0x79, 0xda, 0xe1, 0xd5, 0x64, 0x77, 0x9a, 0x12, 0xc5,
        0xb1, 0xd7, 0x91, 0x4f, 0x96, 0x4c, 0xa3,
    ],
    [
        0xd7, 0x7c, 0x2a, 0xbf, 0xa6, 0xe7, 0x85, 0x7c, 0x45, 0xad, 0xff, 0x12, 0x94, 0xd8, 0xde, 0xa4, 0x5c,
        0x3d, 0x79, 0xa4, 0x44, 0x02, 0x5d, 0x22,
    ],
    [
        0x16, 0x19, 0x0d, 0x81, 0x6a, 0x4c, 0xc7, 0xf8, 0xb8, 0xf9, 0x4e, 0xcd, 0x2c, 0x9e, 0x90, 0x84, 0xb2,
        0x08, 0x25, 0x60, 0xe1, 0x1e, 0xae, 0x18,
    ],
    [
        0xe9, 0x7c, 0x58, 0x26, 0x1b, 0x51, 0x9e, 0x49, 0x82, 0x60, 0x61, 0xfc, 0xa0, 0xa0, 0x1b, 0xcd, 0xf5,
        0x05, 0xd6, 0xa6, 0x6d, 0x07, 0x88, 0xa3,
    ],
    [
        0x2b, 0x97, 0x11, 0x8b, 0xd9, 0x4e, 0xd9, 0xdf, 0x20, 0xe3, 0x9c, 0x10, 0xe6, 0xa1, 0x35, 0x21, 0x11,
        0xf9, 0x13, 0x0d, 0x0b, 0x24, 0x65, 0xb2,
    ],
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handshake::vectors::octets;

    #[test]
    fn single_blocks_are_the_known_ones() {
        for (cipher, key, block, enciphered) in [
            (SignatureCipher::Xtea, 0, "0000000000000000", "2fc77daba62aadc9"),
            (SignatureCipher::Xtea, 1, "0102030405060708", "eee087b773e8f21a"),
            (
                SignatureCipher::Blowfish,
                0,
                "0000000000000000",
                "c0710170069b3942",
            ),
            (
                SignatureCipher::Blowfish,
                1,
                "0102030405060708",
                "bb626a475cd2f086",
            ),
            (SignatureCipher::None, 1, "0102030405060708", "0102030405060708"),
        ] {
            let mut block: [u8; BLOCK] = octets(block).try_into().unwrap();
            cipher.encipher_block(&mut block, key);
            assert_eq!(block[..], octets(enciphered), "{cipher:?} with key {key}");
        }
    }

    #[test]
    fn each_block_goes_by_its_own_byte_of_the_key_without_a_sign() {
        // The signatures of C2 and S2 in the vectors that `rtmpe` has, by the keys with the indices 10, 3, 4, 7.
        let key = octets("ebd0df928f3dfe0e03082c44d863cf19d69d3784533f84f9433c9a6f852753b4");
        let signature = octets("a3946076d8e1cde155d25b18e55dd690e43479d159ffb8637c1446665b8f9ce1");
        for (cipher, enciphered) in [
            (
                SignatureCipher::None,
                "a3946076d8e1cde155d25b18e55dd690e43479d159ffb8637c1446665b8f9ce1",
            ),
            (
                SignatureCipher::Xtea,
                "171b53cf7343df424239e5812d421fd9d25eb0044dac83bb56467c64d31b4032",
            ),
            (
                SignatureCipher::Blowfish,
                "4a57df15f7ae88ee8b511aa4845d2d2a384f8ac1e80620a3e4bd3bcb9c95e9ee",
            ),
        ] {
            let mut signature: Digest = signature.clone().try_into().unwrap();
            cipher.encipher(&mut signature, &key.clone().try_into().unwrap());
            assert_eq!(signature[..], octets(enciphered), "{cipher:?}");
        }
    }

    #[test]
    fn every_byte_of_the_key_chooses_a_key() {
        for cipher in [SignatureCipher::Xtea, SignatureCipher::Blowfish] {
            let signatures: std::collections::BTreeSet<Digest> = (0..=255)
                .map(|choice| {
                    let mut signature = [0; 32];
                    cipher.encipher(&mut signature, &[choice; 32]);
                    signature
                })
                .collect();
            assert_eq!(signatures.len(), usize::from(KEYS), "{cipher:?}");
        }
    }

    #[test]
    fn versions_name_their_ciphers_and_back() {
        for version in 0..=255 {
            let cipher = SignatureCipher::from_version(version);
            assert_eq!(cipher.is_some(), [6, 8, 9].contains(&version));
            assert!(cipher.is_none_or(|cipher| cipher.version() == version));
        }
    }
}
