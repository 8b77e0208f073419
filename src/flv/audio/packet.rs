//! What is in an audio tag body, track by track, and the body that holds it.

use bytes::{BufMut, Bytes, BytesMut};

use super::{AudioCodec, ChannelConfig, ENHANCED, SoundFormat, is_reserved, packet_type};
use crate::flv::Unwritable;
use crate::flv::enhanced::{Head, Prefix, Track, Tracks};
use crate::wire::{Malformed, Reader};

/// What the first byte of a legacy tag says besides the format. Only PCM, ADPCM and Nellymoser go by it; to MP3
/// it is a hint, and the others have it constant.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct SoundFlags {
    /// `SoundRate`, the number of [`Self::RATES`]; 0 to 3.
    pub rate: u8,
    /// `SoundSize`: samples of 16 bits, not 8.
    pub is_16_bit: bool,
    /// `SoundType`: two channels, not one.
    pub is_stereo: bool,
}

impl SoundFlags {
    /// Sample rates in Hz by `SoundRate`. The first stands for 5512.5.
    pub const RATES: [u32; 4] = [5512, 11_025, 22_050, 44_100];

    /// What AAC and enhanced codecs have whatever they hold: 44.1 kHz, 16 bit, stereo.
    pub const AAC: Self = Self {
        rate: 3,
        is_16_bit: true,
        is_stereo: true,
    };

    /// The sample rate in Hz.
    #[must_use]
    pub const fn sample_rate(self) -> u32 {
        let [slow, eleven, twenty_two, forty_four] = Self::RATES;
        match self.rate & 3 {
            0 => slow,
            1 => eleven,
            2 => twenty_two,
            _ => forty_four,
        }
    }

    /// The number of channels.
    #[must_use]
    pub const fn channels(self) -> u8 {
        if self.is_stereo { 2 } else { 1 }
    }

    const fn from_id(id: u8) -> Self {
        Self {
            rate: id >> 2 & 3,
            is_16_bit: id & 2 != 0,
            is_stereo: id & 1 != 0,
        }
    }

    const fn id(self) -> u8 {
        (self.rate & 3) << 2 | (self.is_16_bit as u8) << 1 | self.is_stereo as u8
    }
}

impl Default for SoundFlags {
    fn default() -> Self {
        Self::AAC
    }
}

/// What an audio packet brings. Bytes are slices of the tag body.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AudioPayload {
    /// The codec's header; empty of codecs without, and of some writers of Opus.
    SequenceStart(Bytes),
    /// One or more whole frames.
    Frames(Bytes),
    /// Nothing follows for this track; at least silence.
    SequenceEnd,
    /// Order of the channels. Enhanced tags only, but FFmpeg 8 sends one of `mp4a` for legacy AAC.
    ChannelConfig(ChannelConfig),
    /// An empty tag: silence until sound returns, in all that tags of this message stream play.
    Silence,
    /// A packet type that is reserved, to be dropped.
    Unknown {
        /// `AudioPacketType`, or `AACPacketType` of a legacy tag.
        packet_type: u8,
        /// What follows; of enhanced tags outside of Multitrack with the FourCC, if there is one.
        data: Bytes,
    },
}

/// What an audio tag body holds of one track. FLV 10.1 section E.4.2, Enhanced RTMP v2 "`ExAudioTagHeader`".
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AudioPacket {
    /// The track; 0 is the default, and the only one in legacy tags.
    pub track: u8,
    /// The codec; `None` of silence and of reserved packet types.
    pub codec: Option<AudioCodec>,
    /// What a legacy tag says of the sound; of others the default.
    pub flags: SoundFlags,
    /// Nanoseconds to add to the presentation time of this packet only, 0 to 999 999 (`TimestampOffsetNano`).
    pub nano_offset: u32,
    /// What it brings.
    pub payload: AudioPayload,
}

