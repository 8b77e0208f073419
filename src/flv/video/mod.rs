//! Video tag bodies. FLV 10.1 section E.4.3, Enhanced RTMP v2 "Enhanced Video".
//!
//! [`VideoTag::classify`] says what a sender or relay has to know of a tag; [`VideoPacket`] takes tags apart and
//! makes them. Neither looks into what is the codec's own.

mod color;
mod packet;

pub use color::{Chromaticity, ColorConfig, ColorInfo, ContentLightLevel, MasteringDisplay};
pub use packet::{VideoPacket, VideoPackets, VideoPayload};

use super::enhanced::{Prefix, Tracks};
use crate::fourcc::FourCc;
use crate::wire::{Malformed, Reader};

/// `FrameType`, three bits in legacy and enhanced tags alike.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum FrameType {
    /// 1: decodable by itself.
    Key,
    /// 2: depends on others.
    Inter,
    /// 3: depends on others and none on it.
    DisposableInter,
    /// 4: a key frame that a server made.
    GeneratedKey,
    /// 5: no frame but a command to the player.
    Command,
    /// Reserved.
    Unknown(u8),
}

impl FrameType {
    /// From the three bits on the wire.
    #[must_use]
    pub const fn from_id(id: u8) -> Self {
        match id {
            1 => Self::Key,
            2 => Self::Inter,
            3 => Self::DisposableInter,
            4 => Self::GeneratedKey,
            5 => Self::Command,
            other => Self::Unknown(other),
        }
    }

    /// The three bits on the wire.
    #[must_use]
    pub const fn id(self) -> u8 {
        match self {
            Self::Key => 1,
            Self::Inter => 2,
            Self::DisposableInter => 3,
            Self::GeneratedKey => 4,
            Self::Command => 5,
            Self::Unknown(other) => other,
        }
    }

    /// Whether decoding can start at pictures of this type.
    #[must_use]
    pub const fn is_key(self) -> bool {
        matches!(self, Self::Key | Self::GeneratedKey)
    }
}

/// `CodecID` of a legacy tag.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum CodecId {
    /// 2: Sorenson H.263.
    SorensonH263,
    /// 3: Screen video.
    ScreenVideo,
    /// 4: VP6.
    Vp6,
    /// 5: VP6 with alpha channel.
    Vp6Alpha,
    /// 6: Screen video version 2.
    ScreenVideo2,
    /// 7: H.264.
    Avc,
    /// 8: H.263, in no specification.
    H263,
    /// 9: MPEG-4 part 2, in no specification.
    Mpeg4,
    /// 12: H.265, an extension of Chinese content delivery networks.
    Hevc,
    /// Any other.
    Unknown(u8),
}

impl CodecId {
    /// From the four bits on the wire.
    #[must_use]
    pub const fn from_id(id: u8) -> Self {
        match id {
            2 => Self::SorensonH263,
            3 => Self::ScreenVideo,
            4 => Self::Vp6,
            5 => Self::Vp6Alpha,
            6 => Self::ScreenVideo2,
            7 => Self::Avc,
            8 => Self::H263,
            9 => Self::Mpeg4,
            12 => Self::Hevc,
            other => Self::Unknown(other),
        }
    }

    /// The four bits on the wire.
    #[must_use]
    pub const fn id(self) -> u8 {
        match self {
            Self::SorensonH263 => 2,
            Self::ScreenVideo => 3,
            Self::Vp6 => 4,
            Self::Vp6Alpha => 5,
            Self::ScreenVideo2 => 6,
            Self::Avc => 7,
            Self::H263 => 8,
            Self::Mpeg4 => 9,
            Self::Hevc => 12,
            Self::Unknown(other) => other,
        }
    }

    /// Whether tags of this codec have a packet type and a composition time.
    const fn has_packet_type(self) -> bool {
        matches!(self, Self::Avc | Self::Hevc | Self::Mpeg4)
    }
}

/// Codec of a video tag.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum VideoCodec {
    /// Of a legacy tag.
    Legacy(CodecId),
    /// Of an enhanced tag.
    Enhanced(FourCc),
}

/// A command to the player, in a tag without a picture.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum VideoCommand {
    /// 0: a seek of the client begins; frames up to its end are for decoding only.
    StartSeek,
    /// 1: it ends.
    EndSeek,
    /// Any other.
    Unknown(u8),
}

impl VideoCommand {
    /// From the byte on the wire.
    #[must_use]
    pub const fn from_id(id: u8) -> Self {
        match id {
            0 => Self::StartSeek,
            1 => Self::EndSeek,
            other => Self::Unknown(other),
        }
    }

