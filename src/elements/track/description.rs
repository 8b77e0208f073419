//! What caps say of an elementary stream, in the words of tags.

use bytes::Bytes;

use super::error::Error;
use super::format::{AudioFormat, Format, VideoFormat};
use crate::elements::caps;
use crate::flv::audio::{SoundFlags, SoundFormat};
use crate::flv::config::{
    AudioSpecificConfig, Av1Config, AvcConfig, ChannelMapping, HevcConfig, OpusHead, StreamInfo, VpxConfig,
};
use crate::flv::video::{ColorInfo, ContentLightLevel, MasteringDisplay, Vp6Adjustment};
use crate::wire::Malformed;

/// First bytes of FLAC's header in Ogg, which stand ahead of the stream's own in caps. Ogg FLAC mapping, section 2.
const OGG_FLAC: &[u8] = b"\x7fFLAC";
/// Bytes of the mapping's part of that header.
const OGG_FLAC_SIZE: usize = 9;

/// `ColourPrimaries` of BT.2020, and `TransferCharacteristics` of PQ and HLG: what makes a picture more than the
/// usual.
const WIDE_PRIMARIES: u8 = 9;
const HDR_TRANSFERS: [u8; 2] = [16, 18];

/// `colourPrimaries` and its kin where nothing is known.
const UNSPECIFIED: u8 = 2;

/// Levels of VP9 by their greatest picture in pixels and number of pixels a second. VP9 levels, webmproject.org.
const VP9_LEVELS: [(u8, u64, u64); 14] = [
    (10, 36_864, 829_440),
    (11, 73_728, 2_764_800),
    (20, 122_880, 4_608_000),
    (21, 245_760, 9_216_000),
    (30, 552_960, 20_736_000),
    (31, 983_040, 36_864_000),
    (40, 2_228_224, 83_558_400),
    (41, 2_228_224, 160_432_128),
    (50, 8_912_896, 311_951_360),
    (51, 8_912_896, 588_251_136),
    (52, 8_912_896, 1_176_502_272),
    (60, 35_651_584, 1_176_502_272),
    (61, 35_651_584, 2_353_004_544),
    (62, 35_651_584, 4_706_009_088),
];

/// See the module.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Description {
    Audio(Audio),
    Video(Video),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Audio {
    pub(super) format: AudioFormat,
    pub(super) rate: Option<u32>,
    pub(super) channels: Option<u8>,
    /// Bits of a sample.
    pub(super) sample_size: u8,
    /// How legacy tags say it, if they can.
    pub(super) legacy: Option<(SoundFormat, SoundFlags)>,
    /// What a sequence start holds; empty of codecs without.
    pub(super) header: Bytes,
    /// Buffers that are headers, which some encoders push ahead of the frames.
    pub(super) stream_headers: Vec<Bytes>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Video {
    pub(super) format: VideoFormat,
    /// Pixels.
    pub(super) width: Option<u32>,
    pub(super) height: Option<u32>,
    /// Absent if it is variable.
    pub(super) frame_rate: Option<gst::Fraction>,
    pub(super) pixel_aspect_ratio: Option<gst::Fraction>,
    pub(super) color: ColorInfo,
    pub(super) header: VideoHeader,
}

/// Where the sequence header of a video codec comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum VideoHeader {
    /// The codec has none.
    None,
    /// The caps had it.
    Record(Bytes),
    /// It has to be made of the first frame.
    InFrame,
    /// There is none, but each frame says this.
    Vp6(Vp6Adjustment),
}

impl Description {
    /// Reads fixed caps.
    pub(super) fn parse(caps: &gst::CapsRef) -> Result<Self, Error> {
        let unknown = || Error::UnknownCaps(caps.to_string());
        let structure = caps.structure(0).ok_or_else(unknown)?;
        let fields = Fields(structure);
        if let Some(format) = video_format(&fields) {
            return fields.video(format).map(Self::Video);
        }
        let format = audio_format(&fields).ok_or_else(unknown)?;
        fields.audio(format).map(Self::Audio)
    }

    pub(super) const fn format(&self) -> Format {
        match self {
            Self::Audio(audio) => Format::Audio(audio.format),
            Self::Video(video) => Format::Video(video.format),
        }
    }

    /// Whether what goes ahead of the frames is not what it was.
    pub(super) fn headers_differ(&self, new: &Self) -> bool {
        match (self, new) {
            (Self::Audio(old), Self::Audio(new)) => old.format != new.format || old.header != new.header,
            (Self::Video(old), Self::Video(new)) => {
                // What is in frames may be new whenever the caps are.
                let may_be_new = new.header == VideoHeader::InFrame && old != new;
                may_be_new
                    || old.format != new.format
                    || old.header != new.header
                    || old.declared_color() != new.declared_color()
            }
            (Self::Audio(_), Self::Video(_)) | (Self::Video(_), Self::Audio(_)) => true,
        }
    }