impl AudioPacket {
    /// Takes a tag body apart.
    #[must_use]
    pub fn decode(body: &Bytes) -> AudioPackets<'_> {
        AudioPackets::open(body).unwrap_or_else(|error| AudioPackets::one(body, Err(error)))
    }

    /// Makes a tag body: what goes in front, and the payload as it is.
    ///
    /// # Errors
    ///
    /// No tag can hold this packet.
    pub fn encode(&self) -> Result<(Bytes, Bytes), Unwritable> {
        match self.codec {
            Some(AudioCodec::Legacy(format)) => self.encode_legacy(format),
            Some(AudioCodec::Enhanced(codec)) => {
                let head = self.head(self.packet_type()?).encode(codec, self.track)?;
                Ok((head.freeze(), self.data()?))
            }
            None => match &self.payload {
                AudioPayload::Silence => Ok((Bytes::new(), Bytes::new())),
                AudioPayload::Unknown { packet_type, data } if is_reserved(*packet_type) => {
                    let head = self.head(self.packet_type()?).encode_bare()?;
                    Ok((head.freeze(), data.clone()))
                }
                AudioPayload::SequenceStart(_)
                | AudioPayload::Frames(_)
                | AudioPayload::SequenceEnd
                | AudioPayload::ChannelConfig(_)
                | AudioPayload::Unknown { .. } => Err(Unwritable::Payload),
            },
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
        let shared = first.packet_type()?;
        let mut tracks = Vec::with_capacity(packets.len());
        for packet in packets {
            let Some(AudioCodec::Enhanced(codec)) = packet.codec else {
                return Err(Unwritable::Payload);
            };
            if (packet.packet_type()?, packet.nano_offset) != (shared, first.nano_offset) {
                return Err(Unwritable::Tracks);
            }
            tracks.push((codec, packet.track, Bytes::new(), packet.data()?));
        }
        first.head(shared).encode_many(&tracks)
    }

    fn encode_legacy(&self, format: SoundFormat) -> Result<(Bytes, Bytes), Unwritable> {
        if self.track != 0 {
            return Err(Unwritable::LegacyTrack(self.track));
        }
        if self.nano_offset != 0 {
            return Err(Unwritable::NanoOffset(self.nano_offset));
        }
        if format.id() == ENHANCED {
            return Err(Unwritable::Payload);
        }
        let mut head = BytesMut::with_capacity(2);
        head.put_u8(format.id() << 4 | self.flags.id());
        let is_aac = format == SoundFormat::Aac;
        let data = match &self.payload {
            AudioPayload::SequenceStart(config) if is_aac => {
                head.put_u8(packet_type::SEQUENCE_START);
                config
            }
            AudioPayload::Frames(data) if is_aac => {
                head.put_u8(packet_type::CODED_FRAMES);
                data
            }
            AudioPayload::Unknown { packet_type, data }
                if is_aac && *packet_type > packet_type::CODED_FRAMES =>
            {
                head.put_u8(*packet_type);
                data
            }
            AudioPayload::Frames(data) => data,
            AudioPayload::SequenceStart(_)
            | AudioPayload::SequenceEnd
            | AudioPayload::ChannelConfig(_)
            | AudioPayload::Silence
            | AudioPayload::Unknown { .. } => return Err(Unwritable::Payload),
        };
        Ok((head.freeze(), data.clone()))
    }

    const fn head(&self, packet_type: u8) -> Head {
        Head {
            first: ENHANCED << 4,
            packet_type,
            multitrack: packet_type::MULTITRACK,
            nano_offset: self.nano_offset,
        }
    }

    const fn packet_type(&self) -> Result<u8, Unwritable> {
        match self.payload {
            AudioPayload::SequenceStart(_) => Ok(packet_type::SEQUENCE_START),
            AudioPayload::Frames(_) => Ok(packet_type::CODED_FRAMES),
            AudioPayload::SequenceEnd => Ok(packet_type::SEQUENCE_END),
            AudioPayload::ChannelConfig(_) => Ok(packet_type::MULTICHANNEL_CONFIG),
            AudioPayload::Unknown {
                packet_type: packet_type @ (3 | 6 | 8..=15),
                ..
            } => Ok(packet_type),
            AudioPayload::Silence | AudioPayload::Unknown { .. } => Err(Unwritable::Payload),
        }
    }

    fn data(&self) -> Result<Bytes, Unwritable> {
        match &self.payload {
            AudioPayload::SequenceStart(data)
            | AudioPayload::Frames(data)
            | AudioPayload::Unknown { data, .. } => Ok(data.clone()),
            AudioPayload::ChannelConfig(config) => config.encode().ok_or(Unwritable::Payload),
            AudioPayload::SequenceEnd | AudioPayload::Silence => Ok(Bytes::new()),
        }
    }
}

