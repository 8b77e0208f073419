//! The packets of one track -> caps and buffers.

use super::error::Error;
use super::format::TrackKind;
use super::metadata::TrackMetadata;
use super::picture::Picture;
use super::sound::Sound;
use crate::flv::audio::AudioPayload;
use crate::flv::video::{FrameType, VideoPayload};
use crate::flv::{AudioPacket, VideoPacket};

/// What a packet comes to, in this order; mostly to a buffer.
#[derive(Debug, Default)]
pub(crate) struct Output {
    /// Caps that are new, or differ from the last.
    pub(crate) caps: Option<gst::Caps>,
    pub(crate) buffer: Option<gst::Buffer>,
    pub(crate) mark: Option<Mark>,
}

/// What a packet says without a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mark {
    /// Nothing follows until another sequence start: a track has ended, and not the stream.
    SequenceEnd,
    /// Silence until sound returns, for which there may be a GAP event.
    Silence,
}

/// Takes the packets of one track apart.
///
/// Caps come as soon as they can be known: with the sequence start, or with the first frame of codecs that have none
/// or can do without. A sequence start that says what the last one said is ignored.
#[derive(Debug)]
pub(crate) struct TrackDecoder {
    medium: Medium,
    caps: Option<gst::Caps>,
    wants_key_frame: bool,
    is_discont: bool,
    /// That frames are dropped, and why, has been told.
    has_complained: bool,
}

#[derive(Debug)]
enum Medium {
    Audio(Sound),
    Video(Picture),
}

impl TrackDecoder {
    pub(crate) fn new(kind: TrackKind) -> Self {
        Self {
            medium: match kind {
                TrackKind::Audio => Medium::Audio(Sound::default()),
                TrackKind::Video => Medium::Video(Picture::default()),
            },
            caps: None,
            wants_key_frame: false,
            is_discont: false,
            has_complained: false,
        }
    }

    /// Drops pictures until one at which decoding can start, and marks that as DISCONT: after a start in the
    /// middle, a loss or a flush. Sound only gets the mark.
    pub(crate) const fn wait_for_key_frame(&mut self) {
        self.wants_key_frame = true;
        self.is_discont = true;
    }

    /// Marks the next buffer as DISCONT.
    pub(crate) const fn set_discont(&mut self) {
        self.is_discont = true;
    }

    /// Takes what metadata says of the track. New caps if that changes those there are.
    pub(crate) fn set_metadata(&mut self, metadata: TrackMetadata) -> Option<gst::Caps> {
        let Medium::Video(picture) = &mut self.medium else {
            return None;
        };
        picture.metadata = metadata;
        self.caps.as_ref()?;
        let caps = picture.caps();
        self.renew(caps)
    }

    /// The caps that were last put out.
    pub(crate) const fn caps(&self) -> Option<&gst::Caps> {
        self.caps.as_ref()
    }

    /// Takes a packet of an audio track, whose tag has the time `timestamp`. Buffers have a PTS only.
    ///
    /// # Errors
    ///
    /// The packet was dropped, for which there may be a warning. The track goes on, and the same is not told again
    /// for each packet that follows.
    pub(crate) fn audio(&mut self, packet: AudioPacket, timestamp: gst::ClockTime) -> Result<Output, Error> {
        let Medium::Audio(sound) = &mut self.medium else {
            return Ok(Output::default());
        };
        let data = match packet.payload {
            AudioPayload::Silence => return Ok(mark(Mark::Silence)),
            AudioPayload::SequenceEnd => {
                self.is_discont = true;
                return Ok(mark(Mark::SequenceEnd));
            }
            AudioPayload::Unknown { .. } => return Ok(Output::default()),
            AudioPayload::ChannelConfig(config) => {
                sound.set_channel_config(packet.codec, &config);
                return Ok(Output::default());
            }
            AudioPayload::SequenceStart(header) => {
                self.has_complained = false;
                let caps = sound.start(packet.codec, &header)?;
                let caps = caps.and_then(|caps| self.renew(caps));
                return Ok(Output {
                    caps,
                    ..Output::default()
                });
            }
            AudioPayload::Frames(data) => data,
        };
        if data.is_empty() {
            return Ok(Output::default());
        }
        let result = sound.frame(packet.codec, packet.flags, &data);
        let caps = match self.complain_once(result)? {
            Some(Accepted::AsBefore) => None,
            Some(Accepted::Caps(caps)) => self.renew(caps),
            None => return Ok(Output::default()),
        };
        let mut buffer = gst::Buffer::from_slice(data);
        if let Some(buffer) = buffer.get_mut() {
            let offset = gst::ClockTime::from_nseconds(packet.nano_offset.into());
            buffer.set_pts(timestamp.saturating_add(offset));
            buffer.set_flags(self.take_discont());
        }
        Ok(Output {
            caps,
            buffer: Some(buffer),
            mark: None,
        })
    }

