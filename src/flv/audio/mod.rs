//! Audio tag bodies. FLV 10.1 section E.4.2, Enhanced RTMP v2 "Enhanced Audio".
//!
//! [`AudioTag::classify`] says what a sender or relay has to know of a tag; [`AudioPacket`] takes tags apart and
//! makes them. Neither looks into what is the codec's own.

mod channels;
mod packet;

pub use channels::{Channel, ChannelConfig};
pub use packet::{AudioPacket, AudioPackets, AudioPayload, SoundFlags};

use super::enhanced::{Prefix, Tracks};
use crate::fourcc::FourCc;
use crate::wire::{Malformed, Reader};

/// `SoundFormat` of a legacy tag.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SoundFormat {
    /// 0: PCM in the byte order of the writer, in practice little-endian.
    Pcm,
    /// 1: ADPCM of the SWF format.
    Adpcm,
    /// 2: MP3.
    Mp3,
    /// 3: PCM, little-endian.
    PcmLittleEndian,
    /// 4: Nellymoser, 16 kHz mono.
    Nellymoser16k,
    /// 5: Nellymoser, 8 kHz mono.
    Nellymoser8k,
    /// 6: Nellymoser of the rate in the tag.
    Nellymoser,
    /// 7: G.711 A-law, 8 kHz.
    ALaw,
    /// 8: G.711 mu-law, 8 kHz.
    MuLaw,
    /// 10: AAC.
    Aac,
    /// 11: Speex, 16 kHz mono.
    Speex,
    /// 14: MP3, 8 kHz.
    Mp3At8k,
    /// 15: sound that only the writer's device knows.
    DeviceSpecific,
    /// 12 and 13 are reserved, and 9 does not name a format but an enhanced tag.
    Unknown(u8),
}

impl SoundFormat {
    /// From the four bits on the wire.
    #[must_use]
    pub const fn from_id(id: u8) -> Self {
        match id {
            0 => Self::Pcm,
            1 => Self::Adpcm,
            2 => Self::Mp3,
            3 => Self::PcmLittleEndian,
            4 => Self::Nellymoser16k,
            5 => Self::Nellymoser8k,
            6 => Self::Nellymoser,
            7 => Self::ALaw,
            8 => Self::MuLaw,
            10 => Self::Aac,
            11 => Self::Speex,
            14 => Self::Mp3At8k,
            15 => Self::DeviceSpecific,
            other => Self::Unknown(other),
        }
    }

    /// The four bits on the wire.
    #[must_use]
    pub const fn id(self) -> u8 {
        match self {
            Self::Pcm => 0,
            Self::Adpcm => 1,
            Self::Mp3 => 2,
            Self::PcmLittleEndian => 3,
            Self::Nellymoser16k => 4,
            Self::Nellymoser8k => 5,
            Self::Nellymoser => 6,
            Self::ALaw => 7,
            Self::MuLaw => 8,
            Self::Aac => 10,
            Self::Speex => 11,
            Self::Mp3At8k => 14,
            Self::DeviceSpecific => 15,
            Self::Unknown(other) => other,
        }
    }
}

/// Codec of an audio tag.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum AudioCodec {
    /// Of a legacy tag.
    Legacy(SoundFormat),
    /// Of an enhanced tag.
    Enhanced(FourCc),
}

/// Role of an audio tag.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AudioRole {
    /// What a decoder needs before the first frame; resent to whoever joins.
    SequenceStart,
    /// Sound.
    Frames,
    /// Nothing follows for this track.
    SequenceEnd,
    /// Order of the channels (`MultichannelConfig`).
    ChannelConfig,
    /// An empty tag: silence until sound returns.
    Silence,
    /// A packet type that is reserved, to be dropped.
    Unknown(u8),
}

/// What can be said of an audio tag from its first bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AudioTag {
    /// The codec; unknown of silence and of reserved packet types.
    pub codec: Option<AudioCodec>,
    /// The track: 0 but for Multitrack tags, whose first track this describes.
    pub track: u8,
    /// The role.
    pub role: AudioRole,
}

