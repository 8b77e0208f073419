//! Caps and buffers of one elementary stream -> tag bodies.

use bytes::Bytes;

use super::description::{Audio, Description, Video, VideoHeader};
use super::error::Error;
use super::format::{AudioFormat, Format, TrackKind, VideoFormat};
use super::metadata::KILOBIT;
use crate::elements::enums::EnhancedRtmp;
use crate::flv::audio::{AudioCodec, AudioPayload, SoundFlags};
use crate::flv::config::{Av1Config, obu};
use crate::flv::metadata::{self, AudioInfo, VideoInfo};
use crate::flv::video::{FrameType, VideoCodec, VideoPayload};
use crate::flv::{AudioPacket, FourCc, Unwritable, VideoPacket};

/// Nanoseconds of the unit of timestamps.
const MILLISECOND: u64 = 1_000_000;

/// Part of a bit rate by which another has to differ to be told anew.
const BIT_RATE_TOLERANCE: u32 = 4;

/// The body of a tag: what was made for it, and the bytes of the buffer behind that.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct TagBody {
    pub(crate) kind: TrackKind,
    pub(crate) head: Bytes,
    pub(crate) body: Bytes,
}

/// One frame as a tag.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Frame {
    /// Milliseconds for the tag.
    pub(crate) timestamp: u64,
    /// Whether decoding can start here; true of all audio.
    pub(crate) is_key: bool,
    pub(crate) tag: TagBody,
}

/// What new caps or tags make it necessary to send again.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Changes {
    /// [`TrackEncoder::headers`], ahead of the next frame.
    pub(crate) headers: bool,
    /// What [`on_meta_data`](super::on_meta_data) makes.
    pub(crate) metadata: bool,
}

/// Makes the tags of one track.
#[derive(Clone, Debug)]
pub(crate) struct TrackEncoder {
    description: Description,
    track: u8,
    policy: EnhancedRtmp,
    is_enhanced: bool,
    has_nanoseconds: bool,
    /// Bits a second, of tags.
    bit_rate: Option<u32>,
    /// It is what an encoder aims at, and not what somebody has measured.
    has_nominal_rate: bool,
    /// Colours were declared in a tag, so that it takes another to take them back.
    has_declared_color: bool,
}

impl TrackEncoder {
    /// For a stream of `caps`, which have to be fixed, as track `track`, 0 being the one that everybody reads.
    ///
    /// # Errors
    ///
    /// The caps are of no codec that tags carry, or lack something, or `policy` forbids the only form of tag that
    /// carries it.
    pub(crate) fn new(caps: &gst::CapsRef, track: u8, policy: EnhancedRtmp) -> Result<Self, Error> {
        let description = Description::parse(caps)?;
        Ok(Self {
            is_enhanced: choose_form(&description, track, policy)?,
            description,
            track,
            policy,
            has_nanoseconds: false,
            bit_rate: None,
            has_nominal_rate: false,
            has_declared_color: false,
        })
    }

    /// Writes times to the nanosecond (`TimestampOffsetNano`) from now on, into enhanced tags only. Readers that
    /// did not ask for it may stumble over it.
    pub(crate) const fn set_nanoseconds(&mut self, wanted: bool) {
        self.has_nanoseconds = wanted;
    }

    /// Takes new caps of the same pad. On an error the old ones stay.
    pub(crate) fn set_caps(&mut self, caps: &gst::CapsRef) -> Result<Changes, Error> {
        let description = Description::parse(caps)?;
        let is_enhanced = choose_form(&description, self.track, self.policy)?;
        let is_new_form = self.is_enhanced != is_enhanced;
        let changes = Changes {
            headers: is_new_form || self.description.headers_differ(&description),
            metadata: is_new_form || self.description.metadata_differs(&description),
        };
        self.description = description;
        self.is_enhanced = is_enhanced;
        Ok(changes)
    }

