//! The header of an FLV file (FLV 10.1 section E.2) and of a tag (section E.4.1).

use bytes::{BufMut, BytesMut};

use crate::wire::{Malformed, Reader};

/// Largest tag body in bytes: `DataSize` has 24 bits.
pub const MAX_BODY: usize = 0xFF_FFFF;

/// Bytes of a tag header.
pub const TAG_HEADER_SIZE: usize = 11;

/// Bytes of the `PreviousTagSize` behind a file header and behind every tag.
pub const TRAILER_SIZE: usize = 4;

/// Bytes of a file header up to where its `DataOffset` counts from the start.
pub(super) const FILE_HEADER_SIZE: usize = 9;

/// What an FLV file announces about itself. Live streams and many writers guess, so it only hints.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FileHeader {
    /// `TypeFlagsAudio`.
    pub has_audio: bool,
    /// `TypeFlagsVideo`.
    pub has_video: bool,
}

impl FileHeader {
    const SIGNATURE: u32 = 0x46_4c56; // "FLV"
    const DATA_OFFSET: u32 = 9;
    const HAS_AUDIO: u8 = 0x04;
    const HAS_VIDEO: u8 = 0x01;

    /// Reads the nine bytes of a header. With it comes the number of further header bytes, usually none, that
    /// stand before the first `PreviousTagSize`. The version is not looked at: no other than 1 was ever
    /// defined.
    pub fn decode(r: &mut Reader<'_>) -> Result<(Self, u32), Malformed> {
        let signature = r.u24("FLV signature")?;
        if signature != Self::SIGNATURE {
            return Err(Malformed::Invalid {
                field: "FLV signature",
                value: signature.into(),
            });
        }
        let _version = r.u8("FLV version")?;
        let flags = r.u8("FLV flags")?;
        let data_offset = r.u32("FLV DataOffset")?;
        let more = data_offset
            .checked_sub(Self::DATA_OFFSET)
            .ok_or(Malformed::Invalid {
                field: "FLV DataOffset",
                value: data_offset.into(),
            })?;
        let header = Self {
            has_audio: flags & Self::HAS_AUDIO != 0,
            has_video: flags & Self::HAS_VIDEO != 0,
        };
        Ok((header, more))
    }

    /// Writes the start of a file, 13 bytes: the header and the first `PreviousTagSize`.
    pub fn encode(&self, out: &mut BytesMut) {
        let audio = if self.has_audio { Self::HAS_AUDIO } else { 0 };
        let video = if self.has_video { Self::HAS_VIDEO } else { 0 };
        out.put_slice(b"FLV\x01");
        out.put_u8(audio | video);
        out.put_u32(Self::DATA_OFFSET);
        out.put_u32(0);
    }
}

/// `TagType`, which is the RTMP message type as well.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum TagKind {
    /// 8: audio.
    Audio,
    /// 9: video.
    Video,
    /// 18: script data in AMF0.
    Script,
    /// 15: script data in AMF3, Enhanced RTMP v2.
    ScriptAmf3,
    /// Any other.
    Unknown(u8),
}

impl TagKind {
    /// From the number on the wire.
    #[must_use]
    pub const fn from_type_id(type_id: u8) -> Self {
        match type_id {
            8 => Self::Audio,
            9 => Self::Video,
            15 => Self::ScriptAmf3,
            18 => Self::Script,
            other => Self::Unknown(other),
        }
    }

    /// The number on the wire.
    #[must_use]
    pub const fn type_id(self) -> u8 {
        match self {
            Self::Audio => 8,
            Self::Video => 9,
            Self::ScriptAmf3 => 15,
            Self::Script => 18,
            Self::Unknown(other) => other,
        }
    }
}

/// Header of one tag.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TagHeader {
    /// What the body is.
    pub kind: TagKind,
    /// `Filter`: the body is encrypted (Annex F).
    pub encrypted: bool,
    /// Bytes of the body, at most [`MAX_BODY`].
    pub size: u32,
    /// Milliseconds; of video the decoding time.
    pub timestamp: u32,
    /// Always 0 by specification; 24 bits.
    pub stream_id: u32,
}

impl TagHeader {
    const RESERVED: u8 = 0xc0;
    const FILTER: u8 = 0x20;
    const TYPE: u8 = 0x1f;

    /// Header of a clear tag with a body of `size` bytes.
    ///
    /// # Errors
    ///
    /// [`Malformed::Excessive`] when `size` is above [`MAX_BODY`].
    pub fn new(kind: TagKind, timestamp: u32, size: usize) -> Result<Self, Malformed> {
        let excessive = Malformed::Excessive("FLV tag body");
        if size > MAX_BODY {
            return Err(excessive);
        }
        Ok(Self {
            kind,
            encrypted: false,
            size: u32::try_from(size).map_err(|_| excessive)?,
            timestamp,
            stream_id: 0,
        })
    }

    /// Reads the eleven bytes of a header. A type that no specification knows passes only if the rest looks
    /// like a tag, since it is most likely no tag at all.
    pub fn decode(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        let first = r.u8("FLV tag type")?;
        let size = r.u24("FLV DataSize")?;
        let low = r.u24("FLV timestamp")?;
        let high = r.u8("FLV TimestampExtended")?;
        let stream_id = r.u24("FLV StreamID")?;
        let kind = TagKind::from_type_id(first & Self::TYPE);
        let odd = first & (Self::RESERVED | Self::FILTER) != 0 || stream_id != 0;
        if matches!(kind, TagKind::Unknown(_)) && odd {
            return Err(Malformed::Invalid {
                field: "FLV tag type",
                value: first.into(),
            });
        }
        Ok(Self {
            kind,
            encrypted: first & Self::FILTER != 0,
            size,
            timestamp: u32::from(high) << 24 | low,
            stream_id,
        })
    }