    /// The byte on the wire.
    #[must_use]
    pub const fn id(self) -> u8 {
        match self {
            Self::StartSeek => 0,
            Self::EndSeek => 1,
            Self::Unknown(other) => other,
        }
    }
}

/// How much of a VP6 picture, whose coded size is a multiple of 16, is not shown. FLV 10.1 section E.4.3.1.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Vp6Adjustment {
    /// Pixels to take off the right, at most 15.
    pub right: u8,
    /// Pixels to take off the bottom, at most 15.
    pub bottom: u8,
}

impl Vp6Adjustment {
    const fn from_id(id: u8) -> Self {
        Self {
            right: id >> 4,
            bottom: id & 0x0f,
        }
    }

    const fn id(self) -> u8 {
        self.right << 4 | self.bottom & 0x0f
    }
}

/// Role of a video tag.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum VideoRole {
    /// What a decoder needs before the first frame; resent to whoever joins.
    SequenceStart,
    /// A picture.
    Frame {
        /// Milliseconds from the tag's timestamp to presentation; may be negative.
        composition_time: i32,
    },
    /// Nothing follows for this track until another sequence header.
    SequenceEnd,
    /// Metadata of the picture, such as its colour information. The frame type means nothing here.
    Metadata,
    /// A command to the player about seeking, without a picture.
    Command,
    /// A packet type that is reserved, to be dropped.
    Unknown(u8),
}

/// What can be said of a video tag from its first bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct VideoTag {
    /// The frame type; only a hint, since some writers mark recovery points as key frames.
    pub frame: FrameType,
    /// The codec; unknown of enhanced commands and of reserved packet types.
    pub codec: Option<VideoCodec>,
    /// The track: 0 but for Multitrack tags, whose first track this describes.
    pub track: u8,
    /// The role.
    pub role: VideoRole,
}

/// `VideoPacketType`, but for `ModEx`.
mod packet_type {
    pub(super) const SEQUENCE_START: u8 = 0;
    pub(super) const CODED_FRAMES: u8 = 1;
    pub(super) const SEQUENCE_END: u8 = 2;
    /// `CodedFrames` with a composition time of 0 that is left out.
    pub(super) const CODED_FRAMES_X: u8 = 3;
    pub(super) const METADATA: u8 = 4;
    /// The header of an MPEG-2 transport stream in place of the usual one.
    pub(super) const MPEG2_TS_SEQUENCE_START: u8 = 5;
    pub(super) const MULTITRACK: u8 = 6;
}

/// Bit of the first byte that an enhanced tag has and a legacy one has not (`isExHeader`).
const ENHANCED: u8 = 0x80;

impl VideoTag {
    /// Looks at the body of a tag.
    ///
    /// # Errors
    ///
    /// The body ends inside what it has to have, a legacy decoder configuration record included; such tags
    /// are to be dropped.
    pub fn classify(body: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(body);
        let first = r.u8("video tag header")?;
        let frame = FrameType::from_id(first >> 4 & 7);
        if first & ENHANCED == 0 {
            Self::legacy(frame, CodecId::from_id(first & 0x0f), r)
        } else {
            Self::enhanced(frame, first, r)
        }
    }

    fn legacy(frame: FrameType, codec: CodecId, mut r: Reader<'_>) -> Result<Self, Malformed> {
        let described = |role| Self {
            frame,
            codec: Some(VideoCodec::Legacy(codec)),
            track: 0,
            role,
        };
        // First, since writers disagree on whether the rest of the codec's header is there.
        if frame == FrameType::Command {
            return Ok(described(VideoRole::Command));
        }
        if !codec.has_packet_type() {
            if matches!(codec, CodecId::Vp6 | CodecId::Vp6Alpha) {
                r.u8("VP6 adjustment")?;
            }
            return Ok(described(VideoRole::Frame { composition_time: 0 }));
        }
        Ok(described(match r.u8("AVCPacketType")? {
            packet_type::SEQUENCE_START => {
                r.take(3, "composition time")?;
                if r.is_empty() {
                    return Err(Malformed::Truncated("decoder configuration record"));
                }
                VideoRole::SequenceStart
            }
            packet_type::CODED_FRAMES => VideoRole::Frame {
                composition_time: r.i24("composition time")?,
            },
            packet_type::SEQUENCE_END => VideoRole::SequenceEnd,
            other => VideoRole::Unknown(other),
        }))
    }