    /// Takes tags of the stream; the bit rate is for the metadata. Parsers measure it for as long as the stream goes
    /// on, so that only what is far from the last one is worth telling.
    pub(crate) fn set_tags(&mut self, tags: &gst::TagListRef) -> Changes {
        let nominal = tags.get::<gst::tags::NominalBitrate>().map(|rate| rate.get());
        let measured = tags.get::<gst::tags::Bitrate>().map(|rate| rate.get());
        let known = self.bit_rate;
        let is_far = |rate: u32| known.is_none_or(|known| rate.abs_diff(known) > known / BIT_RATE_TOLERANCE);
        let new = match nominal {
            Some(_) => nominal.filter(|_| nominal != known),
            None => measured.filter(|rate| !self.has_nominal_rate && is_far(*rate)),
        };
        self.has_nominal_rate |= nominal.is_some();
        self.bit_rate = new.or(known);
        Changes {
            headers: false,
            metadata: new.is_some(),
        }
    }

    pub(crate) const fn format(&self) -> Format {
        self.description.format()
    }

    #[cfg(test)]
    pub(super) const fn track(&self) -> u8 {
        self.track
    }

    /// Whether the tags are of Enhanced RTMP.
    #[cfg(test)]
    pub(super) const fn is_enhanced(&self) -> bool {
        self.is_enhanced
    }

    /// Says in metadata what is known of the track.
    pub(super) fn describe(&self, metadata: metadata::Builder) -> metadata::Builder {
        let data_rate = self.bit_rate.map(|rate| f64::from(rate) / KILOBIT);
        match &self.description {
            Description::Audio(audio) => metadata.audio(
                self.track,
                &AudioInfo {
                    codec: self.audio_codec(audio).map(|(codec, _)| codec),
                    sample_rate: audio.rate,
                    sample_size: Some(audio.sample_size),
                    channels: audio.channels,
                    data_rate,
                    delay: None,
                },
            ),
            Description::Video(video) => metadata.video(
                self.track,
                &VideoInfo {
                    codec: self.video_codec(video),
                    width: video.width,
                    height: video.height,
                    frame_rate: video
                        .frame_rate
                        .map(|rate| f64::from(rate.numer()) / f64::from(rate.denom())),
                    data_rate,
                    pixel_aspect_ratio: video.pixel_aspect_ratio.and_then(pixel_shape),
                },
            ),
        }
    }

    /// The tags that go ahead of `first`, which is the next frame: how colours are meant, and the sequence header.
    /// Some codecs have their header in the frame. Their timestamp is that of the frame.
    ///
    /// There is never one for the order of channels: those codecs of Enhanced RTMP that have more than two say it
    /// themselves.
    ///
    /// # Errors
    ///
    /// The frame should hold the header and does not: drop it, and try with the next one.
    pub(crate) fn headers(&mut self, first: &gst::BufferRef) -> Result<Vec<TagBody>, Error> {
        let mut tags = Vec::new();
        match &self.description {
            Description::Audio(audio) => {
                if audio.format == AudioFormat::Aac || self.is_enhanced {
                    let payload = AudioPayload::SequenceStart(audio.header.clone());
                    tags.push(self.audio_tag(audio, payload, 0)?);
                }
            }
            Description::Video(video) => {
                let color = video.declared_color().filter(|_| self.is_enhanced);
                let has_declared = std::mem::replace(&mut self.has_declared_color, color.is_some());
                if color.is_some() || has_declared {
                    // None takes back what was declared.
                    let payload = VideoPayload::Metadata(color.unwrap_or_default());
                    tags.push(self.video_tag(video, FrameType::Command, payload, 0)?);
                }
                if let Some(header) = sequence_header(video, first)? {
                    let payload = VideoPayload::SequenceStart(header);
                    tags.push(self.video_tag(video, FrameType::Key, payload, 0)?);
                }
            }
        }
        Ok(tags)
    }