    /// Writes the eleven bytes of the header.
    pub fn encode(&self, out: &mut impl BufMut) {
        let filter = if self.encrypted { Self::FILTER } else { 0 };
        let [high, low @ ..] = self.timestamp.to_be_bytes();
        out.put_u8(filter | self.kind.type_id());
        out.put_uint(self.size.into(), 3);
        out.put_slice(&low);
        out.put_u8(high);
        out.put_uint(self.stream_id.into(), 3);
    }

    /// `PreviousTagSize` to write behind the body: bytes of header and body.
    #[must_use]
    pub const fn previous_tag_size(&self) -> u32 {
        self.size.saturating_add(TAG_HEADER_SIZE as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FILE_START: [u8; 13] = [0x46, 0x4c, 0x56, 1, 5, 0, 0, 0, 9, 0, 0, 0, 0];

    #[test]
    fn file_start_is_thirteen_known_bytes() {
        let header = FileHeader {
            has_audio: true,
            has_video: true,
        };
        let mut out = BytesMut::new();
        header.encode(&mut out);
        assert_eq!(out[..], FILE_START);
        let mut r = Reader::new(&FILE_START);
        assert_eq!(FileHeader::decode(&mut r), Ok((header, 0)));
        assert_eq!(r.rest(), [0; 4]);
    }

    #[test]
    fn file_flags_are_independent() {
        for (flags, has_audio, has_video) in [(0, false, false), (1, false, true), (4, true, false)] {
            let header = FileHeader { has_audio, has_video };
            let mut out = BytesMut::new();
            header.encode(&mut out);
            assert_eq!(out[4], flags);
            assert_eq!(FileHeader::decode(&mut Reader::new(&out)), Ok((header, 0)));
        }
    }

    #[test]
    fn file_header_needs_signature_and_offset() {
        let decode = |bytes: &[u8]| FileHeader::decode(&mut Reader::new(bytes)).map(|(_, more)| more);
        assert_eq!(decode(b"FLV\x01\x05\0\0\0\x0c"), Ok(3));
        assert_eq!(
            decode(b"FLV\x01\x05\0\0\0\x08"),
            Err(Malformed::Invalid {
                field: "FLV DataOffset",
                value: 8
            })
        );
        assert_eq!(
            decode(b"FWS\x01\x05\0\0\0\x09"),
            Err(Malformed::Invalid {
                field: "FLV signature",
                value: 0x46_5753
            })
        );
    }

    #[test]
    fn the_high_byte_of_the_timestamp_stands_last() {
        let bytes = [9, 0, 0, 0x0e, 0, 0, 0x28, 1, 0, 0, 0];
        let header = TagHeader::decode(&mut Reader::new(&bytes)).unwrap();
        assert_eq!(header, TagHeader::new(TagKind::Video, 0x0100_0028, 14).unwrap());
        assert_eq!(header.previous_tag_size(), 25);
        let mut out = BytesMut::new();
        header.encode(&mut out);
        assert_eq!(out[..], bytes);
    }

    #[test]
    fn filter_bit_is_not_part_of_the_type() {
        let bytes = [0x29, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0];
        let header = TagHeader::decode(&mut Reader::new(&bytes)).unwrap();
        assert_eq!((header.kind, header.encrypted), (TagKind::Video, true));
    }

    #[test]
    fn unknown_types_pass_only_as_otherwise_plain_tags() {
        let decode = |first, stream_id| {
            let bytes = [first, 0, 0, 1, 0, 0, 0, 0, 0, 0, stream_id];
            TagHeader::decode(&mut Reader::new(&bytes)).map(|header| header.kind)
        };
        let refused = |value| {
            Err(Malformed::Invalid {
                field: "FLV tag type",
                value,
            })
        };
        assert_eq!(decode(10, 0), Ok(TagKind::Unknown(10)));
        assert_eq!(decode(10, 1), refused(10));
        assert_eq!(decode(0x47, 0), refused(0x47));
        assert_eq!(decode(0x2a, 0), refused(0x2a));
        assert_eq!(decode(8, 1), Ok(TagKind::Audio));
    }

    #[test]
    fn bodies_end_at_24_bits() {
        assert_eq!(
            TagHeader::new(TagKind::Audio, 0, MAX_BODY).unwrap().size,
            0xff_ffff
        );
        assert_eq!(
            TagHeader::new(TagKind::Audio, 0, MAX_BODY + 1),
            Err(Malformed::Excessive("FLV tag body"))
        );
    }

    proptest! {
        #[test]
        fn headers_survive_the_wire(type_id in 0..32_u8, size in 0..=0xff_ffff_u32, timestamp: u32) {
            let header = TagHeader {
                kind: TagKind::from_type_id(type_id), encrypted: false, size, timestamp, stream_id: 0,
            };
            let mut out = BytesMut::new();
            header.encode(&mut out);
            prop_assert_eq!(out.len(), TAG_HEADER_SIZE);
            prop_assert_eq!(TagHeader::decode(&mut Reader::new(&out)), Ok(header));
        }
    }
}