    fn enhanced(frame: FrameType, first: u8, mut r: Reader<'_>) -> Result<Self, Malformed> {
        let Prefix { packet_type, .. } = Prefix::decode(first, &mut r)?;
        let bare = |role| Self {
            frame,
            codec: None,
            track: 0,
            role,
        };
        if packet_type > packet_type::MULTITRACK {
            return Ok(bare(VideoRole::Unknown(packet_type)));
        }
        if frame == FrameType::Command && packet_type != packet_type::METADATA {
            return Ok(bare(VideoRole::Command));
        }
        let mut tracks = Tracks::decode(packet_type, packet_type::MULTITRACK, r)?;
        let track = tracks.track()?;
        let role = match tracks.packet_type {
            packet_type::SEQUENCE_START | packet_type::MPEG2_TS_SEQUENCE_START => VideoRole::SequenceStart,
            packet_type::CODED_FRAMES if has_composition_time(track.codec) => VideoRole::Frame {
                composition_time: Reader::new(track.body).i24("composition time")?,
            },
            packet_type::CODED_FRAMES | packet_type::CODED_FRAMES_X => {
                VideoRole::Frame { composition_time: 0 }
            }
            packet_type::SEQUENCE_END => VideoRole::SequenceEnd,
            packet_type::METADATA => VideoRole::Metadata,
            other => VideoRole::Unknown(other),
        };
        Ok(Self {
            frame,
            codec: Some(VideoCodec::Enhanced(track.codec)),
            track: track.id,
            role,
        })
    }

    /// Whether decoders need this tag before any other: it is to be kept and sent first.
    #[must_use]
    pub const fn is_sequence_start(&self) -> bool {
        matches!(self.role, VideoRole::SequenceStart)
    }

    /// Whether this is a picture at which decoding can start.
    #[must_use]
    pub const fn is_key_frame(&self) -> bool {
        self.is_frame() && self.frame.is_key()
    }

    /// Whether this is a picture that needs earlier ones.
    #[must_use]
    pub const fn is_delta_frame(&self) -> bool {
        self.is_frame() && !self.is_key_frame()
    }

    const fn is_frame(&self) -> bool {
        matches!(self.role, VideoRole::Frame { .. })
    }
}

