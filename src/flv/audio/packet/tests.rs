//! Audio tags: known bodies both ways, and what is none.

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
        ALaw, Aac, Adpcm, DeviceSpecific, Mp3, Mp3At8k, MuLaw, Nellymoser, Nellymoser8k, Nellymoser16k, Pcm,
        PcmLittleEndian, Speex,
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