    /// Whether metadata has something else to say.
    pub(super) fn metadata_differs(&self, new: &Self) -> bool {
        match (self, new) {
            (Self::Audio(old), Self::Audio(new)) => {
                let said = |audio: &Audio| (audio.format, audio.rate, audio.channels, audio.sample_size);
                said(old) != said(new)
            }
            (Self::Video(old), Self::Video(new)) => {
                let said = |video: &Video| {
                    let size = (video.width, video.height);
                    (video.format, size, video.frame_rate, video.pixel_aspect_ratio)
                };
                said(old) != said(new)
            }
            (Self::Audio(_), Self::Video(_)) | (Self::Video(_), Self::Audio(_)) => true,
        }
    }

    /// Whether legacy tags can carry it.
    pub(super) const fn has_legacy(&self) -> bool {
        match self {
            Self::Audio(audio) => audio.legacy.is_some(),
            Self::Video(video) => video.format.legacy().is_some(),
        }
    }
}

impl Video {
    /// Colours that are such that players have to know before the first picture. Others find them in it, and some
    /// servers do not know the packet.
    pub(super) fn declared_color(&self) -> Option<ColorInfo> {
        let ColorInfo {
            config,
            light_level,
            mastering,
        } = self.color;
        let is_declared = config.primaries == Some(WIDE_PRIMARIES)
            || config
                .transfer
                .is_some_and(|transfer| HDR_TRANSFERS.contains(&transfer))
            || light_level != ContentLightLevel::default()
            || mastering != MasteringDisplay::default();
        is_declared.then_some(self.color)
    }
}

fn video_format(fields: &Fields<'_>) -> Option<VideoFormat> {
    Some(match fields.0.name().as_str() {
        "video/x-h264" => VideoFormat::Avc,
        "video/x-h265" => VideoFormat::Hevc,
        "video/x-h266" => VideoFormat::Vvc,
        "video/x-av1" => VideoFormat::Av1,
        "video/x-vp8" => VideoFormat::Vp8,
        "video/x-vp9" => VideoFormat::Vp9,
        "video/x-flash-video" => VideoFormat::SorensonH263,
        "video/x-flash-screen" => VideoFormat::ScreenVideo,
        "video/x-flash-screen2" => VideoFormat::ScreenVideo2,
        "video/x-vp6-flash" => VideoFormat::Vp6,
        "video/x-vp6-alpha" => VideoFormat::Vp6Alpha,
        _ => return None,
    })
}

fn audio_format(fields: &Fields<'_>) -> Option<AudioFormat> {
    Some(match fields.0.name().as_str() {
        "audio/mpeg" => match fields.int("mpegversion")? {
            2 | 4 => AudioFormat::Aac,
            1 if fields.int("layer") == Some(3) => AudioFormat::Mp3,
            _ => return None,
        },
        "audio/x-opus" => AudioFormat::Opus,
        "audio/x-flac" => AudioFormat::Flac,
        "audio/x-ac3" => AudioFormat::Ac3,
        "audio/x-eac3" => AudioFormat::Eac3,
        "audio/x-raw" => AudioFormat::Pcm,
        "audio/x-alaw" => AudioFormat::ALaw,
        "audio/x-mulaw" => AudioFormat::MuLaw,
        "audio/x-speex" => AudioFormat::Speex,
        "audio/x-nellymoser" => AudioFormat::Nellymoser,
        "audio/x-adpcm" if fields.text("layout") == Some("swf") => AudioFormat::Adpcm,
        _ => return None,
    })
}

/// Reads fields of caps.
struct Fields<'a>(&'a gst::StructureRef);

