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
mod tests {
    use super::*;
    use crate::flv::AudioTag;
    use crate::flv::audio::{AudioRole, Channel};
    use crate::fourcc::FourCc;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn hex(text: &str) -> Bytes {
        let digits: Vec<u8> = text
            .bytes()
            .filter(|c| !c.is_ascii_whitespace())
            .map(|c| u8::try_from(char::from(c).to_digit(16).unwrap()).unwrap())
            .collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    fn decode(body: &Bytes) -> Result<Vec<AudioPacket>, Malformed> {
        AudioPacket::decode(body).collect()
    }

    fn legacy(format: SoundFormat, flags: (u8, bool, bool), payload: AudioPayload) -> AudioPacket {
        let (rate, is_16_bit, is_stereo) = flags;
        AudioPacket {
            track: 0,
            codec: Some(AudioCodec::Legacy(format)),
            flags: SoundFlags {
                rate,
                is_16_bit,
                is_stereo,
            },
            nano_offset: 0,
            payload,
        }
    }

    fn enhanced(codec: FourCc, payload: AudioPayload) -> AudioPacket {
        AudioPacket {
            track: 0,
            codec: Some(AudioCodec::Enhanced(codec)),
            flags: SoundFlags::default(),
            nano_offset: 0,
            payload,
        }
    }

    fn frames(data: &str) -> AudioPayload {
        AudioPayload::Frames(hex(data))
    }

    fn start(config: &str) -> AudioPayload {
        AudioPayload::SequenceStart(hex(config))
    }

    const STREAM_INFO: &str = "1200 1200 00046d 000508 0ac442f0000033ae 00112233445566778899aabbccddeeff";

    /// Bodies of one packet that read and are written as they stand here.
    fn both_ways() -> Vec<(String, AudioPacket)> {
        use SoundFormat::{
            ALaw, Aac, Adpcm, DeviceSpecific, Mp3, Mp3At8k, MuLaw, Nellymoser, Nellymoser8k, Nellymoser16k,
            Pcm, PcmLittleEndian, Speex,
        };
        let unknown = |packet_type, data| AudioPayload::Unknown {
            packet_type,
            data: hex(data),
        };
        let config = AudioPayload::ChannelConfig;
        let (mono, stereo) = ((0, true, false), (3, true, true));
        let legacy_formats = [
            ("af 00 12 10", Aac, stereo, start("1210")),
            ("af 01 21 10 05", Aac, stereo, frames("211005")),
            ("af 02 07", Aac, stereo, unknown(2, "07")),
            ("2f fffb9064", Mp3, stereo, frames("fffb9064")),
            ("e3 ffe3", Mp3At8k, (0, true, true), frames("ffe3")),
            ("3f 0100", PcmLittleEndian, stereo, frames("0100")),
            ("0c 80", Pcm, (3, false, false), frames("80")),
            ("1b 80", Adpcm, (2, true, true), frames("80")),
            ("b2 40", Speex, mono, frames("40")),
            ("b6 40", Speex, (1, true, false), frames("40")),
            ("42 40", Nellymoser16k, mono, frames("40")),
            ("52 40", Nellymoser8k, mono, frames("40")),
            ("66 40", Nellymoser, (1, true, false), frames("40")),
            ("72 d5", ALaw, mono, frames("d5")),
            ("82 ff", MuLaw, mono, frames("ff")),
            ("f2 01", DeviceSpecific, mono, frames("01")),
            ("c0 01", SoundFormat::Unknown(12), (0, false, false), frames("01")),
            ("2f", Mp3, stereo, frames("")),
        ];
        let mut bodies: Vec<_> = legacy_formats
            .into_iter()
            .map(|(body, format, flags, payload)| (body.to_owned(), legacy(format, flags, payload)))
            .collect();
        let head = "4f70757348656164 01 02 3801 80bb0000 0000 00";
        bodies.extend([
            (format!("90 4f707573 {head}"), enhanced(FourCc::OPUS, start(head))),
            (
                "90 6d703461 1190".to_owned(),
                enhanced(FourCc::AAC, start("1190")),
            ),
            ("90 61632d33".to_owned(), enhanced(FourCc::AC3, start(""))),
            (
                "91 65632d33 0b77".to_owned(),
                enhanced(FourCc::EAC3, frames("0b77")),
            ),
            (
                "91 2e6d7033 fffb".to_owned(),
                enhanced(FourCc::MP3, frames("fffb")),
            ),
            (
                "92 664c6143".to_owned(),
                enhanced(FourCc::FLAC, AudioPayload::SequenceEnd),
            ),
            (
                "94 4f707573 01 06 0000003f".to_owned(),
                enhanced(FourCc::OPUS, config(ChannelConfig::Native(0x3f))),
            ),
            (
                "94 4f707573 02 02 00 01".to_owned(),
                enhanced(
                    FourCc::OPUS,
                    config(ChannelConfig::Custom(vec![
                        Channel::FRONT_LEFT,
                        Channel::FRONT_RIGHT,
                    ])),
                ),
            ),
            (
                "94 61632d33 00 08".to_owned(),
                enhanced(FourCc::AC3, config(ChannelConfig::Unspecified(8))),
            ),
            (
                "97 02 03d090 01 4f707573 fcfffe".to_owned(),
                AudioPacket {
                    nano_offset: 250_000,
                    ..enhanced(FourCc::OPUS, frames("fcfffe"))
                },
            ),
            (
                format!("95 00 664c6143 01 {STREAM_INFO}"),
                AudioPacket {
                    track: 1,
                    ..enhanced(FourCc::FLAC, start(STREAM_INFO))
                },
            ),
            (
                "95 04 4f707573 02 01 01 00000004".to_owned(),
                AudioPacket {
                    track: 2,
                    ..enhanced(FourCc::OPUS, config(ChannelConfig::Native(4)))
                },
            ),
            (
                "95 0f 4f707573 02 2a".to_owned(),
                AudioPacket {
                    track: 2,
                    ..enhanced(FourCc::OPUS, unknown(15, "2a"))
                },
            ),
            (
                "93 01".to_owned(),
                AudioPacket {
                    codec: None,
                    ..enhanced(FourCc::OPUS, unknown(3, "01"))
                },
            ),
            (
                String::new(),
                AudioPacket {
                    codec: None,
                    ..enhanced(FourCc::OPUS, AudioPayload::Silence)
                },
            ),
        ]);
        bodies
    }

    /// Bodies that read but that we write in another form.
    fn only_read() -> Vec<(String, AudioPacket)> {
        vec![
            // A block of unknown type, and a track 0 in Multitrack.
            (
                format!("97 ff 00ff {} 51 4f707573 fcfffe", "77".repeat(256)),
                enhanced(FourCc::OPUS, frames("fcfffe")),
            ),
            (
                "95 01 4f707573 00 fcfffe".to_owned(),
                enhanced(FourCc::OPUS, frames("fcfffe")),
            ),
        ]
    }

    /// Bodies of several tracks.
    fn many_tracks() -> Vec<(String, Vec<AudioPacket>)> {
        let track = |id, packet| AudioPacket { track: id, ..packet };
        vec![
            (
                "95 11 4f707573  00 000002 fcff  01 000003 fcfffe".to_owned(),
                vec![
                    enhanced(FourCc::OPUS, frames("fcff")),
                    track(1, enhanced(FourCc::OPUS, frames("fcfffe"))),
                ],
            ),
            (
                format!("95 20 61632d33 00 000000  664c6143 01 000022 {STREAM_INFO}"),
                vec![
                    enhanced(FourCc::AC3, start("")),
                    track(1, enhanced(FourCc::FLAC, start(STREAM_INFO))),
                ],
            ),
        ]
    }

    #[test]
    fn known_bodies_read() {
        for (body, packet) in both_ways().into_iter().chain(only_read()) {
            assert_eq!(decode(&hex(&body)), Ok(vec![packet]), "{body}");
        }
        for (body, packets) in many_tracks() {
            assert_eq!(decode(&hex(&body)), Ok(packets), "{body}");
        }
    }

    #[test]
    fn known_bodies_are_written() {
        for (body, packet) in both_ways() {
            let (head, data) = packet.encode().unwrap();
            assert_eq!([head, data].concat(), hex(&body), "{body}");
        }
        for (body, packets) in many_tracks() {
            assert_eq!(AudioPacket::encode_tracks(&packets), Ok(hex(&body)), "{body}");
        }
    }

    #[test]
    fn payloads_are_shared_both_ways() {
        let body = hex("91 4f707573 fcfffe");
        let [packet] = &decode(&body).unwrap()[..] else {
            panic!("one packet")
        };
        let AudioPayload::Frames(data) = &packet.payload else {
            panic!("frames")
        };
        assert_eq!(data.as_ptr(), body[5..].as_ptr());
        let (head, written) = packet.encode().unwrap();
        assert_eq!((head.len(), written.as_ptr()), (5, data.as_ptr()));
    }

    #[test]
    fn rates_and_channels_are_those_of_the_first_byte() {
        let flags = |first| {
            let [packet] = &decode(&Bytes::from(vec![first, 0])).unwrap()[..] else {
                panic!("one packet")
            };
            (
                packet.flags.sample_rate(),
                packet.flags.channels(),
                packet.flags.is_16_bit,
            )
        };
        assert_eq!(flags(0x30), (5512, 1, false));
        assert_eq!(flags(0x35), (11_025, 2, false));
        assert_eq!(flags(0x3a), (22_050, 1, true));
        assert_eq!(flags(0x3f), (44_100, 2, true));
    }

    #[test]
    fn bodies_cut_at_any_byte_are_read_or_refused() {
        let bodies = both_ways().into_iter().chain(only_read()).map(|(body, _)| body);
        for body in bodies.chain(many_tracks().into_iter().map(|(body, _)| body)) {
            let body = hex(&body);
            for end in 0..body.len() {
                for packet in AudioPacket::decode(&body.slice(..end)) {
                    assert!(
                        !matches!(packet, Err(Malformed::Excessive(_))),
                        "{:02x?}",
                        &body[..end]
                    );
                }
            }
        }
        assert_eq!(
            decode(&hex("af 00")),
            Err(Malformed::Truncated("AudioSpecificConfig"))
        );
    }

    #[test]
    fn a_bad_track_does_not_hide_those_behind_it() {
        let body = hex("95 14 4f707573 00 000002 0000 01 000006 01 01 00000004");
        let packets: Vec<_> = AudioPacket::decode(&body).collect();
        assert!(packets[0].is_err());
        let second = AudioPacket {
            track: 1,
            ..enhanced(
                FourCc::OPUS,
                AudioPayload::ChannelConfig(ChannelConfig::Native(4)),
            )
        };
        assert_eq!(packets[1..], [Ok(second)]);
    }

    #[test]
    fn what_no_tag_can_hold_is_refused() {
        let aac = |payload| legacy(SoundFormat::Aac, (3, true, true), payload);
        let opus = |payload| enhanced(FourCc::OPUS, payload);
        for (packet, reason) in [
            (
                AudioPacket {
                    track: 9,
                    ..aac(frames("01"))
                },
                Unwritable::LegacyTrack(9),
            ),
            (
                AudioPacket {
                    nano_offset: 5,
                    ..aac(frames("01"))
                },
                Unwritable::NanoOffset(5),
            ),
            (
                AudioPacket {
                    nano_offset: 1_000_000,
                    ..opus(frames("01"))
                },
                Unwritable::NanoOffset(1_000_000),
            ),
            (aac(AudioPayload::SequenceEnd), Unwritable::Payload),
            (aac(AudioPayload::Silence), Unwritable::Payload),
            (
                legacy(SoundFormat::Mp3, (3, true, true), start("01")),
                Unwritable::Payload,
            ),
            (
                legacy(SoundFormat::Unknown(9), (3, true, true), frames("01")),
                Unwritable::Payload,
            ),
            (opus(AudioPayload::Silence), Unwritable::Payload),
            (
                opus(AudioPayload::ChannelConfig(ChannelConfig::Unspecified(0))),
                Unwritable::Payload,
            ),
            (
                AudioPacket {
                    codec: None,
                    ..opus(frames("01"))
                },
                Unwritable::Payload,
            ),
            (
                opus(AudioPayload::Unknown {
                    packet_type: 7,
                    data: Bytes::new(),
                }),
                Unwritable::Payload,
            ),
        ] {
            assert_eq!(packet.encode(), Err(reason), "{packet:?}");
        }
        let together = |packets: &[AudioPacket]| AudioPacket::encode_tracks(packets).err();
        assert_eq!(together(&[]), Some(Unwritable::Tracks));
        let frame = opus(frames("01"));
        assert_eq!(
            together(&[frame.clone(), opus(start("01"))]),
            Some(Unwritable::Tracks)
        );
        assert_eq!(together(&[frame, aac(frames("01"))]), Some(Unwritable::Payload));
    }

    fn enhanced_packet() -> impl Strategy<Value = AudioPacket> {
        let data = vec(any::<u8>(), 0..40).prop_map(Bytes::from);
        let payload = prop_oneof![
            data.clone().prop_map(AudioPayload::SequenceStart),
            data.prop_map(AudioPayload::Frames),
            Just(AudioPayload::SequenceEnd),
            (1..=64_u8).prop_map(|count| AudioPayload::ChannelConfig(ChannelConfig::Unspecified(count))),
            (1..=u32::MAX).prop_map(|mask| AudioPayload::ChannelConfig(ChannelConfig::Native(mask))),
            vec(any::<u8>(), 1..=64).prop_map(|ids| {
                let channels = ids.into_iter().map(Channel::from_id).collect();
                AudioPayload::ChannelConfig(ChannelConfig::Custom(channels))
            }),
        ];
        let codec = proptest::sample::select(&FourCc::KNOWN);
        let nanos = prop_oneof![Just(0), 0..=999_999_u32];
        (any::<u8>(), codec, nanos, payload).prop_map(|(track, codec, nano_offset, payload)| AudioPacket {
            track,
            nano_offset,
            ..enhanced(codec, payload)
        })
    }

    fn legacy_packet() -> impl Strategy<Value = AudioPacket> {
        let data = vec(any::<u8>(), 0..40).prop_map(Bytes::from);
        let format = (0..16_u8).prop_filter("names an enhanced tag", |id| *id != ENHANCED);
        (
            format,
            (0..4_u8, any::<bool>(), any::<bool>()),
            data,
            any::<bool>(),
        )
            .prop_map(|(format, flags, data, is_start)| {
                let format = SoundFormat::from_id(format);
                let payload = if is_start && format == SoundFormat::Aac && !data.is_empty() {
                    AudioPayload::SequenceStart(data)
                } else {
                    AudioPayload::Frames(data)
                };
                legacy(format, flags, payload)
            })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_the_same(packet in prop_oneof![enhanced_packet(), legacy_packet()]) {
            let (head, data) = packet.encode().unwrap();
            prop_assert!(head.len() <= 20);
            let body = Bytes::from([head, data].concat());
            prop_assert_eq!(decode(&body), Ok(vec![packet]));
        }

        #[test]
        fn tracks_written_together_read_the_same(
            packet in enhanced_packet(),
            others in vec((any::<u8>(), proptest::sample::select(&FourCc::KNOWN)), 0..16),
        ) {
            let mut packets = vec![packet.clone()];
            packets.extend(others.into_iter().map(|(track, codec)| AudioPacket {
                track,
                codec: Some(AudioCodec::Enhanced(codec)),
                ..packet.clone()
            }));
            let body = AudioPacket::encode_tracks(&packets).unwrap();
            prop_assert_eq!(decode(&body), Ok(packets));
        }

        #[test]
        fn any_body_is_read_as_it_is_classified(mut body: Vec<u8>, enhanced: bool) {
            if let Some(first) = body.first_mut().filter(|_| enhanced) {
                *first = ENHANCED << 4 | *first & 0x0f;
            }
            let body = Bytes::from(body);
            let first = AudioPacket::decode(&body).next().unwrap();
            if let (Ok(tag), Ok(packet)) = (AudioTag::classify(&body), first) {
                prop_assert_eq!((tag.track, tag.codec), (packet.track, packet.codec));
                let role = match packet.payload {
                    AudioPayload::SequenceStart(_) => AudioRole::SequenceStart,
                    AudioPayload::Frames(_) => AudioRole::Frames,
                    AudioPayload::SequenceEnd => AudioRole::SequenceEnd,
                    AudioPayload::ChannelConfig(_) => AudioRole::ChannelConfig,
                    AudioPayload::Silence => AudioRole::Silence,
                    AudioPayload::Unknown { packet_type, .. } => AudioRole::Unknown(packet_type),
                };
                prop_assert_eq!(tag.role, role);
            }
        }
    }
}
