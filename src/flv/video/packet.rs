//! What is in a video tag body, track by track, and the body that holds it.

use bytes::{BufMut, Bytes, BytesMut};

use super::{
    CodecId, ColorInfo, ENHANCED, FrameType, VideoCodec, VideoCommand, Vp6Adjustment, has_composition_time,
    packet_type,
};
use crate::flv::Unwritable;
use crate::flv::enhanced::{Head, Prefix, Track, Tracks};
use crate::fourcc::FourCc;
use crate::wire::{Malformed, Reader};

/// Composition times in milliseconds that 24 bits hold.
const COMPOSITION_TIMES: std::ops::RangeInclusive<i32> = -0x80_0000..=0x7F_FFFF;

/// What a video packet brings. Bytes are slices of the tag body.
#[derive(Clone, Debug, PartialEq)]
pub enum VideoPayload {
    /// The decoder configuration of the codec, in the form of its ISO file format but without a box header.
    SequenceStart(Bytes),
    /// One picture: a whole access unit, temporal unit or superframe.
    Frame {
        /// Milliseconds from the tag's timestamp to presentation; may be negative, and 0 of codecs without.
        composition_time: i32,
        /// The picture; NAL units have a length in front of them.
        data: Bytes,
    },
    /// One picture of VP6, or of VP6 with alpha, whose data begins with 24 bits of the offset of the alpha
    /// plane. Legacy tags only.
    Vp6Frame {
        /// What is not to be shown of it.
        adjustment: Vp6Adjustment,
        /// The picture.
        data: Bytes,
    },
    /// Nothing follows for this track until another sequence start.
    SequenceEnd,
    /// How colours are meant from the next picture on, replacing all that was said before. Enhanced tags only;
    /// its frame type means nothing.
    Metadata(ColorInfo),
    /// In place of `SequenceStart`: the descriptor of an MPEG-2 transport stream (`AV1VideoDescriptor`).
    Mpeg2TsSequenceStart(Bytes),
    /// A command to the player, of no codec in enhanced tags.
    Command(VideoCommand),
    /// A packet type that is reserved, or metadata of other names; to be dropped.
    Unknown {
        /// `VideoPacketType`, or `AVCPacketType` of a legacy tag.
        packet_type: u8,
        /// What follows; of enhanced tags outside of Multitrack with the FourCC, if there is one.
        data: Bytes,
    },
}

/// What a video tag body holds of one track. FLV 10.1 section E.4.3, Enhanced RTMP v2 "`ExVideoTagHeader`".
#[derive(Clone, Debug, PartialEq)]
pub struct VideoPacket {
    /// The track; 0 is the default, and the only one in legacy tags.
    pub track: u8,
    /// The codec; `None` of enhanced commands and of reserved packet types.
    pub codec: Option<VideoCodec>,
    /// The frame type; only a hint, since some writers mark recovery points as key frames.
    pub frame: FrameType,
    /// Nanoseconds to add to the presentation time of this packet only, 0 to 999 999 (`TimestampOffsetNano`).
    pub nano_offset: u32,
    /// What it brings.
    pub payload: VideoPayload,
}

