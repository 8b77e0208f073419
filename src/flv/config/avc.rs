//! `AVCDecoderConfigurationRecord`, ISO 14496-15 section 5.3.3.1.

use super::{nal_length_size, open, skip_nal_unit};
use crate::wire::Malformed;

/// What an H.264 stream says ahead of it, but for the parameter sets themselves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AvcConfig {
    /// `AVCProfileIndication`: 66 Baseline, 77 Main, 100 High, ...
    pub profile: u8,
    /// `profile_compatibility`.
    pub compatibility: u8,
    /// `AVCLevelIndication`: ten times the level.
    pub level: u8,
    /// Bytes of the length in front of each NAL unit: 1, 2 or 4.
    pub nal_length_size: u8,
}

impl AvcConfig {
    /// Reads a record and checks that its parameter sets lie inside. What high profiles append is often missing
    /// and not looked at.
    pub fn decode(record: &[u8]) -> Result<Self, Malformed> {
        let mut r = open(record)?;
        let version = r.u8("avcC version")?;
        if version != 1 {
            return Err(Malformed::Invalid {
                field: "avcC version",
                value: version.into(),
            });
        }
        let config = Self {
            profile: r.u8("AVCProfileIndication")?,
            compatibility: r.u8("profile_compatibility")?,
            level: r.u8("AVCLevelIndication")?,
            nal_length_size: nal_length_size(r.u8("lengthSizeMinusOne")?)?,
        };
        for _ in 0..r.u8("numOfSequenceParameterSets")? & 0x1f {
            skip_nal_unit(&mut r)?;
        }
        for _ in 0..r.u8("numOfPictureParameterSets")? {
            skip_nal_unit(&mut r)?;
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// High profile, level 1.0, of a 64x64 picture, as FFmpeg writes it.
    const RECORD: &[u8] = b"\
        \x01\x64\x00\x0a\xff\xe1\x00\x18\x67\x64\x00\x0a\xac\xd9\x44\x26\xc0\x44\x00\x00\x03\x00\x04\x00\x00\x03\
        \x00\xc8\x3c\x48\x96\x58\x01\x00\x06\x68\xeb\xe3\xcb\x22\xc0\xfd\xf8\xf8\x00";

    #[test]
    fn known_records_read() {
        let high = AvcConfig {
            profile: 100,
            compatibility: 0,
            level: 10,
            nal_length_size: 4,
        };
        assert_eq!(RECORD.len(), 45);
        assert_eq!(AvcConfig::decode(RECORD), Ok(high));
        let without_tail = &RECORD[..RECORD.len() - 4];
        assert_eq!(AvcConfig::decode(without_tail), Ok(high));
        for end in 0..without_tail.len() {
            assert!(
                matches!(AvcConfig::decode(&RECORD[..end]), Err(Malformed::Truncated(_))),
                "{end}"
            );
        }
    }

    #[test]
    fn lengths_have_1_2_or_4_bytes() {
        let size =
            |bits| AvcConfig::decode(&[1, 66, 0xc0, 30, bits, 0xe0, 0]).map(|config| config.nal_length_size);
        assert_eq!((size(0xfc), size(0xfd), size(0xff)), (Ok(1), Ok(2), Ok(4)));
        assert_eq!(
            size(0xfe),
            Err(Malformed::Invalid {
                field: "lengthSizeMinusOne",
                value: 2
            })
        );
    }

    #[test]
    fn annex_b_and_long_records_are_refused() {
        assert_eq!(
            AvcConfig::decode(&[0, 0, 0, 1, 0x67]),
            Err(Malformed::Invalid {
                field: "avcC version",
                value: 0
            })
        );
        assert_eq!(
            AvcConfig::decode(&[1; super::super::MAX_RECORD + 1]),
            Err(Malformed::Excessive("configuration record"))
        );
    }
}
