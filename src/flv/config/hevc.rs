//! `HEVCDecoderConfigurationRecord`, ISO 14496-15 section 8.3.3.1.

use super::{ChromaFormat, nal_length_size, open, skip_nal_unit};
use crate::wire::Malformed;

/// What an H.265 stream says ahead of it, but for the parameter sets themselves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HevcConfig {
    /// `general_profile_space`, 0 in all that is in use.
    pub profile_space: u8,
    /// `general_tier_flag`.
    pub is_high_tier: bool,
    /// `general_profile_idc`: 1 Main, 2 Main 10, ...
    pub profile: u8,
    /// `general_profile_compatibility_flags`, profile 0 in the highest bit.
    pub compatibility: u32,
    /// `general_constraint_indicator_flags`, 48 bits.
    pub constraints: u64,
    /// `general_level_idc`: thirty times the level.
    pub level: u8,
    /// Subsampling.
    pub chroma_format: ChromaFormat,
    /// Bits of a sample of brightness, 8 to 15.
    pub bit_depth_luma: u8,
    /// Bits of a sample of colour, 8 to 15.
    pub bit_depth_chroma: u8,
    /// Bytes of the length in front of each NAL unit: 1, 2 or 4.
    pub nal_length_size: u8,
}

impl HevcConfig {
    /// Reads a record and checks that its parameter sets lie inside.
    pub fn decode(record: &[u8]) -> Result<Self, Malformed> {
        let mut r = open(record)?;
        let version = r.u8("hvcC version")?;
        // 0 is what some encoders wrote before the format was settled.
        if version > 1 {
            return Err(Malformed::Invalid {
                field: "hvcC version",
                value: version.into(),
            });
        }
        let profile = r.u8("general_profile_idc")?;
        let compatibility = r.u32("general_profile_compatibility_flags")?;
        let constraints = u64::from(r.u16("general_constraint_indicator_flags")?) << 32
            | u64::from(r.u32("general_constraint_indicator_flags")?);
        let level = r.u8("general_level_idc")?;
        r.u16("min_spatial_segmentation_idc")?;
        r.u8("parallelismType")?;
        let chroma_format = match r.u8("chromaFormat")? & 3 {
            0 => ChromaFormat::Monochrome,
            1 => ChromaFormat::Yuv420,
            2 => ChromaFormat::Yuv422,
            _ => ChromaFormat::Yuv444,
        };
        let bit_depth_luma = 8 + (r.u8("bitDepthLumaMinus8")? & 7);
        let bit_depth_chroma = 8 + (r.u8("bitDepthChromaMinus8")? & 7);
        r.u16("avgFrameRate")?;
        let nal_length_size = nal_length_size(r.u8("lengthSizeMinusOne")?)?;
        for _ in 0..r.u8("numOfArrays")? {
            r.u8("NAL_unit_type")?;
            for _ in 0..r.u16("numNalus")? {
                skip_nal_unit(&mut r)?;
            }
        }
        Ok(Self {
            profile_space: profile >> 6,
            is_high_tier: profile & 0x20 != 0,
            profile: profile & 0x1f,
            compatibility,
            constraints,
            level,
            chroma_format,
            bit_depth_luma,
            bit_depth_chroma,
            nal_length_size,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What x265 says of a 64x64 picture, with its parameter sets replaced by shorter ones.
    const RECORD: &[u8] = b"\
        \x01\x01\x60\x00\x00\x00\x90\x00\x00\x00\x00\x00\x1e\xf0\x00\xfc\xfd\xf8\xf8\x00\x00\x0f\x03\
        \xa0\x00\x01\x00\x02\x40\x01\xa1\x00\x01\x00\x03\x42\x01\x01\xa2\x00\x01\x00\x02\x44\x01";

    #[test]
    fn known_records_read() {
        let main = HevcConfig {
            profile_space: 0,
            is_high_tier: false,
            profile: 1,
            compatibility: 0x6000_0000,
            constraints: 0x9000_0000_0000,
            level: 30,
            chroma_format: ChromaFormat::Yuv420,
            bit_depth_luma: 8,
            bit_depth_chroma: 8,
            nal_length_size: 4,
        };
        assert_eq!(HevcConfig::decode(RECORD), Ok(main));
        for end in 0..RECORD.len() {
            assert!(
                matches!(HevcConfig::decode(&RECORD[..end]), Err(Malformed::Truncated(_))),
                "{end}"
            );
        }
    }

    #[test]
    fn main_10_of_high_tier_has_ten_bits() {
        let mut record = RECORD.to_vec();
        record[1] = 0x22;
        record[17] = 0xfa;
        record[18] = 0xfa;
        let config = HevcConfig::decode(&record).unwrap();
        assert_eq!((config.profile, config.is_high_tier), (2, true));
        assert_eq!((config.bit_depth_luma, config.bit_depth_chroma), (10, 10));
    }

    #[test]
    fn annex_b_is_refused() {
        let record = [&b"\x02"[..], &RECORD[1..]].concat();
        assert_eq!(
            HevcConfig::decode(&record),
            Err(Malformed::Invalid {
                field: "hvcC version",
                value: 2
            })
        );
        assert!(
            HevcConfig::decode(b"\0\0\0\x01\x40\x01\x0c\x01\xff\xff\x01\x60\0\0\x03\0\x90\0\0\x03\0\0\x03")
                .is_err()
        );
    }
}