    /// Takes a packet of a video track, whose tag has the time `timestamp`: the DTS. A composition time that would
    /// make the PTS negative makes it 0, which can be only at the very start of a stream; to shift the stream instead,
    /// add to all timestamps. Nanoseconds are for the PTS alone.
    ///
    /// # Errors
    ///
    /// As of [`Self::audio`].
    pub(crate) fn video(&mut self, packet: VideoPacket, timestamp: gst::ClockTime) -> Result<Output, Error> {
        let Medium::Video(picture) = &mut self.medium else {
            return Ok(Output::default());
        };
        let (composition_time, data) = match packet.payload {
            VideoPayload::Command(_) | VideoPayload::Unknown { .. } => return Ok(Output::default()),
            VideoPayload::SequenceEnd => {
                self.wait_for_key_frame();
                return Ok(mark(Mark::SequenceEnd));
            }
            VideoPayload::Metadata(color) => {
                picture.set_color(packet.codec, color);
                if self.caps.is_none() {
                    return Ok(Output::default());
                }
                let caps = picture.caps();
                let caps = self.renew(caps);
                return Ok(Output {
                    caps,
                    ..Output::default()
                });
            }
            VideoPayload::SequenceStart(record) => {
                self.has_complained = false;
                picture.start(packet.codec, &record)?;
                let caps = picture.caps();
                let caps = self.renew(caps);
                return Ok(Output {
                    caps,
                    ..Output::default()
                });
            }
            VideoPayload::Mpeg2TsSequenceStart(_) => {
                self.has_complained = false;
                picture.start_without_record(packet.codec)?;
                return Ok(Output::default());
            }
            VideoPayload::Vp6Frame { adjustment, data } => {
                picture.set_adjustment(adjustment);
                (0, data)
            }
            VideoPayload::Frame {
                composition_time,
                data,
            } => (composition_time, data),
        };
        if data.is_empty() {
            return Ok(Output::default());
        }
        let is_key = packet.frame.is_key();
        let result = picture.frame(packet.codec, is_key, data);
        let Some(data) = self.complain_once(result)? else {
            return Ok(Output::default());
        };
        if self.wants_key_frame && !is_key {
            return Ok(Output::default());
        }
        self.wants_key_frame = false;
        let caps = self.renew_if_stale();
        let mut flags = self.take_discont();
        if !is_key {
            flags |= gst::BufferFlags::DELTA_UNIT;
        }
        if packet.frame == FrameType::DisposableInter {
            flags |= gst::BufferFlags::DROPPABLE;
        }
        let mut buffer = gst::Buffer::from_slice(data);
        if let Some(buffer) = buffer.get_mut() {
            let offset = gst::ClockTime::from_nseconds(packet.nano_offset.into());
            let ahead = gst::ClockTime::from_mseconds(composition_time.unsigned_abs().into());
            let pts = if composition_time < 0 {
                timestamp.saturating_sub(ahead)
            } else {
                timestamp.saturating_add(ahead)
            };
            buffer.set_pts(pts.saturating_add(offset));
            buffer.set_dts(timestamp);
            buffer.set_flags(flags);
        }
        Ok(Output {
            caps,
            buffer: Some(buffer),
            mark: None,
        })
    }

    /// Caps of a picture whose codec or adjustment has only come with the frame.
    fn renew_if_stale(&mut self) -> Option<gst::Caps> {
        let Medium::Video(picture) = &self.medium else {
            return None;
        };
        if self.caps.is_some() && !picture.is_stale {
            return None;
        }
        let caps = picture.caps();
        self.renew(caps)
    }

    fn renew(&mut self, caps: gst::Caps) -> Option<gst::Caps> {
        if let Medium::Video(picture) = &mut self.medium {
            picture.is_stale = false;
        }
        if self.caps.as_ref() == Some(&caps) {
            return None;
        }
        self.caps = Some(caps.clone());
        Some(caps)
    }

    const fn take_discont(&mut self) -> gst::BufferFlags {
        if std::mem::replace(&mut self.is_discont, false) {
            gst::BufferFlags::DISCONT
        } else {
            gst::BufferFlags::empty()
        }
    }

    /// `None` in place of the same complaint again.
    fn complain_once<T>(&mut self, result: Result<T, Error>) -> Result<Option<T>, Error> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error @ (Error::NoHeader(_) | Error::UnknownCodec(_))) => {
                if std::mem::replace(&mut self.has_complained, true) {
                    return Ok(None);
                }
                Err(error)
            }
            Err(error) => Err(error),
        }
    }
}

/// What a frame of sound comes with.
#[derive(Debug)]
pub(super) enum Accepted {
    AsBefore,
    Caps(gst::Caps),
}

fn mark(mark: Mark) -> Output {
    Output {
        mark: Some(mark),
        ..Output::default()
    }
}
