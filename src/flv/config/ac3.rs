//! Headers of AC-3 and E-AC-3 syncframes, ETSI TS 102 366 sections 4.3 and E.1.2. Neither has a configuration
//! record in Enhanced RTMP.

use super::bits::Bits;
use crate::wire::Malformed;

/// First two bytes of each syncframe.
const SYNC_WORD: u32 = 0x0b77;

/// Sample rates in Hz by `fscod`.
const SAMPLE_RATES: [u32; 3] = [48_000, 44_100, 32_000];

/// Channels by `acmod`, without the one for low-frequency effects.
const CHANNELS: [u8; 8] = [2, 1, 2, 3, 3, 4, 4, 5];

/// Bit rates of AC-3 in kbit/s by half of `frmsizecod`.
const BIT_RATES: [u32; 19] = [
    32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640,
];

/// Samples of one of the blocks that a syncframe has up to six of.
const BLOCK: u16 = 256;

/// Highest `bsid` of AC-3; 9 and 10 halve and quarter the sample rate.
const MAX_AC3_BSID: u8 = 10;

/// `bsid` of E-AC-3.
const EAC3_BSID: u8 = 16;

/// What a syncframe says of itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ac3Frame {
    /// Whether it is E-AC-3.
    pub is_enhanced: bool,
    /// Sample rate in Hz.
    pub sample_rate: u32,
    /// Channels, that for low-frequency effects included. Dependent substreams of E-AC-3, which follow as
    /// syncframes of their own, may add more.
    pub channels: u8,
    /// Samples that each channel has in it.
    pub samples: u16,
    /// Bytes of the whole syncframe.
    pub size: usize,
}

impl Ac3Frame {
    /// Reads the header of the syncframe at the front of `data`.
    pub fn decode(data: &[u8]) -> Result<Self, Malformed> {
        let mut bits = Bits::new(data);
        let sync = bits.take(16, "syncword")?;
        if sync != SYNC_WORD {
            return Err(Malformed::Invalid {
                field: "syncword",
                value: sync.into(),
            });
        }
        // Both have bsid in the sixth byte and go apart before it.
        let mut ahead = bits.clone();
        ahead.take(24, "bsid")?;
        match ahead.byte(5, "bsid")? {
            bsid @ 0..=MAX_AC3_BSID => Self::decode_ac3(bits, bsid),
            11..=EAC3_BSID => Self::decode_eac3(bits),
            other => Err(Malformed::Invalid {
                field: "bsid",
                value: other.into(),
            }),
        }
    }

    fn decode_ac3(mut bits: Bits<'_>, bsid: u8) -> Result<Self, Malformed> {
        bits.take(16, "crc1")?;
        let rate_code = bits.byte(2, "fscod")?;
        let full_rate = by_code(&SAMPLE_RATES, rate_code, "fscod")?;
        let size_code = bits.byte(6, "frmsizecod")?;
        let bit_rate = by_code(&BIT_RATES, size_code / 2, "frmsizecod")?;
        bits.take(5 + 3, "bsid")?;
        let mode = bits.byte(3, "acmod")?;
        // Mix levels come only with the channels that they are for.
        if mode & 1 != 0 && mode != 1 {
            bits.take(2, "cmixlev")?;
        }
        if mode & 4 != 0 {
            bits.take(2, "surmixlev")?;
        }
        if mode == 2 {
            bits.take(2, "dsurmod")?;
        }
        let lfe = bits.byte(1, "lfeon")?;
        // Six blocks at so many bits a second, in words of 16 bits; 44.1 kHz needs one more at times.
        let words = bit_rate * 1000 / 16 * 6 * u32::from(BLOCK) / full_rate;
        let padding = if full_rate == 44_100 {
            u32::from(size_code & 1)
        } else {
            0
        };
        Ok(Self {
            is_enhanced: false,
            sample_rate: full_rate >> bsid.saturating_sub(8),
            channels: by_code(&CHANNELS, mode, "acmod")? + lfe,
            samples: 6 * BLOCK,
            size: (words + padding) as usize * 2,
        })
    }

