//! `AV1CodecConfigurationRecord`, AV1 Codec ISO Media File Format Binding section 2.3.3.

use bytes::{BufMut, Bytes, BytesMut};

use super::{ChromaFormat, open};
use crate::wire::Malformed;

/// What the sequence header of an AV1 stream says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Av1Config {
    /// `seq_profile`: 0 Main, 1 High, 2 Professional.
    pub profile: u8,
    /// `seq_level_idx_0`, 0 to 31.
    pub level: u8,
    /// `seq_tier_0`.
    pub is_high_tier: bool,
    /// Bits of a sample: 8, 10 or 12.
    pub bit_depth: u8,
    /// Subsampling, or that there is no colour.
    pub chroma_format: ChromaFormat,
    /// `chroma_sample_position`, 0 to 3.
    pub chroma_position: u8,
    /// Pictures to decode ahead of the first to show, 1 to 16, if that is said.
    pub initial_presentation_delay: Option<u8>,
    /// The sequence header OBU and metadata OBUs, each with its size; may be empty.
    pub obus: Bytes,
}

impl Av1Config {
    /// Marker bit and version 1.
    const MARKER_AND_VERSION: u8 = 0x81;
    const HIGH_TIER: u8 = 0x80;
    const HIGH_BIT_DEPTH: u8 = 0x40;
    const TWELVE_BIT: u8 = 0x20;
    const MONOCHROME: u8 = 0x10;
    const SUBSAMPLING_X: u8 = 0x08;
    const SUBSAMPLING_Y: u8 = 0x04;
    const DELAY_PRESENT: u8 = 0x10;

    /// Reads a record.
    pub fn decode(record: &Bytes) -> Result<Self, Malformed> {
        let mut r = open(record)?;
        let version = r.u8("av1C version")?;
        if version != Self::MARKER_AND_VERSION {
            return Err(Malformed::Invalid {
                field: "av1C version",
                value: version.into(),
            });
        }
        let profile_and_level = r.u8("seq_profile")?;
        let flags = r.u8("av1C flags")?;
        let delay = r.u8("initial_presentation_delay")?;
        let has = |flag: u8| flags & flag != 0;
        Ok(Self {
            profile: profile_and_level >> 5,
            level: profile_and_level & 0x1f,
            is_high_tier: has(Self::HIGH_TIER),
            bit_depth: match (has(Self::HIGH_BIT_DEPTH), has(Self::TWELVE_BIT)) {
                (false, _) => 8,
                (true, false) => 10,
                (true, true) => 12,
            },
            chroma_format: match (has(Self::SUBSAMPLING_X), has(Self::SUBSAMPLING_Y)) {
                _ if has(Self::MONOCHROME) => ChromaFormat::Monochrome,
                (true, true) => ChromaFormat::Yuv420,
                (true, false) => ChromaFormat::Yuv422,
                (false, _) => ChromaFormat::Yuv444,
            },
            chroma_position: flags & 3,
            initial_presentation_delay: (delay & Self::DELAY_PRESENT != 0).then_some((delay & 0x0f) + 1),
            obus: record.slice_ref(r.rest()),
        })
    }

    /// Writes a record.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let depth = match self.bit_depth {
            12 => Self::HIGH_BIT_DEPTH | Self::TWELVE_BIT,
            10 => Self::HIGH_BIT_DEPTH,
            _ => 0,
        };
        let chroma = match self.chroma_format {
            ChromaFormat::Monochrome => Self::MONOCHROME | Self::SUBSAMPLING_X | Self::SUBSAMPLING_Y,
            ChromaFormat::Yuv420 => Self::SUBSAMPLING_X | Self::SUBSAMPLING_Y,
            ChromaFormat::Yuv422 => Self::SUBSAMPLING_X,
            ChromaFormat::Yuv444 => 0,
        };
        let tier = if self.is_high_tier { Self::HIGH_TIER } else { 0 };
        let delay = self
            .initial_presentation_delay
            .map_or(0, |delay| Self::DELAY_PRESENT | delay.saturating_sub(1) & 0x0f);
        let mut out = BytesMut::new();
        out.put_u8(Self::MARKER_AND_VERSION);
        out.put_u8(self.profile << 5 | self.level & 0x1f);
        out.put_u8(tier | depth | chroma | self.chroma_position & 3);
        out.put_u8(delay);
        out.put_slice(&self.obus);
        out.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_records_read_and_write() {
        let bytes = Bytes::from_static(b"\x81\x00\x0c\x00\x0a\x0a\x00\x00\x00\x02\xaf\xff\x80\x5f\x00\x08");
        let config = Av1Config::decode(&bytes).unwrap();
        assert_eq!(
            config,
            Av1Config {
                profile: 0,
                level: 0,
                is_high_tier: false,
                bit_depth: 8,
                chroma_format: ChromaFormat::Yuv420,
                chroma_position: 0,
                initial_presentation_delay: None,
                obus: bytes.slice(4..),
            }
        );
        assert_eq!(config.encode(), bytes);
        // Profile 2, level 5.1, 12 bit 4:2:2, delay 4.
        let bytes = Bytes::from_static(b"\x81\x4d\x69\x13");
        let config = Av1Config::decode(&bytes).unwrap();
        assert_eq!((config.profile, config.level, config.bit_depth), (2, 13, 12));
        assert_eq!(config.chroma_format, ChromaFormat::Yuv422);
        assert_eq!(
            (config.chroma_position, config.initial_presentation_delay),
            (1, Some(4))
        );
        assert_eq!(config.encode(), bytes);
    }

    #[test]
    fn other_versions_are_refused() {
        assert_eq!(
            Av1Config::decode(&Bytes::from_static(b"\x01\0\x0c\0")),
            Err(Malformed::Invalid {
                field: "av1C version",
                value: 1
            })
        );
        for end in 0..4 {
            let cut = Bytes::from_static(b"\x81\0\x0c\0").slice(..end);
            assert!(matches!(Av1Config::decode(&cut), Err(Malformed::Truncated(_))));
        }
        let long = Bytes::from(vec![0x81; super::super::MAX_RECORD + 1]);
        assert_eq!(
            Av1Config::decode(&long),
            Err(Malformed::Excessive("configuration record"))
        );
    }

    proptest! {
        #[test]
        fn what_is_read_reads_the_same_again(record: Vec<u8>) {
            let record = [&[0x81][..], &record].concat();
            if let Ok(config) = Av1Config::decode(&record.into()) {
                prop_assert_eq!(Av1Config::decode(&config.encode()), Ok(config));
            }
        }
    }
}