impl VideoPacket {
    /// Takes a tag body apart. An empty one holds nothing.
    #[must_use]
    pub fn decode(body: &Bytes) -> VideoPackets<'_> {
        VideoPackets::open(body).unwrap_or_else(|error| VideoPackets::one(body, Some(Err(error))))
    }

    /// Makes a tag body: what goes in front, and the payload as it is.
    ///
    /// Metadata is written with the frame type of commands, the only one at which FFmpeg 8 reads it, but in
    /// Multitrack with that of key frames: there the other would make the tag a command.
    ///
    /// # Errors
    ///
    /// No tag can hold this packet.
    pub fn encode(&self) -> Result<(Bytes, Bytes), Unwritable> {
        match self.codec {
            Some(VideoCodec::Legacy(codec)) => self.encode_legacy(codec),
            Some(VideoCodec::Enhanced(codec)) => {
                let packet_type = self.packet_type(codec)?;
                let mut head = self
                    .head(packet_type, self.track != 0)?
                    .encode(codec, self.track)?;
                if let Some(composition_time) = self.composition_time(codec, packet_type) {
                    put_i24(&mut head, composition_time);
                }
                Ok((head.freeze(), self.data()))
            }
            None => self.encode_bare(),
        }
    }

    /// Makes one tag body of enhanced packets of several tracks: `ManyTracks` if they are of one codec, else
    /// `ManyTracksManyCodecs`. Few readers take those; every one that knows Multitrack takes a tag for each.
    ///
    /// # Errors
    ///
    /// The packets differ in more than track, codec and data, one of them cannot be written, or there are none
    /// or more than 16.
    pub fn encode_tracks(packets: &[Self]) -> Result<Bytes, Unwritable> {
        let first = packets.first().ok_or(Unwritable::Tracks)?;
        let mut types = Vec::with_capacity(packets.len());
        for packet in packets {
            let Some(VideoCodec::Enhanced(codec)) = packet.codec else {
                return Err(Unwritable::Payload);
            };
            if (packet.frame, packet.nano_offset) != (first.frame, first.nano_offset) {
                return Err(Unwritable::Tracks);
            }
            types.push((codec, packet.packet_type(codec)?));
        }
        let mut shared = types.first().ok_or(Unwritable::Tracks)?.1;
        let is_frame = |packet_type| {
            matches!(
                packet_type,
                packet_type::CODED_FRAMES | packet_type::CODED_FRAMES_X
            )
        };
        for (_, packet_type) in &types {
            if is_frame(shared) && is_frame(*packet_type) {
                // Where one has a composition time to say, all those have that can.
                shared = shared.min(*packet_type);
            } else if shared != *packet_type {
                return Err(Unwritable::Tracks);
            }
        }
        let tracks: Vec<_> = packets
            .iter()
            .zip(types)
            .map(|(packet, (codec, _))| {
                let mut head = BytesMut::new();
                if let Some(composition_time) = packet.composition_time(codec, shared) {
                    put_i24(&mut head, composition_time);
                }
                (codec, packet.track, head.freeze(), packet.data())
            })
            .collect();
        first.head(shared, true)?.encode_many(&tracks)
    }

    fn encode_legacy(&self, codec: CodecId) -> Result<(Bytes, Bytes), Unwritable> {
        if self.track != 0 {
            return Err(Unwritable::LegacyTrack(self.track));
        }
        if self.nano_offset != 0 {
            return Err(Unwritable::NanoOffset(self.nano_offset));
        }
        let is_command = matches!(self.payload, VideoPayload::Command(_));
        if (self.frame == FrameType::Command) != is_command {
            return Err(Unwritable::FrameType);
        }
        let mut head = BytesMut::with_capacity(5);
        head.put_u8((self.frame.id() & 7) << 4 | codec.id() & 0x0f);
        let data = match &self.payload {
            VideoPayload::Command(command) => {
                head.put_u8(command.id());
                Bytes::new()
            }
            VideoPayload::SequenceStart(config) if codec.has_packet_type() => {
                head.put_u8(packet_type::SEQUENCE_START);
                put_i24(&mut head, 0);
                config.clone()
            }
            VideoPayload::SequenceEnd if codec.has_packet_type() => {
                head.put_u8(packet_type::SEQUENCE_END);
                put_i24(&mut head, 0);
                Bytes::new()
            }
            VideoPayload::Frame {
                composition_time,
                data,
            } if codec.has_packet_type() => {
                if !COMPOSITION_TIMES.contains(composition_time) {
                    return Err(Unwritable::CompositionTime(*composition_time));
                }
                head.put_u8(packet_type::CODED_FRAMES);
                put_i24(&mut head, *composition_time);
                data.clone()
            }
            VideoPayload::Unknown { packet_type, data }
                if codec.has_packet_type() && *packet_type > packet_type::SEQUENCE_END =>
            {
                head.put_u8(*packet_type);
                data.clone()
            }
            VideoPayload::Vp6Frame { adjustment, data } if is_vp6(codec) => {
                head.put_u8(adjustment.id());
                data.clone()
            }
            VideoPayload::Frame {
                composition_time,
                data,
            } if !codec.has_packet_type() && !is_vp6(codec) => {
                if *composition_time != 0 {
                    return Err(Unwritable::CompositionTime(*composition_time));
                }
                data.clone()
            }
            VideoPayload::SequenceStart(_)
            | VideoPayload::SequenceEnd
            | VideoPayload::Frame { .. }
            | VideoPayload::Vp6Frame { .. }
            | VideoPayload::Metadata(_)
            | VideoPayload::Mpeg2TsSequenceStart(_)
            | VideoPayload::Unknown { .. } => return Err(Unwritable::Payload),
        };
        Ok((head.freeze(), data))
    }

    /// An enhanced packet that names no codec.
    fn encode_bare(&self) -> Result<(Bytes, Bytes), Unwritable> {
        let head = |packet_type, frame: FrameType| Head {
            first: ENHANCED | (frame.id() & 7) << 4,
            packet_type,
            multitrack: packet_type::MULTITRACK,
            nano_offset: self.nano_offset,
        };
        match &self.payload {
            VideoPayload::Command(command) => {
                let mut head = head(packet_type::CODED_FRAMES, FrameType::Command).encode_bare()?;
                head.put_u8(command.id());
                Ok((head.freeze(), Bytes::new()))
            }
            VideoPayload::Unknown {
                packet_type: packet_type @ 8..=15,
                data,
            } => {
                let head = head(*packet_type, self.frame).encode_bare()?;
                Ok((head.freeze(), data.clone()))
            }
            VideoPayload::SequenceStart(_)
            | VideoPayload::Frame { .. }
            | VideoPayload::Vp6Frame { .. }
            | VideoPayload::SequenceEnd
            | VideoPayload::Metadata(_)
            | VideoPayload::Mpeg2TsSequenceStart(_)
            | VideoPayload::Unknown { .. } => Err(Unwritable::Payload),
        }
    }

    fn head(&self, packet_type: u8, is_multitrack: bool) -> Result<Head, Unwritable> {
        let frame = match (packet_type, self.frame) {
            (packet_type::METADATA, _) if is_multitrack => FrameType::Key,
            (packet_type::METADATA, _) => FrameType::Command,
            (_, FrameType::Command) => return Err(Unwritable::FrameType),
            (_, frame) => frame,
        };
        Ok(Head {
            first: ENHANCED | (frame.id() & 7) << 4,
            packet_type,
            multitrack: packet_type::MULTITRACK,
            nano_offset: self.nano_offset,
        })
    }

    /// The shortest `VideoPacketType` that says it all.
    fn packet_type(&self, codec: FourCc) -> Result<u8, Unwritable> {
        match self.payload {
            VideoPayload::SequenceStart(_) => Ok(packet_type::SEQUENCE_START),
            VideoPayload::Mpeg2TsSequenceStart(_) => Ok(packet_type::MPEG2_TS_SEQUENCE_START),
            VideoPayload::SequenceEnd => Ok(packet_type::SEQUENCE_END),
            VideoPayload::Metadata(_) => Ok(packet_type::METADATA),
            VideoPayload::Frame { composition_time, .. } => match composition_time {
                0 if has_composition_time(codec) => Ok(packet_type::CODED_FRAMES_X),
                0 => Ok(packet_type::CODED_FRAMES),
                millis if has_composition_time(codec) && COMPOSITION_TIMES.contains(&millis) => {
                    Ok(packet_type::CODED_FRAMES)
                }
                millis => Err(Unwritable::CompositionTime(millis)),
            },
            VideoPayload::Unknown {
                packet_type: packet_type @ (packet_type::METADATA | 8..=15),
                ..
            } => Ok(packet_type),
            VideoPayload::Vp6Frame { .. } | VideoPayload::Command(_) | VideoPayload::Unknown { .. } => {
                Err(Unwritable::Payload)
            }
        }
    }

    fn composition_time(&self, codec: FourCc, packet_type: u8) -> Option<i32> {
        match self.payload {
            VideoPayload::Frame { composition_time, .. }
                if packet_type == packet_type::CODED_FRAMES && has_composition_time(codec) =>
            {
                Some(composition_time)
            }
            _ => None,
        }
    }

    fn data(&self) -> Bytes {
        match &self.payload {
            VideoPayload::SequenceStart(data)
            | VideoPayload::Frame { data, .. }
            | VideoPayload::Vp6Frame { data, .. }
            | VideoPayload::Mpeg2TsSequenceStart(data)
            | VideoPayload::Unknown { data, .. } => data.clone(),
            VideoPayload::Metadata(color) => color.encode(),
            VideoPayload::SequenceEnd | VideoPayload::Command(_) => Bytes::new(),
        }
    }
}

