//! The state of an audio track that is read, and its caps.

use bytes::Bytes;

use super::MAX_HEADER;
use super::decoder::Accepted;
use super::error::Error;
use super::format::{AudioFormat, Format};
use crate::elements::caps;
use crate::flv::FourCc;
use crate::flv::audio::{AudioCodec, ChannelConfig, SoundFlags, SoundFormat};
use crate::flv::config::{
    Ac3Frame, AudioSpecificConfig, MpegAudioFrame, MpegVersion, OpusHead, StreamInfo, speex,
};
use crate::wire::Malformed;

/// What decoders of Opus put out, in Hz.
const OPUS_RATE: u32 = 48_000;

/// The comment header of Opus with nothing in it: an empty vendor, and no comments. RFC 7845 section 5.2.
const OPUS_TAGS: &[u8] = b"OpusTags\0\0\0\0\0\0\0\0";

/// What a file of FLAC begins with.
const FLAC_MARKER: &[u8] = b"fLaC";

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Sound {
    /// The codec of the last sequence start or frame.
    format: Option<AudioFormat>,
    /// What the caps were made of.
    kind: Option<Kind>,
    /// Channels of a codec that did not say itself.
    channels: Option<u8>,
}

/// Sound of which the caps are known.
#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Pcm(SoundFlags),
    Adpcm {
        rate: u32,
        channels: u8,
    },
    Nellymoser {
        rate: u32,
        channels: u8,
    },
    ALaw {
        channels: u8,
    },
    MuLaw {
        channels: u8,
    },
    Speex,
    Mp3 {
        rate: u32,
        channels: u8,
        version: Option<MpegVersion>,
    },
    Ac3 {
        rate: u32,
        channels: u8,
    },
    Eac3 {
        rate: u32,
        channels: u8,
    },
    Aac {
        config: AudioSpecificConfig,
        record: Bytes,
    },
    Opus {
        head: OpusHead,
        header: Bytes,
    },
    /// Without a header.
    BareOpus {
        channels: u8,
    },
    Flac(StreamInfo),
}

impl Sound {
    /// Takes a sequence start. Caps of codecs whose header tells all.
    pub(super) fn start(
        &mut self,
        codec: Option<AudioCodec>,
        header: &Bytes,
    ) -> Result<Option<gst::Caps>, Error> {
        let format = known(codec)?;
        let malformed = |cause| Error::Malformed {
            format: Format::Audio(format),
            cause,
        };
        if header.len() > MAX_HEADER {
            return Err(malformed(Malformed::Excessive("sequence header")));
        }
        // A copy, since a slice would keep the whole receive buffer for as long as the track lasts.
        let copy = || Bytes::copy_from_slice(header);
        let kind = match format {
            AudioFormat::Aac => Kind::Aac {
                config: AudioSpecificConfig::decode(header).map_err(malformed)?,
                record: copy(),
            },
            AudioFormat::Opus if !header.is_empty() => {
                self.set_format(format);
                let header = copy();
                Kind::Opus {
                    head: OpusHead::decode(&header).map_err(malformed)?,
                    header,
                }
            }
            AudioFormat::Flac => Kind::Flac(StreamInfo::decode(header).map_err(malformed)?),
            AudioFormat::Opus
            | AudioFormat::Pcm
            | AudioFormat::Adpcm
            | AudioFormat::Mp3
            | AudioFormat::Nellymoser
            | AudioFormat::ALaw
            | AudioFormat::MuLaw
            | AudioFormat::Speex
            | AudioFormat::Ac3
            | AudioFormat::Eac3 => {
                self.set_format(format);
                return Ok(None);
            }
        };
        self.set_format(format);
        let caps = kind.caps();
        self.kind = Some(kind);
        Ok(Some(caps))
    }

    /// Takes the order of channels, of which only the number is of use: codecs with more than two have their own.
    pub(super) fn set_channel_config(&mut self, codec: Option<AudioCodec>, config: &ChannelConfig) {
        if codec == Some(AudioCodec::Enhanced(FourCc::OPUS)) {
            self.channels = u8::try_from(config.count()).ok().filter(|count| *count <= 2);
        }
    }

