//! The codecs that tracks are made of, whichever form of tag carries them.

use std::fmt;

use crate::flv::FourCc;
use crate::flv::audio::{AudioCodec, SoundFormat};
use crate::flv::video::{CodecId, VideoCodec};
use crate::session::MediaKind;

/// What is heard and what is seen are told apart by the kind of tag.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum TrackKind {
    Audio,
    Video,
}

impl From<TrackKind> for MediaKind {
    fn from(kind: TrackKind) -> Self {
        match kind {
            TrackKind::Audio => Self::Audio,
            TrackKind::Video => Self::Video,
        }
    }
}

/// A codec that tags carry.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Format {
    Audio(AudioFormat),
    Video(VideoFormat),
}

impl Format {
    /// The code of enhanced tags, if they have the codec.
    pub(crate) const fn four_cc(self) -> Option<FourCc> {
        match self {
            Self::Audio(audio) => audio.four_cc(),
            Self::Video(video) => video.four_cc(),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Audio(audio) => f.write_str(audio.name()),
            Self::Video(video) => f.write_str(video.name()),
        }
    }
}

/// An audio codec.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum AudioFormat {
    Pcm,
    Adpcm,
    Mp3,
    Nellymoser,
    ALaw,
    MuLaw,
    Aac,
    Speex,
    Opus,
    Flac,
    Ac3,
    Eac3,
}

impl AudioFormat {
    /// The codec of a packet; `None` of those that GStreamer has no caps for.
    pub(crate) fn of(codec: AudioCodec) -> Option<Self> {
        match codec {
            AudioCodec::Legacy(format) => match format {
                SoundFormat::Pcm | SoundFormat::PcmLittleEndian => Some(Self::Pcm),
                SoundFormat::Adpcm => Some(Self::Adpcm),
                SoundFormat::Mp3 | SoundFormat::Mp3At8k => Some(Self::Mp3),
                SoundFormat::Nellymoser16k | SoundFormat::Nellymoser8k | SoundFormat::Nellymoser => {
                    Some(Self::Nellymoser)
                }
                SoundFormat::ALaw => Some(Self::ALaw),
                SoundFormat::MuLaw => Some(Self::MuLaw),
                SoundFormat::Aac => Some(Self::Aac),
                SoundFormat::Speex => Some(Self::Speex),
                SoundFormat::DeviceSpecific | SoundFormat::Unknown(_) => None,
            },
            AudioCodec::Enhanced(code) => [
                Self::Mp3,
                Self::Aac,
                Self::Opus,
                Self::Flac,
                Self::Ac3,
                Self::Eac3,
            ]
            .into_iter()
            .find(|format| format.four_cc() == Some(code)),
        }
    }

    pub(crate) const fn four_cc(self) -> Option<FourCc> {
        match self {
            Self::Mp3 => Some(FourCc::MP3),
            Self::Aac => Some(FourCc::AAC),
            Self::Opus => Some(FourCc::OPUS),
            Self::Flac => Some(FourCc::FLAC),
            Self::Ac3 => Some(FourCc::AC3),
            Self::Eac3 => Some(FourCc::EAC3),
            Self::Pcm | Self::Adpcm | Self::Nellymoser | Self::ALaw | Self::MuLaw | Self::Speex => None,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Pcm => "PCM",
            Self::Adpcm => "ADPCM",
            Self::Mp3 => "MP3",
            Self::Nellymoser => "Nellymoser",
            Self::ALaw => "G.711 A-law",
            Self::MuLaw => "G.711 mu-law",
            Self::Aac => "AAC",
            Self::Speex => "Speex",
            Self::Opus => "Opus",
            Self::Flac => "FLAC",
            Self::Ac3 => "AC-3",
            Self::Eac3 => "E-AC-3",
        }
    }
}

/// A video codec.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum VideoFormat {
    SorensonH263,
    ScreenVideo,
    ScreenVideo2,
    Vp6,
    Vp6Alpha,
    /// In no specification, and only read.
    H263,
    /// In no specification, and only read.
    Mpeg4,
    Avc,
    Hevc,
    Vvc,
    Vp8,
    Vp9,
    Av1,
}

impl VideoFormat {
    /// The codec of a packet; `None` of those that GStreamer has no caps for.
    pub(crate) fn of(codec: VideoCodec) -> Option<Self> {
        match codec {
            VideoCodec::Legacy(id) => match id {
                CodecId::SorensonH263 => Some(Self::SorensonH263),
                CodecId::ScreenVideo => Some(Self::ScreenVideo),
                CodecId::ScreenVideo2 => Some(Self::ScreenVideo2),
                CodecId::Vp6 => Some(Self::Vp6),
                CodecId::Vp6Alpha => Some(Self::Vp6Alpha),
                CodecId::H263 => Some(Self::H263),
                CodecId::Mpeg4 => Some(Self::Mpeg4),
                CodecId::Avc => Some(Self::Avc),
                CodecId::Hevc => Some(Self::Hevc),
                CodecId::Unknown(_) => None,
            },
            VideoCodec::Enhanced(code) => [Self::Avc, Self::Hevc, Self::Vvc, Self::Vp8, Self::Vp9, Self::Av1]
                .into_iter()
                .find(|format| format.four_cc() == Some(code)),
        }
    }

    pub(crate) const fn four_cc(self) -> Option<FourCc> {
        match self {
            Self::Avc => Some(FourCc::AVC),
            Self::Hevc => Some(FourCc::HEVC),
            Self::Vvc => Some(FourCc::VVC),
            Self::Vp8 => Some(FourCc::VP8),
            Self::Vp9 => Some(FourCc::VP9),
            Self::Av1 => Some(FourCc::AV1),
            Self::SorensonH263
            | Self::ScreenVideo
            | Self::ScreenVideo2
            | Self::Vp6
            | Self::Vp6Alpha
            | Self::H263
            | Self::Mpeg4 => None,
        }
    }

    /// The number that legacy tags are written with. H.265 has one that only some readers know.
    pub(crate) const fn legacy(self) -> Option<CodecId> {
        match self {
            Self::SorensonH263 => Some(CodecId::SorensonH263),
            Self::ScreenVideo => Some(CodecId::ScreenVideo),
            Self::ScreenVideo2 => Some(CodecId::ScreenVideo2),
            Self::Vp6 => Some(CodecId::Vp6),
            Self::Vp6Alpha => Some(CodecId::Vp6Alpha),
            Self::Avc => Some(CodecId::Avc),
            Self::H263 | Self::Mpeg4 | Self::Hevc | Self::Vvc | Self::Vp8 | Self::Vp9 | Self::Av1 => None,
        }
    }

    /// Whether packets have a composition time, and pictures are in the order of decoding.
    pub(crate) const fn has_composition_time(self) -> bool {
        matches!(self, Self::Avc | Self::Hevc | Self::Vvc | Self::Mpeg4)
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::SorensonH263 => "Sorenson H.263",
            Self::ScreenVideo => "Screen video",
            Self::ScreenVideo2 => "Screen video 2",
            Self::Vp6 => "VP6",
            Self::Vp6Alpha => "VP6 with alpha",
            Self::H263 => "H.263",
            Self::Mpeg4 => "MPEG-4 part 2",
            Self::Avc => "H.264",
            Self::Hevc => "H.265",
            Self::Vvc => "H.266",
            Self::Vp8 => "VP8",
            Self::Vp9 => "VP9",
            Self::Av1 => "AV1",
        }
    }
}