/// The packets of one tag body. An error is the end of one track, and of the tag where the tracks behind it
/// cannot be found.
#[derive(Clone, Debug)]
pub struct VideoPackets<'a> {
    body: &'a Bytes,
    frame: FrameType,
    nano_offset: u32,
    source: Source<'a>,
}

#[derive(Clone, Debug)]
enum Source<'a> {
    One(Option<Result<VideoPacket, Malformed>>),
    Tracks(Tracks<'a>),
}

impl<'a> VideoPackets<'a> {
    fn open(body: &'a Bytes) -> Result<Self, Malformed> {
        let mut r = Reader::new(body);
        if r.is_empty() {
            return Ok(Self::one(body, None));
        }
        let first = r.u8("video tag header")?;
        let frame = FrameType::from_id(first >> 4 & 7);
        if first & ENHANCED == 0 {
            let codec = CodecId::from_id(first & 0x0f);
            let packet = VideoPacket {
                track: 0,
                codec: Some(VideoCodec::Legacy(codec)),
                frame,
                nano_offset: 0,
                payload: legacy(body, frame, codec, r)?,
            };
            return Ok(Self::one(body, Some(Ok(packet))));
        }
        let Prefix {
            packet_type,
            nano_offset,
        } = Prefix::decode(first, &mut r)?;
        let bare = |payload| VideoPacket {
            track: 0,
            codec: None,
            frame,
            nano_offset,
            payload,
        };
        if packet_type > packet_type::MULTITRACK {
            let data = body.slice_ref(r.rest());
            let packet = bare(VideoPayload::Unknown { packet_type, data });
            return Ok(Self::one(body, Some(Ok(packet))));
        }
        if frame == FrameType::Command && packet_type != packet_type::METADATA {
            let command = VideoCommand::from_id(r.u8("video command")?);
            let packet = bare(VideoPayload::Command(command));
            return Ok(Self::one(body, Some(Ok(packet))));
        }
        Ok(Self {
            body,
            frame,
            nano_offset,
            source: Source::Tracks(Tracks::decode(packet_type, packet_type::MULTITRACK, r)?),
        })
    }