/// `AudioPacketType`, but for `ModEx`.
mod packet_type {
    pub(super) const SEQUENCE_START: u8 = 0;
    pub(super) const CODED_FRAMES: u8 = 1;
    pub(super) const SEQUENCE_END: u8 = 2;
    pub(super) const MULTICHANNEL_CONFIG: u8 = 4;
    pub(super) const MULTITRACK: u8 = 5;
}

/// The upper half of the first byte of an enhanced tag, where others have the sound format.
const ENHANCED: u8 = 9;

impl AudioTag {
    /// Looks at the body of a tag.
    ///
    /// # Errors
    ///
    /// The body ends inside what it has to have, an `AudioSpecificConfig` included; such tags are to be
    /// dropped.
    pub fn classify(body: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(body);
        if r.is_empty() {
            return Ok(Self {
                codec: None,
                track: 0,
                role: AudioRole::Silence,
            });
        }
        let first = r.u8("audio tag header")?;
        if first >> 4 == ENHANCED {
            return Self::enhanced(first, r);
        }
        let format = SoundFormat::from_id(first >> 4);
        let role = if format == SoundFormat::Aac {
            match r.u8("AACPacketType")? {
                packet_type::SEQUENCE_START if r.is_empty() => {
                    return Err(Malformed::Truncated("AudioSpecificConfig"));
                }
                packet_type::SEQUENCE_START => AudioRole::SequenceStart,
                packet_type::CODED_FRAMES => AudioRole::Frames,
                other => AudioRole::Unknown(other),
            }
        } else {
            AudioRole::Frames
        };
        Ok(Self {
            codec: Some(AudioCodec::Legacy(format)),
            track: 0,
            role,
        })
    }

    fn enhanced(first: u8, mut r: Reader<'_>) -> Result<Self, Malformed> {
        let Prefix { packet_type, .. } = Prefix::decode(first, &mut r)?;
        if is_reserved(packet_type) {
            return Ok(Self {
                codec: None,
                track: 0,
                role: AudioRole::Unknown(packet_type),
            });
        }
        let mut tracks = Tracks::decode(packet_type, packet_type::MULTITRACK, r)?;
        let track = tracks.track()?;
        Ok(Self {
            codec: Some(AudioCodec::Enhanced(track.codec)),
            track: track.id,
            role: Self::role(tracks.packet_type),
        })
    }

    const fn role(packet_type: u8) -> AudioRole {
        match packet_type {
            packet_type::SEQUENCE_START => AudioRole::SequenceStart,
            packet_type::CODED_FRAMES => AudioRole::Frames,
            packet_type::SEQUENCE_END => AudioRole::SequenceEnd,
            packet_type::MULTICHANNEL_CONFIG => AudioRole::ChannelConfig,
            other => AudioRole::Unknown(other),
        }
    }

    /// Whether decoders need this tag before any other: it is to be kept and sent first.
    #[must_use]
    pub const fn is_sequence_start(&self) -> bool {
        matches!(self.role, AudioRole::SequenceStart)
    }
}