    /// Takes a frame.
    pub(super) fn frame(
        &mut self,
        codec: Option<AudioCodec>,
        flags: SoundFlags,
        data: &[u8],
    ) -> Result<Accepted, Error> {
        let format = known(codec)?;
        if self.format != Some(format) {
            if matches!(format, AudioFormat::Aac | AudioFormat::Flac) {
                return Err(Error::NoHeader(Format::Audio(format)));
            }
            self.set_format(format);
        }
        let kind = self.kind_of(format, codec, flags, data)?;
        match kind {
            Some(kind) if self.kind.as_ref() != Some(&kind) => {
                let caps = kind.caps();
                self.kind = Some(kind);
                Ok(Accepted::Caps(caps))
            }
            Some(_) => Ok(Accepted::AsBefore),
            None if self.kind.is_some() => Ok(Accepted::AsBefore),
            None => Err(Error::NoHeader(Format::Audio(format))),
        }
    }

    fn set_format(&mut self, format: AudioFormat) {
        if self.format != Some(format) {
            self.format = Some(format);
            self.kind = None;
        }
    }

    /// What a frame says of itself, or its tag; `None` if nothing.
    fn kind_of(
        &self,
        format: AudioFormat,
        codec: Option<AudioCodec>,
        flags: SoundFlags,
        data: &[u8],
    ) -> Result<Option<Kind>, Error> {
        let malformed = |cause| Error::Malformed {
            format: Format::Audio(format),
            cause,
        };
        let (rate, channels) = (flags.sample_rate(), flags.channels());
        Ok(Some(match format {
            AudioFormat::Aac | AudioFormat::Flac => return Ok(None),
            AudioFormat::Pcm => Kind::Pcm(flags),
            AudioFormat::Adpcm => Kind::Adpcm { rate, channels },
            AudioFormat::Nellymoser => match codec {
                Some(AudioCodec::Legacy(SoundFormat::Nellymoser16k)) => Kind::Nellymoser {
                    rate: 16_000,
                    channels: 1,
                },
                Some(AudioCodec::Legacy(SoundFormat::Nellymoser8k)) => Kind::Nellymoser {
                    rate: 8_000,
                    channels: 1,
                },
                _ => Kind::Nellymoser { rate, channels },
            },
            AudioFormat::ALaw => Kind::ALaw { channels },
            AudioFormat::MuLaw => Kind::MuLaw { channels },
            AudioFormat::Speex => Kind::Speex,
            AudioFormat::Opus => {
                if self.kind.is_some() {
                    return Ok(None);
                }
                let channels = self
                    .channels
                    .or_else(|| OpusHead::of_packet(data).map(|head| head.channels));
                Kind::BareOpus {
                    channels: channels.unwrap_or(2),
                }
            }
            AudioFormat::Mp3 => match MpegAudioFrame::decode(data) {
                Ok(frame) => Kind::Mp3 {
                    rate: frame.sample_rate,
                    channels: frame.channels,
                    version: Some(frame.version),
                },
                // Decoders find their way back; until then the tag has to do.
                Err(_) if self.kind.is_some() => return Ok(None),
                Err(cause) => match codec {
                    Some(AudioCodec::Legacy(id)) => Kind::Mp3 {
                        rate: if id == SoundFormat::Mp3At8k { 8_000 } else { rate },
                        channels,
                        version: None,
                    },
                    _ => return Err(malformed(cause)),
                },
            },
            AudioFormat::Ac3 | AudioFormat::Eac3 => match Ac3Frame::decode(data) {
                Ok(frame) => {
                    let (rate, channels) = (frame.sample_rate, frame.channels);
                    if format == AudioFormat::Ac3 {
                        Kind::Ac3 { rate, channels }
                    } else {
                        Kind::Eac3 { rate, channels }
                    }
                }
                Err(_) if self.kind.is_some() => return Ok(None),
                Err(cause) => return Err(malformed(cause)),
            },
        }))
    }
}