    fn decode_eac3(mut bits: Bits<'_>) -> Result<Self, Malformed> {
        bits.take(2 + 3, "strmtyp")?;
        let words = bits.take(11, "frmsiz")? + 1;
        let rate_code = bits.byte(2, "fscod")?;
        let (sample_rate, blocks) = if rate_code == 3 {
            let half = bits.byte(2, "fscod2")?;
            (by_code(&SAMPLE_RATES, half, "fscod2")? / 2, 6)
        } else {
            let blocks = bits.byte(2, "numblkscod")?;
            let blocks = by_code(&[1, 2, 3, 6], blocks, "numblkscod")?;
            (by_code(&SAMPLE_RATES, rate_code, "fscod")?, blocks)
        };
        let mode = bits.byte(3, "acmod")?;
        let lfe = bits.byte(1, "lfeon")?;
        Ok(Self {
            is_enhanced: true,
            sample_rate,
            channels: by_code(&CHANNELS, mode, "acmod")? + lfe,
            samples: blocks * BLOCK,
            size: words as usize * 2,
        })
    }
}

fn by_code<T: Copy>(table: &[T], code: u8, field: &'static str) -> Result<T, Malformed> {
    table.get(usize::from(code)).copied().ok_or(Malformed::Invalid {
        field,
        value: code.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ac3_has_fixed_length_and_rates_by_table() {
        let frame = |bytes: &[u8]| Ac3Frame::decode(bytes).unwrap();
        // 48 kHz, 192 kbit/s, bsid 8, 2/0: 768 bytes.
        let stereo = [0x0b, 0x77, 0xab, 0xcd, 0x14, 0x40, 0x40, 0x00];
        assert_eq!(
            frame(&stereo),
            Ac3Frame {
                is_enhanced: false,
                sample_rate: 48_000,
                channels: 2,
                samples: 1536,
                size: 768
            }
        );
        // 448 kbit/s, 3/2 with mix levels and effects: 1792 bytes.
        let surround = [0x0b, 0x77, 0xab, 0xcd, 0x1e, 0x40, 0xe1, 0x00];
        assert_eq!((frame(&surround).channels, frame(&surround).size), (6, 1792));
        // 44.1 kHz, 32 kbit/s without and with padding: 69 and 70 words. Mono.
        let mono = [0x0b, 0x77, 0, 0, 0x40, 0x40, 0x20, 0];
        assert_eq!((frame(&mono).sample_rate, frame(&mono).size), (44_100, 138));
        assert_eq!(frame(&[0x0b, 0x77, 0, 0, 0x41, 0x40, 0x20, 0]).size, 140);
        // bsid 9: half the rate.
        assert_eq!(
            frame(&[0x0b, 0x77, 0, 0, 0x00, 0x48, 0x20, 0]).sample_rate,
            24_000
        );
    }

    #[test]
    fn eac3_says_its_length_and_blocks() {
        // Independent substream 0, 384 words, 48 kHz, 6 blocks, 2/0, bsid 16.
        let stereo = [0x0b, 0x77, 0x01, 0x7f, 0x34, 0x80];
        assert_eq!(
            Ac3Frame::decode(&stereo),
            Ok(Ac3Frame {
                is_enhanced: true,
                sample_rate: 48_000,
                channels: 2,
                samples: 1536,
                size: 768
            })
        );
        // 24 kHz; and one block of 3/2 with effects.
        assert_eq!(
            Ac3Frame::decode(&[0x0b, 0x77, 0x01, 0x7f, 0xc4, 0x80])
                .unwrap()
                .sample_rate,
            24_000
        );
        let short = Ac3Frame::decode(&[0x0b, 0x77, 0x01, 0x7f, 0x0f, 0x80]).unwrap();
        assert_eq!((short.samples, short.channels), (256, 6));
    }

    #[test]
    fn other_bytes_are_refused() {
        assert_eq!(
            Ac3Frame::decode(&[0x77, 0x0b, 0, 0, 0, 0x40, 0]),
            Err(Malformed::Invalid {
                field: "syncword",
                value: 0x770b
            })
        );
        for (bytes, field) in [
            ([0x0b, 0x77, 0, 0, 0xc0, 0x40, 0], "fscod"),
            ([0x0b, 0x77, 0, 0, 0x26, 0x40, 0], "frmsizecod"),
            ([0x0b, 0x77, 0, 0, 0x00, 0x88, 0], "bsid"),
        ] {
            let Err(Malformed::Invalid { field: refused, .. }) = Ac3Frame::decode(&bytes) else {
                panic!("{bytes:02x?}");
            };
            assert_eq!(refused, field);
        }
        let frame = [0x0b, 0x77, 0xab, 0xcd, 0x14, 0x40, 0x40];
        for end in 0..frame.len() {
            assert!(matches!(
                Ac3Frame::decode(&frame[..end]),
                Err(Malformed::Truncated(_))
            ));
        }
    }
}