/// Whether what follows a packet type is not known, FourCC included.
const fn is_reserved(packet_type: u8) -> bool {
    !matches!(
        packet_type,
        packet_type::SEQUENCE_START
            | packet_type::CODED_FRAMES
            | packet_type::SEQUENCE_END
            | packet_type::MULTICHANNEL_CONFIG
            | packet_type::MULTITRACK
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn legacy(format: SoundFormat, role: AudioRole) -> Result<AudioTag, Malformed> {
        Ok(AudioTag {
            codec: Some(AudioCodec::Legacy(format)),
            track: 0,
            role,
        })
    }

    fn enhanced(codec: FourCc, track: u8, role: AudioRole) -> Result<AudioTag, Malformed> {
        Ok(AudioTag {
            codec: Some(AudioCodec::Enhanced(codec)),
            track,
            role,
        })
    }

    #[test]
    fn sound_formats_keep_their_number() {
        for id in 0..16 {
            assert_eq!(SoundFormat::from_id(id).id(), id);
        }
    }

    #[test]
    fn aac_has_sequence_headers_and_frames() {
        let aac = |packet| legacy(SoundFormat::Aac, packet);
        assert_eq!(
            AudioTag::classify(&[0xaf, 0, 0x12, 0x10]),
            aac(AudioRole::SequenceStart)
        );
        assert_eq!(
            AudioTag::classify(&[0xaf, 1, 0x21, 0x10, 5]),
            aac(AudioRole::Frames)
        );
        assert_eq!(AudioTag::classify(&[0xaf, 2]), aac(AudioRole::Unknown(2)));
        assert_eq!(
            AudioTag::classify(&[0xaf]),
            Err(Malformed::Truncated("AACPacketType"))
        );
        assert_eq!(
            AudioTag::classify(&[0xaf, 0]),
            Err(Malformed::Truncated("AudioSpecificConfig"))
        );
    }

    #[test]
    fn other_legacy_formats_are_frames_at_once() {
        use SoundFormat::{
            ALaw, Mp3, Mp3At8k, MuLaw, Nellymoser, Nellymoser8k, Nellymoser16k, PcmLittleEndian, Speex,
        };
        for (first, format) in [
            (0x2f, Mp3),
            (0xe3, Mp3At8k),
            (0x3f, PcmLittleEndian),
            (0xb2, Speex),
            (0xb6, Speex),
            (0x42, Nellymoser16k),
            (0x52, Nellymoser8k),
            (0x66, Nellymoser),
            (0x72, ALaw),
            (0x82, MuLaw),
        ] {
            assert_eq!(AudioTag::classify(&[first, 0]), legacy(format, AudioRole::Frames));
        }
    }

    #[test]
    fn an_empty_tag_is_silence() {
        assert_eq!(AudioTag::classify(&[]).unwrap().role, AudioRole::Silence);
    }

    #[test]
    fn enhanced_tags_name_their_codec() {
        use AudioRole::{ChannelConfig, Frames, SequenceEnd, SequenceStart};
        for (body, expected) in [
            (&b"\x90ac-3"[..], enhanced(FourCc::AC3, 0, SequenceStart)),
            (b"\x91Opus\xfc\xff", enhanced(FourCc::OPUS, 0, Frames)),
            (b"\x92fLaC", enhanced(FourCc::FLAC, 0, SequenceEnd)),
            (
                b"\x94Opus\x01\x02\0\0\0\x03",
                enhanced(FourCc::OPUS, 0, ChannelConfig),
            ),
            (
                b"\x97\x02\x03\xd0\x90\x01Opus\xfc\xff\xfe",
                enhanced(FourCc::OPUS, 0, Frames),
            ),
            (
                b"\x95\x00fLaC\x01\0\0\0\x22",
                enhanced(FourCc::FLAC, 1, SequenceStart),
            ),
            (
                b"\x95\x11Opus\x00\0\0\x02\xfc\xff\x01\0\0\x03\xfc\xff\xfe",
                enhanced(FourCc::OPUS, 0, Frames),
            ),
        ] {
            assert_eq!(AudioTag::classify(body), expected, "{body:02x?}");
            assert_eq!(
                AudioTag::classify(body).unwrap().is_sequence_start(),
                expected.unwrap().role == SequenceStart
            );
        }
        assert_eq!(
            AudioTag::classify(b"\x90ac-"),
            Err(Malformed::Truncated("FourCC"))
        );
    }

    #[test]
    fn reserved_packet_types_are_not_read_into() {
        for packet_type in [3, 6, 8, 15] {
            let tag = AudioTag::classify(&[0x90 | packet_type]).unwrap();
            assert_eq!((tag.codec, tag.role), (None, AudioRole::Unknown(packet_type)));
        }
    }

    proptest! {
        #[test]
        fn no_body_panics(body: Vec<u8>) {
            let _ = AudioTag::classify(&body);
        }
    }
}
