//! `VPCodecConfigurationRecord`, VP Codec ISO Media File Format Binding section "Syntax".

use bytes::{BufMut, Bytes, BytesMut};

use super::{ChromaFormat, open};
use crate::wire::{Malformed, Reader};

/// What a VP8 or VP9 stream says of itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct VpxConfig {
    /// The profile, 0 to 3.
    pub profile: u8,
    /// Ten times the level; 0 if it is not known.
    pub level: u8,
    /// Bits of a sample: 8, 10 or 12.
    pub bit_depth: u8,
    /// `chromaSubsampling`: 0 is 4:2:0 with samples between lines, 1 on them, 2 is 4:2:2, 3 is 4:4:4.
    pub chroma_subsampling: u8,
    /// Whether samples use their full range.
    pub is_full_range: bool,
    /// `ColourPrimaries` of ITU-T H.273; 2 if they are not known.
    pub primaries: u8,
    /// `TransferCharacteristics`, likewise.
    pub transfer: u8,
    /// `MatrixCoefficients`, likewise.
    pub matrix: u8,
}

impl VpxConfig {
    /// Version 1 and no flags: the head of the box that FFmpeg 8, GStreamer and MediaMTX leave in front.
    const FULL_BOX: u32 = 0x0100_0000;

    /// Reads a record with or without the head of its box. A record without has its bit depth where the other has
    /// a 0.
    pub fn decode(record: &[u8]) -> Result<Self, Malformed> {
        let mut r = open(record)?;
        let mut ahead = Reader::new(record);
        if record.len() >= 12 && ahead.u32("vpcC version") == Ok(Self::FULL_BOX) {
            r = ahead;
        }
        let profile = r.u8("vpcC profile")?;
        let level = r.u8("vpcC level")?;
        let format = r.u8("vpcC bitDepth")?;
        let config = Self {
            profile,
            level,
            bit_depth: format >> 4,
            chroma_subsampling: format >> 1 & 7,
            is_full_range: format & 1 != 0,
            primaries: r.u8("colourPrimaries")?,
            transfer: r.u8("transferCharacteristics")?,
            matrix: r.u8("matrixCoefficients")?,
        };
        if !matches!(config.bit_depth, 8 | 10 | 12) {
            return Err(Malformed::Invalid {
                field: "vpcC bitDepth",
                value: config.bit_depth.into(),
            });
        }
        Ok(config)
    }

    /// Writes a record behind the head of its box, 12 bytes: the form that others send, whatever the
    /// specification says.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        out.put_u32(Self::FULL_BOX);
        out.put_u8(self.profile);
        out.put_u8(self.level);
        out.put_u8(self.bit_depth << 4 | (self.chroma_subsampling & 7) << 1 | u8::from(self.is_full_range));
        out.put_u8(self.primaries);
        out.put_u8(self.transfer);
        out.put_u8(self.matrix);
        // codecIntializationDataSize, which VP8 and VP9 have no use for.
        out.put_u16(0);
        out.freeze()
    }

    /// Subsampling; `None` of reserved values.
    #[must_use]
    pub const fn chroma_format(&self) -> Option<ChromaFormat> {
        match self.chroma_subsampling {
            0 | 1 => Some(ChromaFormat::Yuv420),
            2 => Some(ChromaFormat::Yuv422),
            3 => Some(ChromaFormat::Yuv444),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CONFIG: VpxConfig = VpxConfig {
        profile: 0,
        level: 10,
        bit_depth: 8,
        chroma_subsampling: 1,
        is_full_range: false,
        primaries: 2,
        transfer: 2,
        matrix: 2,
    };

    #[test]
    fn records_come_with_and_without_the_head_of_their_box() {
        let bare = b"\x00\x0a\x82\x02\x02\x02\0\0";
        let boxed = b"\x01\0\0\0\x00\x0a\x82\x02\x02\x02\0\0";
        assert_eq!(VpxConfig::decode(bare), Ok(CONFIG));
        assert_eq!(VpxConfig::decode(boxed), Ok(CONFIG));
        assert_eq!(CONFIG.encode(), boxed[..]);
        assert_eq!(CONFIG.chroma_format(), Some(ChromaFormat::Yuv420));
        // Profile 1 of no known level at the front of a bare record is no box.
        let profile_1 = VpxConfig {
            profile: 1,
            level: 0,
            ..CONFIG
        };
        assert_eq!(VpxConfig::decode(b"\x01\0\x82\x02\x02\x02\0\0"), Ok(profile_1));
    }

    #[test]
    fn what_is_no_record_is_refused() {
        assert_eq!(
            VpxConfig::decode(b"\x00\x0a\x92\x02\x02\x02\0\0"),
            Err(Malformed::Invalid {
                field: "vpcC bitDepth",
                value: 9
            })
        );
        for end in 0..6 {
            assert!(matches!(
                VpxConfig::decode(&b"\x00\x0a\x82\x02\x02\x02"[..end]),
                Err(Malformed::Truncated(_))
            ));
        }
    }

    proptest! {
        #[test]
        fn what_is_read_reads_the_same_again(record: [u8; 8]) {
            if let Ok(config) = VpxConfig::decode(&record) {
                prop_assert_eq!(VpxConfig::decode(&config.encode()), Ok(config));
            }
        }
    }
}