    /// A buffer as a tag, around the buffer's own memory. `None` of a buffer that is no frame, such as the stream
    /// headers that some encoders push ahead. `dts` and `pts` are times of the stream, not of the buffer; of audio
    /// and of codecs that do not reorder pictures, only `pts` counts.
    ///
    /// Milliseconds are the nearest, so that a reader's PTS is the rounded one whatever the DTS was; with nanoseconds
    /// they are whole ones and the rest is in the tag.
    ///
    /// # Errors
    ///
    /// This frame has to be left out.
    pub(crate) fn frame(
        &self,
        buffer: gst::Buffer,
        dts: gst::ClockTime,
        pts: gst::ClockTime,
    ) -> Result<Option<Frame>, Error> {
        let flags = buffer.flags();
        let mapped = buffer
            .into_mapped_buffer_readable()
            .map_err(|_| Error::Unreadable)?;
        let data = Bytes::from_owner(mapped);
        if data.is_empty() {
            return Ok(None);
        }
        let (pts, nano_offset) = self.split(pts);
        match &self.description {
            Description::Audio(audio) => {
                if !is_frame(audio, &data) {
                    return Ok(None);
                }
                Ok(Some(Frame {
                    timestamp: pts,
                    is_key: true,
                    tag: self.audio_tag(audio, AudioPayload::Frames(data), nano_offset)?,
                }))
            }
            Description::Video(video) => {
                let is_key = !flags.contains(gst::BufferFlags::DELTA_UNIT);
                let is_droppable = flags.contains(gst::BufferFlags::DROPPABLE);
                let frame = match (is_key, is_droppable) {
                    (true, _) => FrameType::Key,
                    (false, true) if video.format == VideoFormat::SorensonH263 => FrameType::DisposableInter,
                    (false, _) => FrameType::Inter,
                };
                let (timestamp, composition_time) = if video.format.has_composition_time() {
                    let (dts, _) = self.split(dts);
                    (dts, composition_time(pts, dts)?)
                } else {
                    (pts, 0)
                };
                let data = match video.format {
                    VideoFormat::Av1 => obu::strip_temporal_delimiters(&data),
                    _ => data,
                };
                let payload = match video.header {
                    VideoHeader::Vp6(adjustment) => VideoPayload::Vp6Frame { adjustment, data },
                    VideoHeader::None | VideoHeader::Record(_) | VideoHeader::InFrame => {
                        VideoPayload::Frame {
                            composition_time,
                            data,
                        }
                    }
                };
                Ok(Some(Frame {
                    timestamp,
                    is_key,
                    tag: self.video_tag(video, frame, payload, nano_offset)?,
                }))
            }
        }
    }

    /// The tag that ends the track, of codecs that have one.
    pub(crate) fn end(&self) -> Option<TagBody> {
        match &self.description {
            Description::Audio(audio) => self.audio_tag(audio, AudioPayload::SequenceEnd, 0),
            Description::Video(video) => self.video_tag(video, FrameType::Key, VideoPayload::SequenceEnd, 0),
        }
        .ok()
    }

    /// Milliseconds of a time, and the nanoseconds that are left of it.
    const fn split(&self, time: gst::ClockTime) -> (u64, u32) {
        let nanos = time.nseconds();
        if self.has_nanoseconds && self.is_enhanced {
            return (nanos / MILLISECOND, (nanos % MILLISECOND) as u32);
        }
        (nanos.saturating_add(MILLISECOND / 2) / MILLISECOND, 0)
    }

    fn audio_codec(&self, audio: &Audio) -> Option<(AudioCodec, SoundFlags)> {
        if self.is_enhanced {
            return Some((
                AudioCodec::Enhanced(audio.format.four_cc()?),
                SoundFlags::default(),
            ));
        }
        let (format, flags) = audio.legacy?;
        Some((AudioCodec::Legacy(format), flags))
    }

    fn video_codec(&self, video: &Video) -> Option<VideoCodec> {
        if self.is_enhanced {
            return video.format.four_cc().map(VideoCodec::Enhanced);
        }
        video.format.legacy().map(VideoCodec::Legacy)
    }