/// The packets of one tag body. An error is the end of one track, and of the tag where the tracks behind it
/// cannot be found.
#[derive(Clone, Debug)]
pub struct AudioPackets<'a> {
    body: &'a Bytes,
    nano_offset: u32,
    source: Source<'a>,
}

#[derive(Clone, Debug)]
enum Source<'a> {
    One(Option<Result<AudioPacket, Malformed>>),
    Tracks(Tracks<'a>),
}

impl<'a> AudioPackets<'a> {
    fn open(body: &'a Bytes) -> Result<Self, Malformed> {
        let mut r = Reader::new(body);
        let mut packet = AudioPacket {
            track: 0,
            codec: None,
            flags: SoundFlags::default(),
            nano_offset: 0,
            payload: AudioPayload::Silence,
        };
        if r.is_empty() {
            return Ok(Self::one(body, Ok(packet)));
        }
        let first = r.u8("audio tag header")?;
        if first >> 4 != ENHANCED {
            let format = SoundFormat::from_id(first >> 4);
            packet.codec = Some(AudioCodec::Legacy(format));
            packet.flags = SoundFlags::from_id(first);
            packet.payload = legacy(body, format, r)?;
            return Ok(Self::one(body, Ok(packet)));
        }
        let Prefix {
            packet_type,
            nano_offset,
        } = Prefix::decode(first, &mut r)?;
        if is_reserved(packet_type) {
            packet.nano_offset = nano_offset;
            let data = body.slice_ref(r.rest());
            packet.payload = AudioPayload::Unknown { packet_type, data };
            return Ok(Self::one(body, Ok(packet)));
        }
        Ok(Self {
            body,
            nano_offset,
            source: Source::Tracks(Tracks::decode(packet_type, packet_type::MULTITRACK, r)?),
        })
    }

    const fn one(body: &'a Bytes, packet: Result<AudioPacket, Malformed>) -> Self {
        Self {
            body,
            nano_offset: 0,
            source: Source::One(Some(packet)),
        }
    }

    fn packet(&self, packet_type: u8, track: Track<'_>) -> Result<AudioPacket, Malformed> {
        let data = || self.body.slice_ref(track.body);
        let payload = match packet_type {
            packet_type::SEQUENCE_START => AudioPayload::SequenceStart(data()),
            packet_type::CODED_FRAMES => AudioPayload::Frames(data()),
            packet_type::SEQUENCE_END => AudioPayload::SequenceEnd,
            packet_type::MULTICHANNEL_CONFIG => {
                AudioPayload::ChannelConfig(ChannelConfig::decode(&mut Reader::new(track.body))?)
            }
            packet_type => AudioPayload::Unknown {
                packet_type,
                data: data(),
            },
        };
        Ok(AudioPacket {
            track: track.id,
            codec: Some(AudioCodec::Enhanced(track.codec)),
            flags: SoundFlags::default(),
            nano_offset: self.nano_offset,
            payload,
        })
    }
}

impl Iterator for AudioPackets<'_> {
    type Item = Result<AudioPacket, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let (packet_type, track) = match &mut self.source {
            Source::One(packet) => return packet.take(),
            Source::Tracks(tracks) => (tracks.packet_type, tracks.next()?),
        };
        Some(track.and_then(|track| self.packet(packet_type, track)))
    }
}

/// What follows the first byte of a legacy tag.
fn legacy(body: &Bytes, format: SoundFormat, mut r: Reader<'_>) -> Result<AudioPayload, Malformed> {
    if format != SoundFormat::Aac {
        return Ok(AudioPayload::Frames(body.slice_ref(r.rest())));
    }
    let packet_type = r.u8("AACPacketType")?;
    if packet_type == packet_type::SEQUENCE_START && r.is_empty() {
        return Err(Malformed::Truncated("AudioSpecificConfig"));
    }
    let data = body.slice_ref(r.rest());
    Ok(match packet_type {
        packet_type::SEQUENCE_START => AudioPayload::SequenceStart(data),
        packet_type::CODED_FRAMES => AudioPayload::Frames(data),
        packet_type => AudioPayload::Unknown { packet_type, data },
    })
}

#[cfg(test)]
mod tests;
