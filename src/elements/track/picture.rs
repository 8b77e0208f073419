//! The state of a video track that is read, and its caps.

use bytes::Bytes;

use super::MAX_HEADER;
use super::error::Error;
use super::format::{Format, VideoFormat};
use super::metadata::TrackMetadata;
use super::nal;
use crate::elements::caps;
use crate::flv::config::{Av1Config, AvcConfig, HevcConfig, VpxConfig};
use crate::flv::video::{ColorConfig, ColorInfo, VideoCodec, Vp6Adjustment};
use crate::wire::Malformed;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Picture {
    pub(super) format: Option<VideoFormat>,
    /// What the sequence start brought.
    record: Option<Record>,
    /// Colours, and the codec that they are of.
    color: Option<(VideoFormat, ColorInfo)>,
    adjustment: Vp6Adjustment,
    pub(super) metadata: TrackMetadata,
    /// The caps are no longer those of the frames.
    pub(super) is_stale: bool,
}

/// A configuration record as it came, and what was read of it.
#[derive(Debug)]
struct Record {
    bytes: Bytes,
    config: Config,
}

#[derive(Debug)]
enum Config {
    Avc(AvcConfig),
    Hevc(HevcConfig),
    /// H.266, of whose record only the size of lengths is read.
    Vvc {
        nal_length_size: u8,
    },
    Av1(Av1Config),
    Vpx(VpxConfig),
    /// Passed on unread.
    Opaque,
}

impl Config {
    fn decode(format: VideoFormat, record: &Bytes) -> Result<Self, Malformed> {
        Ok(match format {
            VideoFormat::Avc => Self::Avc(AvcConfig::decode(record)?),
            VideoFormat::Hevc => Self::Hevc(HevcConfig::decode(record)?),
            VideoFormat::Vvc => Self::Vvc {
                nal_length_size: vvc_nal_length_size(record)?,
            },
            VideoFormat::Av1 => Self::Av1(Av1Config::decode(record)?),
            VideoFormat::Vp8 | VideoFormat::Vp9 => Self::Vpx(VpxConfig::decode(record)?),
            VideoFormat::SorensonH263
            | VideoFormat::ScreenVideo
            | VideoFormat::ScreenVideo2
            | VideoFormat::Vp6
            | VideoFormat::Vp6Alpha
            | VideoFormat::H263
            | VideoFormat::Mpeg4 => Self::Opaque,
        })
    }
}

/// `LengthSizeMinusOne` of a `VvcDecoderConfigurationRecord`, ISO 14496-15 section 11.2.4.2.
fn vvc_nal_length_size(record: &[u8]) -> Result<u8, Malformed> {
    let first = record.first().ok_or(Malformed::Truncated("vvcC"))?;
    match first >> 1 & 3 {
        2 => Err(Malformed::Invalid {
            field: "LengthSizeMinusOne",
            value: 2,
        }),
        minus_one => Ok(minus_one + 1),
    }
}

impl Picture {
    /// Takes a sequence start. A record that cannot be read is no reason to stop if frames can do without.
    pub(super) fn start(&mut self, codec: Option<VideoCodec>, record: &Bytes) -> Result<(), Error> {
        let format = known(codec)?;
        let is_same = |old: &Record| old.bytes == *record;
        if self.format == Some(format) && self.record.as_ref().is_some_and(is_same) {
            return Ok(());
        }
        if record.is_empty() && !needs_record(format) {
            self.set_format(format);
            return Ok(());
        }
        if record.len() > MAX_HEADER {
            return Err(Error::Malformed {
                format: Format::Video(format),
                cause: Malformed::Excessive("sequence header"),
            });
        }
        match Config::decode(format, record) {
            Ok(config) => {
                self.set_format(format);
                // A copy, since a slice would keep the whole receive buffer for as long as the track lasts.
                let bytes = Bytes::copy_from_slice(record);
                self.record = Some(Record { bytes, config });
                Ok(())
            }
            Err(cause) => {
                if !needs_record(format) {
                    self.set_format(format);
                }
                Err(Error::Malformed {
                    format: Format::Video(format),
                    cause,
                })
            }
        }
    }

    /// Takes a sequence start that has something else than a record, with which nothing can be done.
    pub(super) fn start_without_record(&mut self, codec: Option<VideoCodec>) -> Result<(), Error> {
        let format = known(codec)?;
        if needs_record(format) {
            return Err(Error::NoHeader(Format::Video(format)));
        }
        self.set_format(format);
        Ok(())
    }

    fn set_format(&mut self, format: VideoFormat) {
        if self.format != Some(format) {
            self.format = Some(format);
            self.record = None;
            self.is_stale = true;
        }
    }

    /// Takes a frame, which becomes what GStreamer wants it to be.
    pub(super) fn frame(
        &mut self,
        codec: Option<VideoCodec>,
        is_key: bool,
        data: Bytes,
    ) -> Result<Bytes, Error> {
        let format = known(codec)?;
        let is_new = self.format != Some(format);
        let has_record = !is_new && self.record.is_some();
        if (needs_record(format) && !has_record) || (is_new && !is_key && starts_at_key_frames(format)) {
            return Err(Error::NoHeader(Format::Video(format)));
        }
        self.set_format(format);
        let size = match self.record.as_ref().map(|record| &record.config) {
            Some(Config::Avc(config)) => config.nal_length_size,
            Some(Config::Hevc(config)) => config.nal_length_size,
            Some(Config::Vvc { nal_length_size }) => *nal_length_size,
            Some(Config::Av1(_) | Config::Vpx(_) | Config::Opaque) | None => return Ok(data),
        };
        nal::with_lengths(data, size).map_err(|cause| Error::Malformed {
            format: Format::Video(format),
            cause,
        })
    }