    const fn one(body: &'a Bytes, packet: Option<Result<VideoPacket, Malformed>>) -> Self {
        Self {
            body,
            frame: FrameType::Unknown(0),
            nano_offset: 0,
            source: Source::One(packet),
        }
    }

    fn packet(&self, packet_type: u8, track: Track<'_>) -> Result<VideoPacket, Malformed> {
        let mut r = Reader::new(track.body);
        let composition_time =
            if packet_type == packet_type::CODED_FRAMES && has_composition_time(track.codec) {
                r.i24("composition time")?
            } else {
                0
            };
        let data = self.body.slice_ref(r.rest());
        let payload = match packet_type {
            packet_type::SEQUENCE_START => VideoPayload::SequenceStart(data),
            packet_type::CODED_FRAMES | packet_type::CODED_FRAMES_X => VideoPayload::Frame {
                composition_time,
                data,
            },
            packet_type::SEQUENCE_END => VideoPayload::SequenceEnd,
            packet_type::METADATA => match ColorInfo::decode(&data) {
                Some(color) => VideoPayload::Metadata(color),
                None => VideoPayload::Unknown { packet_type, data },
            },
            packet_type::MPEG2_TS_SEQUENCE_START => VideoPayload::Mpeg2TsSequenceStart(data),
            packet_type => VideoPayload::Unknown { packet_type, data },
        };
        Ok(VideoPacket {
            track: track.id,
            codec: Some(VideoCodec::Enhanced(track.codec)),
            frame: self.frame,
            nano_offset: self.nano_offset,
            payload,
        })
    }
}

impl Iterator for VideoPackets<'_> {
    type Item = Result<VideoPacket, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let (packet_type, track) = match &mut self.source {
            Source::One(packet) => return packet.take(),
            Source::Tracks(tracks) => (tracks.packet_type, tracks.next()?),
        };
        Some(track.and_then(|track| self.packet(packet_type, track)))
    }
}

/// What follows the first byte of a legacy tag.
fn legacy(
    body: &Bytes,
    frame: FrameType,
    codec: CodecId,
    mut r: Reader<'_>,
) -> Result<VideoPayload, Malformed> {
    if frame == FrameType::Command {
        // Writers disagree on whether the rest of the codec's header is there.
        if codec.has_packet_type() && r.remaining() > 4 {
            r.take(4, "AVC header")?;
        }
        return Ok(VideoPayload::Command(VideoCommand::from_id(
            r.u8("video command")?,
        )));
    }
    if !codec.has_packet_type() {
        if is_vp6(codec) {
            let adjustment = Vp6Adjustment::from_id(r.u8("VP6 adjustment")?);
            let data = body.slice_ref(r.rest());
            return Ok(VideoPayload::Vp6Frame { adjustment, data });
        }
        let data = body.slice_ref(r.rest());
        return Ok(VideoPayload::Frame {
            composition_time: 0,
            data,
        });
    }
    match r.u8("AVCPacketType")? {
        packet_type::SEQUENCE_START => {
            r.take(3, "composition time")?;
            if r.is_empty() {
                return Err(Malformed::Truncated("decoder configuration record"));
            }
            Ok(VideoPayload::SequenceStart(body.slice_ref(r.rest())))
        }
        packet_type::CODED_FRAMES => Ok(VideoPayload::Frame {
            composition_time: r.i24("composition time")?,
            data: body.slice_ref(r.rest()),
        }),
        packet_type::SEQUENCE_END => Ok(VideoPayload::SequenceEnd),
        packet_type => Ok(VideoPayload::Unknown {
            packet_type,
            data: body.slice_ref(r.rest()),
        }),
    }
}

const fn is_vp6(codec: CodecId) -> bool {
    matches!(codec, CodecId::Vp6 | CodecId::Vp6Alpha)
}

/// Writes an integer that is known to fit 24 bits.
fn put_i24(out: &mut BytesMut, value: i32) {
    out.put_int(value.into(), 3);
}

#[cfg(test)]
mod tests;