impl Kind {
    fn caps(&self) -> gst::Caps {
        let sound = |name: &str, rate: u32, channels: u8| {
            gst::Structure::builder(name)
                .field("rate", rate.cast_signed())
                .field("channels", i32::from(channels))
        };
        let caps = match self {
            Self::Pcm(flags) => sound("audio/x-raw", flags.sample_rate(), flags.channels())
                .field("format", if flags.is_16_bit { "S16LE" } else { "U8" })
                .field("layout", "interleaved")
                .build(),
            Self::Adpcm { rate, channels } => sound("audio/x-adpcm", *rate, *channels)
                .field("layout", "swf")
                .build(),
            Self::Nellymoser { rate, channels } => sound("audio/x-nellymoser", *rate, *channels).build(),
            Self::ALaw { channels } => sound("audio/x-alaw", 8_000, *channels).build(),
            Self::MuLaw { channels } => sound("audio/x-mulaw", 8_000, *channels).build(),
            Self::Speex => sound("audio/x-speex", speex::SAMPLE_RATE, 1)
                .field("streamheader", headers([speex::header(), speex::comment()]))
                .build(),
            Self::Mp3 {
                rate,
                channels,
                version,
            } => {
                let mut caps = sound("audio/mpeg", *rate, *channels)
                    .field("mpegversion", 1)
                    .field("layer", 3)
                    .field("parsed", true)
                    .build();
                // In GStreamer 2.5 is 3.
                if let Some(version) = version {
                    let version = match version {
                        MpegVersion::V1 => 1,
                        MpegVersion::V2 => 2,
                        MpegVersion::V2_5 => 3,
                    };
                    caps.set("mpegaudioversion", version);
                }
                caps
            }
            Self::Ac3 { rate, channels } => framed(sound("audio/x-ac3", *rate, *channels)),
            Self::Eac3 { rate, channels } => framed(sound("audio/x-eac3", *rate, *channels)),
            Self::Aac { config, record } => {
                let mut caps = gst::Structure::builder("audio/mpeg")
                    .field("mpegversion", 4)
                    .field("framed", true)
                    .field("stream-format", "raw")
                    .field("rate", config.sample_rate.cast_signed())
                    .field("codec_data", gst::Buffer::from_slice(record.clone()))
                    .build();
                if let Some(channels) = config.channels {
                    caps.set("channels", i32::from(channels));
                }
                caps::set_aac_profile(&mut caps, config);
                caps
            }
            Self::Opus { head, header } => {
                let streams = headers([header.clone(), Bytes::from_static(OPUS_TAGS)]);
                let mut caps = opus(head);
                caps.set("streamheader", streams);
                caps
            }
            Self::BareOpus { channels } => opus(&OpusHead {
                channels: *channels,
                pre_skip: 0,
                input_sample_rate: 0,
                output_gain: 0,
                mapping_family: 0,
                mapping: None,
            }),
            Self::Flac(info) => sound("audio/x-flac", info.sample_rate, info.channels)
                .field("framed", true)
                .field(
                    "streamheader",
                    headers([Bytes::from_static(FLAC_MARKER), info.encode_block()]),
                )
                .build(),
        };
        gst::Caps::from(caps)
    }
}

fn framed(caps: gst::structure::Builder) -> gst::Structure {
    caps.field("framed", true).field("alignment", "frame").build()
}

fn opus(head: &OpusHead) -> gst::Structure {
    let mut caps = gst::Structure::builder("audio/x-opus")
        .field("rate", OPUS_RATE.cast_signed())
        .field("channels", i32::from(head.channels))
        .field("channel-mapping-family", i32::from(head.mapping_family))
        .build();
    match &head.mapping {
        None => {
            caps.set("stream-count", 1);
            caps.set("coupled-count", i32::from(head.channels == 2));
        }
        Some(mapping) => {
            caps.set("stream-count", i32::from(mapping.streams));
            caps.set("coupled-count", i32::from(mapping.coupled));
            let channels = mapping.channels.iter().map(|channel| i32::from(*channel));
            caps.set("channel-mapping", gst::Array::new(channels));
        }
    }
    caps
}

fn headers<const N: usize>(headers: [Bytes; N]) -> gst::Array {
    gst::Array::new(headers.map(|header| {
        let mut buffer = gst::Buffer::from_slice(header);
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_flags(gst::BufferFlags::HEADER);
        }
        buffer
    }))
}

fn known(codec: Option<AudioCodec>) -> Result<AudioFormat, Error> {
    let codec = codec.ok_or_else(|| Error::UnknownCodec("audio without a codec".to_owned()))?;
    AudioFormat::of(codec).ok_or_else(|| {
        Error::UnknownCodec(match codec {
            AudioCodec::Legacy(id) => format!("audio format {}", id.id()),
            AudioCodec::Enhanced(code) => format!("audio codec {code}"),
        })
    })
}