    /// Takes how colours are meant; FFmpeg 8 sends that of any track as of track 0, so that the codec has to be
    /// looked at.
    pub(super) fn set_color(&mut self, codec: Option<VideoCodec>, color: ColorInfo) {
        let Ok(format) = known(codec) else { return };
        if self.format.is_none_or(|own| own == format) {
            self.color = Some((format, color));
        }
    }

    pub(super) fn set_adjustment(&mut self, adjustment: Vp6Adjustment) {
        self.is_stale |= self.adjustment != adjustment;
        self.adjustment = adjustment;
    }

    /// The caps of the frames, as far as they are known.
    pub(super) fn caps(&self) -> gst::Caps {
        let Some(format) = self.format else {
            return gst::Caps::new_empty();
        };
        let mut caps = base(format);
        let metadata = &self.metadata;
        if let (Some(width), Some(height)) = (metadata.width, metadata.height) {
            caps.set("width", width.cast_signed());
            caps.set("height", height.cast_signed());
        }
        if let Some(frame_rate) = metadata.frame_rate {
            caps.set("framerate", frame_rate);
        }
        if let Some(ratio) = metadata.pixel_aspect_ratio {
            caps.set("pixel-aspect-ratio", ratio);
        }
        let mut color = match self.color {
            Some((of, color)) if of == format => color,
            Some(_) | None => ColorInfo::default(),
        };
        let mut is_full_range = false;
        if let Some(Record { bytes, config }) = &self.record {
            if !matches!(config, Config::Vpx(_)) {
                caps.set("codec_data", gst::Buffer::from_slice(bytes.clone()));
            }
            match config {
                Config::Avc(config) => caps::set_avc_profile(&mut caps, config),
                Config::Hevc(config) => caps::set_hevc_profile(&mut caps, config),
                Config::Av1(config) => {
                    let profile = match config.profile {
                        0 => Some("main"),
                        1 => Some("high"),
                        2 => Some("professional"),
                        _ => None,
                    };
                    if let Some(profile) = profile {
                        caps.set("profile", profile);
                    }
                    let depth = config.bit_depth;
                    caps::set_samples(&mut caps, Some(config.chroma_format), depth, depth);
                }
                Config::Vpx(config) => {
                    caps.set("profile", config.profile.to_string());
                    let depth = config.bit_depth;
                    caps::set_samples(&mut caps, config.chroma_format(), depth, depth);
                    is_full_range = config.is_full_range;
                    if color.config == ColorConfig::default() {
                        color.config = ColorConfig {
                            bit_depth: None,
                            primaries: Some(config.primaries),
                            transfer: Some(config.transfer),
                            matrix: Some(config.matrix),
                        };
                    }
                }
                Config::Vvc { .. } | Config::Opaque => {}
            }
        }
        if self.adjustment != Vp6Adjustment::default() {
            let byte = self.adjustment.right << 4 | self.adjustment.bottom & 0x0f;
            caps.set("codec_data", gst::Buffer::from_slice([byte]));
        }
        caps::set_color(&mut caps, &color, is_full_range);
        gst::Caps::from(caps)
    }
}

fn known(codec: Option<VideoCodec>) -> Result<VideoFormat, Error> {
    let codec = codec.ok_or_else(|| Error::UnknownCodec("video without a codec".to_owned()))?;
    VideoFormat::of(codec).ok_or_else(|| {
        Error::UnknownCodec(match codec {
            VideoCodec::Legacy(id) => format!("video codec {}", id.id()),
            VideoCodec::Enhanced(code) => format!("video codec {code}"),
        })
    })
}

/// Whether frames are of no use without a record.
const fn needs_record(format: VideoFormat) -> bool {
    matches!(format, VideoFormat::Avc | VideoFormat::Hevc | VideoFormat::Vvc)
}

/// Whether a codec whose record is missing can be decoded from its key frames on.
const fn starts_at_key_frames(format: VideoFormat) -> bool {
    matches!(format, VideoFormat::Vp8 | VideoFormat::Vp9 | VideoFormat::Av1)
}

fn base(format: VideoFormat) -> gst::Structure {
    let plain = gst::Structure::new_empty;
    let form = |name: &str, stream_format: &str, alignment: &str| {
        gst::Structure::builder(name)
            .field("stream-format", stream_format)
            .field("alignment", alignment)
            .build()
    };
    match format {
        VideoFormat::Avc => form("video/x-h264", "avc", "au"),
        VideoFormat::Hevc => form("video/x-h265", "hvc1", "au"),
        VideoFormat::Vvc => form("video/x-h266", "vvc1", "au"),
        VideoFormat::Av1 => form("video/x-av1", "obu-stream", "tu"),
        VideoFormat::Vp8 => plain("video/x-vp8"),
        VideoFormat::Vp9 => plain("video/x-vp9"),
        VideoFormat::SorensonH263 => gst::Structure::builder("video/x-flash-video")
            .field("flvversion", 1)
            .build(),
        VideoFormat::ScreenVideo => plain("video/x-flash-screen"),
        VideoFormat::ScreenVideo2 => plain("video/x-flash-screen2"),
        VideoFormat::Vp6 => plain("video/x-vp6-flash"),
        VideoFormat::Vp6Alpha => plain("video/x-vp6-alpha"),
        VideoFormat::H263 => gst::Structure::builder("video/x-h263")
            .field("variant", "itu")
            .build(),
        VideoFormat::Mpeg4 => gst::Structure::builder("video/mpeg")
            .field("mpegversion", 4)
            .field("systemstream", false)
            .build(),
    }
}