    fn audio_tag(&self, audio: &Audio, payload: AudioPayload, nano_offset: u32) -> Result<TagBody, Error> {
        let (codec, flags) = self
            .audio_codec(audio)
            .ok_or(Error::Unwritable(Unwritable::Payload))?;
        let packet = AudioPacket {
            track: self.track,
            codec: Some(codec),
            flags,
            nano_offset,
            payload,
        };
        let (head, body) = packet.encode().map_err(Error::Unwritable)?;
        Ok(TagBody {
            kind: TrackKind::Audio,
            head,
            body,
        })
    }

    fn video_tag(
        &self,
        video: &Video,
        frame: FrameType,
        payload: VideoPayload,
        nano_offset: u32,
    ) -> Result<TagBody, Error> {
        let packet = VideoPacket {
            track: self.track,
            codec: self.video_codec(video),
            frame,
            nano_offset,
            payload,
        };
        let (head, body) = packet.encode().map_err(Error::Unwritable)?;
        Ok(TagBody {
            kind: TrackKind::Video,
            head,
            body,
        })
    }
}

/// Whether tags are to be enhanced.
fn choose_form(description: &Description, track: u8, policy: EnhancedRtmp) -> Result<bool, Error> {
    let format = description.format();
    let code: Option<FourCc> = format.four_cc();
    let is_needed = track != 0 || !description.has_legacy();
    if policy == EnhancedRtmp::Never && is_needed {
        return Err(if description.has_legacy() {
            Error::TrackNeedsEnhanced(track)
        } else {
            Error::NeedsEnhanced(format)
        });
    }
    if is_needed && code.is_none() {
        return Err(Error::NeedsLegacy(format));
    }
    Ok(is_needed || (policy == EnhancedRtmp::Always && code.is_some()))
}

/// Sides of a pixel that is no square.
fn pixel_shape(ratio: gst::Fraction) -> Option<(u32, u32)> {
    let sides = (ratio.numer().try_into().ok()?, ratio.denom().try_into().ok()?);
    (sides.0 != sides.1).then_some(sides)
}

fn composition_time(pts: u64, dts: u64) -> Result<i32, Error> {
    let difference = i128::from(pts) - i128::from(dts);
    i32::try_from(difference).map_err(|_| {
        let nearest = if difference < 0 { i32::MIN } else { i32::MAX };
        Error::Unwritable(Unwritable::CompositionTime(nearest))
    })
}

fn sequence_header(video: &Video, first: &gst::BufferRef) -> Result<Option<Bytes>, Error> {
    match &video.header {
        VideoHeader::None | VideoHeader::Vp6(_) => Ok(None),
        VideoHeader::Record(record) => Ok(Some(record.clone())),
        VideoHeader::InFrame => {
            let unit = first.map_readable().map_err(|_| Error::Unreadable)?;
            let config = Av1Config::of_temporal_unit(&unit).map_err(|cause| Error::Malformed {
                format: Format::Video(video.format),
                cause,
            })?;
            Ok(Some(config.encode()))
        }
    }
}

/// Whether a buffer is sound, and not a header of Ogg or of a file.
fn is_frame(audio: &Audio, data: &Bytes) -> bool {
    if audio.stream_headers.contains(data) {
        return false;
    }
    match audio.format {
        // flacparse pushes other headers than its caps have.
        AudioFormat::Flac => data.starts_with(&[0xff, 0xf8]) || data.starts_with(&[0xff, 0xf9]),
        AudioFormat::Opus => !data.starts_with(b"OpusHead") && !data.starts_with(b"OpusTags"),
        AudioFormat::Pcm
        | AudioFormat::Adpcm
        | AudioFormat::Mp3
        | AudioFormat::Nellymoser
        | AudioFormat::ALaw
        | AudioFormat::MuLaw
        | AudioFormat::Aac
        | AudioFormat::Speex
        | AudioFormat::Ac3
        | AudioFormat::Eac3 => true,
    }
}
