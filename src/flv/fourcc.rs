//! Four-character codes, by which Enhanced RTMP v2 names codecs.

use std::fmt;

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

    pub(super) fn decode(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self(r.u32("FourCC")?.to_be_bytes()))
    }

    /// Whether video frames of this codec carry a composition time in `CodedFrames`.
    pub(super) fn has_composition_time(self) -> bool {
        [Self::AVC, Self::HEVC, Self::VVC].contains(&self)
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
    }

    #[test]
    fn prints_whatever_arrived() {
        assert_eq!(FourCc::EAC3.to_string(), "ec-3");
        assert_eq!(FourCc::new([b'a', 0, 0xff, b'\n']).to_string(), "a\\x00\\xff\\n");
    }
}