/// Whether `CodedFrames` of this codec carry a composition time.
fn has_composition_time(codec: FourCc) -> bool {
    [FourCc::AVC, FourCc::HEVC, FourCc::VVC].contains(&codec)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn classify(body: &[u8]) -> (FrameType, Option<VideoCodec>, u8, VideoRole) {
        let tag = VideoTag::classify(body).unwrap();
        (tag.frame, tag.codec, tag.track, tag.role)
    }

    const fn frame(composition_time: i32) -> VideoRole {
        VideoRole::Frame { composition_time }
    }

    #[test]
    fn frame_types_and_codec_ids_keep_their_number() {
        for id in 0..8 {
            assert_eq!(FrameType::from_id(id).id(), id);
        }
        for id in 0..16 {
            assert_eq!(CodecId::from_id(id).id(), id);
        }
    }

    #[test]
    fn avc_has_headers_frames_and_an_end() {
        let avc = Some(VideoCodec::Legacy(CodecId::Avc));
        let header = [0x17, 0, 0, 0, 0, 1, 0x64, 0, 0x0a];
        assert_eq!(
            classify(&header),
            (FrameType::Key, avc, 0, VideoRole::SequenceStart)
        );
        let inter = [0x27, 1, 0xff, 0xff, 0xd8, 0, 0, 0, 5, 0x41, 0x9a, 0, 0x11, 0x22];
        assert_eq!(classify(&inter), (FrameType::Inter, avc, 0, frame(-40)));
        assert_eq!(
            classify(&[0x17, 1, 0, 0, 40]),
            (FrameType::Key, avc, 0, frame(40))
        );
        assert_eq!(
            classify(&[0x17, 2, 0, 0, 0]),
            (FrameType::Key, avc, 0, VideoRole::SequenceEnd)
        );
        assert_eq!(
            classify(&[0x27, 2]),
            (FrameType::Inter, avc, 0, VideoRole::SequenceEnd)
        );
        assert_eq!(
            classify(&[0x27, 3]),
            (FrameType::Inter, avc, 0, VideoRole::Unknown(3))
        );
    }

    #[test]
    fn hevc_and_mpeg4_of_no_specification_look_like_avc() {
        for (first, codec) in [(0x1c, CodecId::Hevc), (0x19, CodecId::Mpeg4)] {
            let codec = Some(VideoCodec::Legacy(codec));
            assert_eq!(
                classify(&[first, 1, 0, 0, 7, 0]),
                (FrameType::Key, codec, 0, frame(7))
            );
        }
    }

    #[test]
    fn codecs_without_packet_type_are_frames_at_once() {
        let legacy = |codec| Some(VideoCodec::Legacy(codec));
        assert_eq!(
            classify(&[0x22]),
            (FrameType::Inter, legacy(CodecId::SorensonH263), 0, frame(0))
        );
        assert_eq!(classify(&[0x32]).0, FrameType::DisposableInter);
        assert_eq!(
            classify(&[0x14, 0x80]),
            (FrameType::Key, legacy(CodecId::Vp6), 0, frame(0))
        );
    }

    #[test]
    fn commands_are_known_by_frame_type_alone() {
        for body in [
            &[0x57, 0][..],
            &[0x57, 1, 0, 0, 0, 1],
            &[0x52, 0],
            &[0xd1, 0],
            &[0xd0],
        ] {
            assert_eq!(VideoTag::classify(body).unwrap().role, VideoRole::Command);
        }
    }

    #[test]
    fn enhanced_tags_name_their_codec() {
        let (key, inter) = (FrameType::Key, FrameType::Inter);
        let enhanced = |codec| Some(VideoCodec::Enhanced(codec));
        let (avc, hevc, av1) = (
            enhanced(FourCc::AVC),
            enhanced(FourCc::HEVC),
            enhanced(FourCc::AV1),
        );
        for (body, expected) in [
            (&b"\x90hvc1\x01"[..], (key, hevc, 0, VideoRole::SequenceStart)),
            (b"\x91hvc1\0\0\x28", (key, hevc, 0, frame(40))),
            (b"\xa1avc1\xff\xff\xd8", (inter, avc, 0, frame(-40))),
            (b"\xa1av01\x32\x01\x14", (inter, av1, 0, frame(0))),
            (b"\xa3hvc1\0\0\x28", (inter, hevc, 0, frame(0))),
            (b"\x92hvc1", (key, hevc, 0, VideoRole::SequenceEnd)),
            (b"\x95av01", (key, av1, 0, VideoRole::SequenceStart)),
            (b"\xd4hvc1", (FrameType::Command, hevc, 0, VideoRole::Metadata)),
            (b"\xa7\x02\x07\xa1\x20\x03hvc1\0", (inter, hevc, 0, frame(0))),
            (
                b"\x96\x00av01\x01\x81\x00\x0c",
                (key, av1, 1, VideoRole::SequenceStart),
            ),
            (b"\xa6\x03hvc1\x01\0\0\0\x03", (inter, hevc, 1, frame(0))),
            (
                b"\xa6\x21hvc1\x00\0\0\x04\0\0\x28\x01av01\x01\0\0\x01\x32",
                (inter, hevc, 0, frame(40)),
            ),
            (b"\xa6\x0fhvc1\x01", (inter, hevc, 1, VideoRole::Unknown(15))),
            (b"\xa8", (inter, None, 0, VideoRole::Unknown(8))),
        ] {
            assert_eq!(classify(body), expected, "{body:02x?}");
        }
    }

    #[test]
    fn only_pictures_are_key_or_delta_frames() {
        let roles = |body: &[u8]| {
            let tag = VideoTag::classify(body).unwrap();
            (tag.is_sequence_start(), tag.is_key_frame(), tag.is_delta_frame())
        };
        assert_eq!(roles(&[0x17, 0, 0, 0, 0, 1]), (true, false, false));
        assert_eq!(roles(&[0x17, 1, 0, 0, 0]), (false, true, false));
        assert_eq!(roles(&[0x47, 1, 0, 0, 0]), (false, true, false));
        assert_eq!(roles(&[0x27, 1, 0, 0, 0]), (false, false, true));
        assert_eq!(roles(&[0x37, 1, 0, 0, 0]), (false, false, true));
        assert_eq!(roles(&[0x57, 1, 0, 0, 0]), (false, false, false));
        assert_eq!(roles(b"\x94hvc1"), (false, false, false));
    }

    #[test]
    fn short_bodies_are_refused_where_they_end() {
        for (body, field) in [
            (&[][..], "video tag header"),
            (&[0x17], "AVCPacketType"),
            (&[0x17, 1, 0, 0], "composition time"),
            (&[0x17, 0, 0, 0], "composition time"),
            (&[0x17, 0, 0, 0, 0], "decoder configuration record"),
            (&[0x14], "VP6 adjustment"),
            (b"\x91hvc", "FourCC"),
            (b"\x91hvc1\0\0", "composition time"),
            (b"\xa6\x11hvc1\x00\0\0\x02\0\0\x28", "composition time"),
        ] {
            assert_eq!(
                VideoTag::classify(body),
                Err(Malformed::Truncated(field)),
                "{body:02x?}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_body_panics(body: Vec<u8>) {
            let _ = VideoTag::classify(&body);
        }
    }
}