impl Fields<'_> {
    fn int(&self, field: &str) -> Option<i32> {
        self.0.get(field).ok()
    }

    fn text(&self, field: &str) -> Option<&str> {
        self.0.get(field).ok()
    }

    /// A number that is more than 0.
    fn count<N: TryFrom<i32>>(&self, field: &str) -> Option<N> {
        self.int(field)
            .filter(|count| *count > 0)
            .and_then(|count| count.try_into().ok())
    }

    fn fraction(&self, field: &str) -> Option<gst::Fraction> {
        self.0
            .get::<gst::Fraction>(field)
            .ok()
            .filter(|fraction| fraction.numer() > 0)
    }

    fn bytes(&self, field: &str) -> Option<Bytes> {
        bytes_of(self.0.get::<&gst::BufferRef>(field).ok()?)
    }

    fn stream_headers(&self) -> Vec<Bytes> {
        let Ok(headers) = self.0.get::<gst::ArrayRef<'_>>("streamheader") else {
            return Vec::new();
        };
        let headers = headers.as_slice().iter();
        headers
            .filter_map(|header| bytes_of(header.get::<&gst::BufferRef>().ok()?))
            .collect()
    }

    fn video(&self, format: VideoFormat) -> Result<Video, Error> {
        Ok(Video {
            format,
            width: self.count("width"),
            height: self.count("height"),
            frame_rate: self.fraction("framerate"),
            pixel_aspect_ratio: self.fraction("pixel-aspect-ratio"),
            color: caps::color_info(self.0),
            header: self.video_header(format)?,
        })
    }

    fn video_header(&self, format: VideoFormat) -> Result<VideoHeader, Error> {
        let malformed = |cause| Error::Malformed {
            format: Format::Video(format),
            cause,
        };
        let lack = |lack| Error::Caps {
            format: Format::Video(format),
            lack,
        };
        let record = self.bytes("codec_data");
        Ok(match format {
            VideoFormat::Avc | VideoFormat::Hevc | VideoFormat::Vvc => {
                let (stream_format, wanted) = match format {
                    VideoFormat::Avc => ("avc", "stream-format=avc, as h264parse makes it"),
                    VideoFormat::Hevc => ("hvc1", "stream-format=hvc1, as h265parse makes it"),
                    _ => ("vvc1", "stream-format=vvc1, as h266parse makes it"),
                };
                if self.text("stream-format") != Some(stream_format) {
                    return Err(lack(wanted));
                }
                if self.text("alignment").is_some_and(|alignment| alignment != "au") {
                    return Err(lack("alignment=au"));
                }
                let record = record.ok_or_else(|| lack("codec_data"))?;
                match format {
                    VideoFormat::Avc => AvcConfig::decode(&record).map(drop).map_err(malformed)?,
                    VideoFormat::Hevc => HevcConfig::decode(&record).map(drop).map_err(malformed)?,
                    // Nothing in a record of H.266 has a fixed place but for its first byte.
                    _ if record.is_empty() => return Err(malformed(Malformed::Truncated("vvcC"))),
                    _ => {}
                }
                VideoHeader::Record(record)
            }
            VideoFormat::Av1 => {
                if self
                    .text("stream-format")
                    .is_some_and(|form| form != "obu-stream")
                {
                    return Err(lack("stream-format=obu-stream, as av1parse makes it"));
                }
                if self.text("alignment").is_some_and(|alignment| alignment != "tu") {
                    return Err(lack("alignment=tu, as av1parse makes it"));
                }
                match record {
                    Some(record) => {
                        Av1Config::decode(&record).map_err(malformed)?;
                        VideoHeader::Record(record)
                    }
                    None => VideoHeader::InFrame,
                }
            }
            VideoFormat::Vp8 | VideoFormat::Vp9 => {
                if self.text("alignment") == Some("frame") {
                    return Err(lack("alignment=super-frame, as vp9parse makes it"));
                }
                let config = match record {
                    Some(record) => VpxConfig::decode(&record).map_err(malformed)?,
                    None => self.vpx_config(),
                };
                VideoHeader::Record(config.encode())
            }
            VideoFormat::Vp6 | VideoFormat::Vp6Alpha => VideoHeader::Vp6(self.vp6_adjustment(record)),
            VideoFormat::SorensonH263
            | VideoFormat::ScreenVideo
            | VideoFormat::ScreenVideo2
            | VideoFormat::H263
            | VideoFormat::Mpeg4 => VideoHeader::None,
        })
    }

    /// The record of VP8 or VP9 from what parsers found out; of encoders, that name no more than the profile, from
    /// what is most common in it.
    fn vpx_config(&self) -> VpxConfig {
        let profile = self
            .text("profile")
            .and_then(|profile| profile.parse().ok())
            .filter(|profile| *profile <= 3)
            .unwrap_or(0);
        let color = caps::color_info(self.0).config;
        let chroma_subsampling = match self.text("chroma-format") {
            Some("4:4:4") => 3,
            Some("4:2:2") => 2,
            Some(_) => 1,
            None if profile & 1 == 1 => 3,
            None => 1,
        };
        VpxConfig {
            profile,
            level: self.vp9_level(),
            bit_depth: color.bit_depth.unwrap_or(if profile >= 2 { 10 } else { 8 }),
            chroma_subsampling,
            is_full_range: self.text("colorimetry").is_some_and(caps::is_full_range),
            primaries: color.primaries.unwrap_or(UNSPECIFIED),
            transfer: color.transfer.unwrap_or(UNSPECIFIED),
            matrix: color.matrix.unwrap_or(UNSPECIFIED),
        }
    }

    /// The lowest level that does for the picture; 0 if that is not known.
    fn vp9_level(&self) -> u8 {
        let (Some(width), Some(height)) = (self.count::<u32>("width"), self.count::<u32>("height")) else {
            return 0;
        };
        let picture = u64::from(width) * u64::from(height);
        let rate = self.fraction("framerate").map_or(0, |rate| {
            let (frames, seconds) = (rate.numer().unsigned_abs(), rate.denom().unsigned_abs());
            picture.saturating_mul(frames.into()) / u64::from(seconds.max(1))
        });
        VP9_LEVELS
            .iter()
            .find(|(_, most_pixels, most_a_second)| picture <= *most_pixels && rate <= *most_a_second)
            .map_or(0, |(level, ..)| *level)
    }

    /// What a VP6 stream was said to be cropped by, or is by its size: VP6 codes whole blocks.
    fn vp6_adjustment(&self, codec_data: Option<Bytes>) -> Vp6Adjustment {
        if let Some(&[byte]) = codec_data.as_deref() {
            return Vp6Adjustment {
                right: byte >> 4,
                bottom: byte & 0x0f,
            };
        }
        let missing = |field| {
            let size: u32 = self.count(field).unwrap_or(0);
            let [.., missing] = (size.wrapping_neg() & 0x0f).to_be_bytes();
            missing
        };
        Vp6Adjustment {
            right: missing("width"),
            bottom: missing("height"),
        }
    }

    fn audio(&self, format: AudioFormat) -> Result<Audio, Error> {
        let lack = |lack| Error::Caps {
            format: Format::Audio(format),
            lack,
        };
        let malformed = |cause| Error::Malformed {
            format: Format::Audio(format),
            cause,
        };
        let mut audio = Audio {
            format,
            rate: self.count("rate"),
            channels: self.count("channels"),
            sample_size: 16,
            legacy: None,
            header: Bytes::new(),
            stream_headers: self.stream_headers(),
        };
        match format {
            AudioFormat::Aac => {
                if self.text("stream-format") != Some("raw") {
                    return Err(lack("stream-format=raw, as aacparse makes it"));
                }
                let record = self.bytes("codec_data").ok_or_else(|| lack("codec_data"))?;
                let config = AudioSpecificConfig::decode(&record).map_err(malformed)?;
                audio.rate = audio.rate.or(Some(config.sample_rate));
                audio.channels = audio.channels.or(config.channels);
                audio.legacy = Some((SoundFormat::Aac, SoundFlags::AAC));
                audio.header = record;
            }
            AudioFormat::Opus => {
                let head = audio
                    .stream_headers
                    .iter()
                    .find(|header| OpusHead::decode(header).is_ok());
                audio.header = match head {
                    Some(head) => head.clone(),
                    None => self.opus_head().ok_or_else(|| lack("channels"))?.encode(),
                };
            }
            AudioFormat::Flac => {
                if audio.stream_headers.is_empty() {
                    return Err(lack("streamheader, as flacparse makes it"));
                }
                let info = flac_stream_info(&audio.stream_headers).map_err(malformed)?;
                audio.rate = Some(info.sample_rate);
                audio.channels = Some(info.channels);
                audio.sample_size = info.bits_per_sample;
                audio.header = info.encode();
            }
            AudioFormat::Ac3 | AudioFormat::Eac3 => {
                if self
                    .text("alignment")
                    .is_some_and(|alignment| alignment != "frame")
                {
                    return Err(lack("alignment=frame, as ac3parse makes it"));
                }
            }
            AudioFormat::Mp3 => audio.legacy = self.mp3_flags(),
            AudioFormat::Pcm => {
                audio.sample_size = match self.text("format") {
                    Some("U8") => 8,
                    Some("S16LE") => 16,
                    _ => return Err(lack("format U8 or S16LE")),
                };
                if self.text("layout").is_some_and(|layout| layout != "interleaved") {
                    return Err(lack("layout=interleaved"));
                }
                let flags = self
                    .flags(audio.sample_size == 16)
                    .ok_or_else(|| lack(FLV_RATE))?;
                audio.legacy = Some((SoundFormat::PcmLittleEndian, flags));
            }
            AudioFormat::Adpcm => {
                let flags = self.flags(true).ok_or_else(|| lack(FLV_RATE))?;
                audio.legacy = Some((SoundFormat::Adpcm, flags));
            }
            AudioFormat::Nellymoser => {
                let own = match (audio.rate, audio.channels) {
                    (Some(16_000), Some(1)) => Some((SoundFormat::Nellymoser16k, self.flags_of(0))),
                    (Some(8_000), Some(1)) => Some((SoundFormat::Nellymoser8k, self.flags_of(0))),
                    _ => None,
                };
                let flags = || Some((SoundFormat::Nellymoser, self.flags(true)?));
                audio.legacy = Some(own.or_else(flags).ok_or_else(|| lack(FLV_RATE))?);
            }
            AudioFormat::ALaw | AudioFormat::MuLaw => {
                if audio.rate != Some(8_000) || !matches!(audio.channels, Some(1 | 2)) {
                    return Err(lack("rate=8000 and one or two channels"));
                }
                let id = match format {
                    AudioFormat::ALaw => SoundFormat::ALaw,
                    _ => SoundFormat::MuLaw,
                };
                audio.legacy = Some((id, self.flags_of(0)));
            }
            AudioFormat::Speex => {
                if (audio.rate, audio.channels) != (Some(16_000), Some(1)) {
                    return Err(lack("rate=16000 and one channel"));
                }
                audio.legacy = Some((SoundFormat::Speex, self.flags_of(0)));
            }
        }
        Ok(audio)
    }

    /// The flags of a rate that legacy tags have a number for.
    fn flags(&self, is_16_bit: bool) -> Option<SoundFlags> {
        let rate = self.count::<u32>("rate")?;
        let index = SoundFlags::RATES.iter().position(|known| *known == rate)?;
        if !matches!(self.int("channels"), Some(1 | 2)) {
            return None;
        }
        Some(SoundFlags {
            is_16_bit,
            ..self.flags_of(u8::try_from(index).ok()?)
        })
    }

    fn flags_of(&self, rate: u8) -> SoundFlags {
        SoundFlags {
            rate,
            is_16_bit: true,
            is_stereo: self.int("channels") == Some(2),
        }
    }

    fn mp3_flags(&self) -> Option<(SoundFormat, SoundFlags)> {
        if self.int("rate") == Some(8_000) {
            return Some((SoundFormat::Mp3At8k, self.flags_of(0)));
        }
        // MP3 has no rate of 5.5 kHz.
        let flags = self.flags(true).filter(|flags| flags.rate > 0)?;
        Some((SoundFormat::Mp3, flags))
    }

    /// The header of Opus that has none in its caps, from the fields that it makes there.
    fn opus_head(&self) -> Option<OpusHead> {
        let mapping_family = self
            .int("channel-mapping-family")
            .map_or(Some(0), |family| family.try_into().ok())?;
        let channels = self.count("channels")?;
        let mapping = if mapping_family == 0 {
            None
        } else {
            let channels = self.0.get::<gst::ArrayRef<'_>>("channel-mapping").ok()?;
            let channels: Option<Vec<u8>> = channels
                .as_slice()
                .iter()
                .map(|channel| channel.get::<i32>().ok()?.try_into().ok())
                .collect();
            Some(ChannelMapping {
                streams: self.count("stream-count")?,
                coupled: self.int("coupled-count")?.try_into().ok()?,
                channels: channels?.into(),
            })
        };
        let head = OpusHead {
            channels,
            pre_skip: 0,
            input_sample_rate: self.count("rate").unwrap_or(0),
            output_gain: 0,
            mapping_family,
            mapping,
        };
        // What caps say need not fit together.
        OpusHead::decode(&head.encode()).ok()
    }
}

const FLV_RATE: &str = "a rate of 5512, 11025, 22050 or 44100 Hz and one or two channels";

/// `STREAMINFO` among the stream headers of caps, which are those of Ogg or of a file.
fn flac_stream_info(headers: &[Bytes]) -> Result<StreamInfo, Malformed> {
    let first = headers.first().map_or(&b""[..], |header| header);
    if first.starts_with(OGG_FLAC) {
        return StreamInfo::decode(first.get(OGG_FLAC_SIZE..).unwrap_or_default());
    }
    // A file has its marker in a buffer of its own.
    StreamInfo::decode(&headers.concat())
}

/// A copy, since headers outlive the buffers that they come in.
fn bytes_of(buffer: &gst::BufferRef) -> Option<Bytes> {
    Some(Bytes::copy_from_slice(&buffer.map_readable().ok()?))
}
