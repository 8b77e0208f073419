//! Four-character codes, by which Enhanced RTMP v2 names codecs.

use std::fmt;

use bytes::BufMut;

use crate::wire::{Malformed, Reader};

/// A four-character code. Any four bytes may arrive.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct FourCc([u8; 4]);

impl FourCc {
    /// H.264.
    pub const AVC: Self = Self(*b"avc1");
    /// H.265.
    pub const HEVC: Self = Self(*b"hvc1");
    /// H.266.
    pub const VVC: Self = Self(*b"vvc1");
    /// VP8.
    pub const VP8: Self = Self(*b"vp08");
    /// VP9.
    pub const VP9: Self = Self(*b"vp09");
    /// AV1.
    pub const AV1: Self = Self(*b"av01");
    /// AC-3.
    pub const AC3: Self = Self(*b"ac-3");
    /// Enhanced AC-3.
    pub const EAC3: Self = Self(*b"ec-3");
    /// Opus.
    pub const OPUS: Self = Self(*b"Opus");
    /// MP3.
    pub const MP3: Self = Self(*b".mp3");
    /// FLAC.
    pub const FLAC: Self = Self(*b"fLaC");
    /// AAC.
    pub const AAC: Self = Self(*b"mp4a");

    /// Every code that Enhanced RTMP v2 gives a meaning.
    pub const KNOWN: [Self; 12] = [
        Self::AVC,
        Self::HEVC,
        Self::VVC,
        Self::VP8,
        Self::VP9,
        Self::AV1,
        Self::AC3,
        Self::EAC3,
        Self::OPUS,
        Self::MP3,
        Self::FLAC,
        Self::AAC,
    ];

    /// From its four characters.
    #[must_use]
    pub const fn new(characters: [u8; 4]) -> Self {
        Self(characters)
    }

    /// Its four characters.
    #[must_use]
    pub const fn characters(self) -> [u8; 4] {
        self.0
    }

    /// The number that stands for it in metadata: its characters as a big-endian integer.
    #[must_use]
    pub const fn number(self) -> u32 {
        u32::from_be_bytes(self.0)
    }

    /// From the number that stands for it in metadata.
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        Self(number.to_be_bytes())
    }

    /// Reads four characters.
    pub fn decode(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        r.u32("FourCC").map(Self::from_number)
    }

    /// Writes the four characters.
    pub fn encode(self, out: &mut impl BufMut) {
        out.put_slice(&self.0);
    }
}

impl fmt::Display for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.escape_ascii().fmt(f)
    }
}

impl fmt::Debug for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FourCc({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_four_characters_in_order() {
        let mut r = Reader::new(b"hvc1");
        assert_eq!(FourCc::decode(&mut r), Ok(FourCc::HEVC));
        assert_eq!(
            FourCc::decode(&mut Reader::new(b"hvc")),
            Err(Malformed::Truncated("FourCC"))
        );
        assert_eq!(FourCc::new(FourCc::HEVC.characters()), FourCc::HEVC);
        let mut out = Vec::new();
        FourCc::HEVC.encode(&mut out);
        assert_eq!(out, b"hvc1");
    }

    #[test]
    fn numbers_in_metadata_are_big_endian() {
        for (code, number) in [
            (FourCc::AVC, 1_635_148_593),
            (FourCc::HEVC, 1_752_589_105),
            (FourCc::VVC, 1_987_470_129),
            (FourCc::AV1, 1_635_135_537),
            (FourCc::VP8, 1_987_063_864),
            (FourCc::VP9, 1_987_063_865),
            (FourCc::AC3, 1_633_889_587),
            (FourCc::EAC3, 1_700_998_451),
            (FourCc::OPUS, 1_332_770_163),
            (FourCc::MP3, 778_924_083),
            (FourCc::FLAC, 1_716_281_667),
            (FourCc::AAC, 1_836_069_985),
        ] {
            assert_eq!(code.number(), number);
            assert_eq!(FourCc::from_number(number), code);
            assert!(FourCc::KNOWN.contains(&code));
        }
    }

    #[test]
    fn prints_whatever_arrived() {
        assert_eq!(FourCc::EAC3.to_string(), "ec-3");
        assert_eq!(FourCc::new([b'a', 0, 0xff, b'\n']).to_string(), "a\\x00\\xff\\n");
    }
}
