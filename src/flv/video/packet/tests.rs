//! Video tags: known bodies both ways, and what is none.

use super::*;
use crate::flv::VideoTag;
use crate::flv::video::{ColorConfig, ContentLightLevel, VideoRole};
use proptest::collection::vec;
use proptest::prelude::*;

const KEY: FrameType = FrameType::Key;
const INTER: FrameType = FrameType::Inter;

fn hex(text: &str) -> Bytes {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|c| !c.is_ascii_whitespace())
        .map(|c| u8::try_from(char::from(c).to_digit(16).unwrap()).unwrap())
        .collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn decode(body: &Bytes) -> Result<Vec<VideoPacket>, Malformed> {
    VideoPacket::decode(body).collect()
}

fn packet(frame: FrameType, codec: VideoCodec, payload: VideoPayload) -> VideoPacket {
    VideoPacket {
        track: 0,
        codec: Some(codec),
        frame,
        nano_offset: 0,
        payload,
    }
}

fn legacy(frame: FrameType, codec: CodecId, payload: VideoPayload) -> VideoPacket {
    packet(frame, VideoCodec::Legacy(codec), payload)
}

fn enhanced(frame: FrameType, codec: FourCc, payload: VideoPayload) -> VideoPacket {
    packet(frame, VideoCodec::Enhanced(codec), payload)
}

fn frame(composition_time: i32, data: &str) -> VideoPayload {
    VideoPayload::Frame {
        composition_time,
        data: hex(data),
    }
}

fn start(config: &str) -> VideoPayload {
    VideoPayload::SequenceStart(hex(config))
}

const NAL: &str = "00000003 0201d0";
const AVCC: &str = "0164000a ffe10018 6764000a acd94426 c0440000 03000400 000300c8 3c489658 01000668 ebe3cb22
    c0fdf8f8 00";
const AV1C: &str = "81000c00 0a0a00000002afff805f0008";
const HDR: &str = "02 0009 636f6c6f72496e666f 03 000b 636f6c6f72436f6e666967 03
    0008 6269744465707468 00 4024000000000000
    000e 636f6c6f725072696d6172696573 00 4022000000000000
    0017 7472616e736665724368617261637465726973746963 73 00 4030000000000000
    0012 6d6174726978436f656666696369656e7473 00 4022000000000000 000009
    0006 686472436c6c 03 0007 6d617846616c6c 00 4079000000000000
    0006 6d6178434c4c 00 408f400000000000 000009 000009";

fn hdr() -> VideoPayload {
    VideoPayload::Metadata(ColorInfo {
        config: ColorConfig {
            bit_depth: Some(10),
            primaries: Some(9),
            transfer: Some(16),
            matrix: Some(9),
        },
        light_level: ContentLightLevel {
            max_frame_average: Some(400.0),
            max: Some(1000.0),
        },
        ..ColorInfo::default()
    })
}

/// Bodies of one packet that read and are written as they stand here.
fn both_ways() -> Vec<(String, VideoPacket)> {
    use CodecId::{Avc, H263, Hevc, Mpeg4, ScreenVideo, ScreenVideo2, SorensonH263, Vp6, Vp6Alpha};
    let command = VideoPayload::Command;
    let vp6 = |right, bottom, data| VideoPayload::Vp6Frame {
        adjustment: Vp6Adjustment { right, bottom },
        data: hex(data),
    };
    let unknown = |packet_type, data| VideoPayload::Unknown {
        packet_type,
        data: hex(data),
    };
    vec![
        (format!("17 00 000000 {AVCC}"), legacy(KEY, Avc, start(AVCC))),
        (
            "27 01 ffffd8 00000005 419a001122".to_owned(),
            legacy(INTER, Avc, frame(-40, "00000005 419a001122")),
        ),
        (
            "17 02 000000".to_owned(),
            legacy(KEY, Avc, VideoPayload::SequenceEnd),
        ),
        (
            "27 02 000000".to_owned(),
            legacy(INTER, Avc, VideoPayload::SequenceEnd),
        ),
        ("27 03 0102".to_owned(), legacy(INTER, Avc, unknown(3, "0102"))),
        (
            "57 00".to_owned(),
            legacy(FrameType::Command, Avc, command(VideoCommand::StartSeek)),
        ),
        (
            "52 01".to_owned(),
            legacy(FrameType::Command, SorensonH263, command(VideoCommand::EndSeek)),
        ),
        ("1c 00 000000 01".to_owned(), legacy(KEY, Hevc, start("01"))),
        ("19 01 000007 00".to_owned(), legacy(KEY, Mpeg4, frame(7, "00"))),
        (
            "22 0084".to_owned(),
            legacy(INTER, SorensonH263, frame(0, "0084")),
        ),
        (
            "32 0084".to_owned(),
            legacy(FrameType::DisposableInter, SorensonH263, frame(0, "0084")),
        ),
        ("13 40".to_owned(), legacy(KEY, ScreenVideo, frame(0, "40"))),
        ("16 40".to_owned(), legacy(KEY, ScreenVideo2, frame(0, "40"))),
        (
            "48 40".to_owned(),
            legacy(FrameType::GeneratedKey, H263, frame(0, "40")),
        ),
        (
            "1f 40".to_owned(),
            legacy(KEY, CodecId::Unknown(15), frame(0, "40")),
        ),
        ("14 8c 0102".to_owned(), legacy(KEY, Vp6, vp6(8, 12, "0102"))),
        (
            "25 00 000010 0102".to_owned(),
            legacy(INTER, Vp6Alpha, vp6(0, 0, "000010 0102")),
        ),
        (
            "90 68766331 01".to_owned(),
            enhanced(KEY, FourCc::HEVC, start("01")),
        ),
        (
            format!("91 68766331 000028 {NAL}"),
            enhanced(KEY, FourCc::HEVC, frame(40, NAL)),
        ),
        (
            format!("a1 61766331 ffffd8 {NAL}"),
            enhanced(INTER, FourCc::AVC, frame(-40, NAL)),
        ),
        (
            format!("a3 76766331 {NAL}"),
            enhanced(INTER, FourCc::VVC, frame(0, NAL)),
        ),
        (
            "a1 61763031 320114".to_owned(),
            enhanced(INTER, FourCc::AV1, frame(0, "320114")),
        ),
        (
            "91 76703038 9d012a".to_owned(),
            enhanced(KEY, FourCc::VP8, frame(0, "9d012a")),
        ),
        (
            "90 76703039 01000000 00 0a 82 02 02 02 0000".to_owned(),
            enhanced(KEY, FourCc::VP9, start("01000000 000a820202020000")),
        ),
        (
            "92 68766331".to_owned(),
            enhanced(KEY, FourCc::HEVC, VideoPayload::SequenceEnd),
        ),
        (
            "95 61763031 01".to_owned(),
            enhanced(KEY, FourCc::AV1, VideoPayload::Mpeg2TsSequenceStart(hex("01"))),
        ),
        (
            format!("d4 68766331 {HDR}"),
            enhanced(FrameType::Command, FourCc::HEVC, hdr()),
        ),
        (
            "d4 68766331 02 0009 636f6c6f72496e666f 06".to_owned(),
            enhanced(
                FrameType::Command,
                FourCc::HEVC,
                VideoPayload::Metadata(ColorInfo::default()),
            ),
        ),
        // Another name than colorInfo.
        (
            "d4 68766331 02 0001 61 05".to_owned(),
            enhanced(FrameType::Command, FourCc::HEVC, unknown(4, "020001 6105")),
        ),
        (
            "90 61626364 0102".to_owned(),
            enhanced(KEY, FourCc::new(*b"abcd"), start("0102")),
        ),
        (
            "d1 00".to_owned(),
            VideoPacket {
                codec: None,
                ..enhanced(FrameType::Command, FourCc::AVC, command(VideoCommand::StartSeek))
            },
        ),
        (
            "a8 68766331 01".to_owned(),
            VideoPacket {
                codec: None,
                ..enhanced(INTER, FourCc::AVC, unknown(8, "6876633101"))
            },
        ),
        (
            "a7 02 07a120 03 68766331 00000003 0201d0".to_owned(),
            VideoPacket {
                nano_offset: 500_000,
                ..enhanced(INTER, FourCc::HEVC, frame(0, NAL))
            },
        ),
        (
            "a7 02 051615 06 03 68766331 01 00000003 0201d0".to_owned(),
            VideoPacket {
                track: 1,
                nano_offset: 333_333,
                ..enhanced(INTER, FourCc::HEVC, frame(0, NAL))
            },
        ),
        (
            format!("96 00 61763031 01 {AV1C}"),
            VideoPacket {
                track: 1,
                ..enhanced(KEY, FourCc::AV1, start(AV1C))
            },
        ),
        (
            "a6 03 68766331 01 00000003 0201d0".to_owned(),
            VideoPacket {
                track: 1,
                ..enhanced(INTER, FourCc::HEVC, frame(0, NAL))
            },
        ),
        (
            "a6 0f 68766331 01 2a".to_owned(),
            VideoPacket {
                track: 1,
                ..enhanced(INTER, FourCc::HEVC, unknown(15, "2a"))
            },
        ),
    ]
}

/// Bodies that read but that we write in another form.
fn only_read() -> Vec<(String, VideoPacket)> {
    let command = VideoPayload::Command(VideoCommand::EndSeek);
    let reset = VideoPayload::Metadata(ColorInfo::default());
    vec![
        // Frame types of OBS and others for metadata; FFmpeg's empty colorConfig takes back what was said.
        (format!("94 68766331 {HDR}"), enhanced(KEY, FourCc::HEVC, hdr())),
        (
            format!("84 68766331 {HDR}"),
            enhanced(FrameType::Unknown(0), FourCc::HEVC, hdr()),
        ),
        (
            "d4 68766331 02 0009 636f6c6f72496e666f 03 000b 636f6c6f72436f6e666967 03 000009 000009"
                .to_owned(),
            enhanced(FrameType::Command, FourCc::HEVC, reset.clone()),
        ),
        (
            "d4 68766331 02 0009 636f6c6f72496e666f 03 000009".to_owned(),
            enhanced(FrameType::Command, FourCc::HEVC, reset),
        ),
        // Where CodedFramesX would do, and where it is not defined (eflvmux of GStreamer 1.29).
        (
            format!("91 68766331 000000 {NAL}"),
            enhanced(KEY, FourCc::HEVC, frame(0, NAL)),
        ),
        (
            "93 61763031 320114".to_owned(),
            enhanced(KEY, FourCc::AV1, frame(0, "320114")),
        ),
        (
            format!("a7 ff 00ff {} 53 68766331 {NAL}", "77".repeat(256)),
            enhanced(INTER, FourCc::HEVC, frame(0, NAL)),
        ),
        // Track 0 in Multitrack.
        (
            format!("a6 03 68766331 00 {NAL}"),
            enhanced(INTER, FourCc::HEVC, frame(0, NAL)),
        ),
        // Commands with the AVC header, and of another packet type.
        (
            "57 01 000000 01".to_owned(),
            legacy(FrameType::Command, CodecId::Avc, command.clone()),
        ),
        (
            "d0 01".to_owned(),
            VideoPacket {
                codec: None,
                ..enhanced(FrameType::Command, FourCc::AVC, command)
            },
        ),
        // A composition time where none belongs.
        (
            "17 00 00000a 01".to_owned(),
            legacy(KEY, CodecId::Avc, start("01")),
        ),
        (
            "17 02".to_owned(),
            legacy(KEY, CodecId::Avc, VideoPayload::SequenceEnd),
        ),
    ]
}

/// Bodies of several tracks.
fn many_tracks() -> Vec<(String, Vec<VideoPacket>)> {
    let track = |id, packet| VideoPacket { track: id, ..packet };
    vec![
        (
            "a6 13 68766331  00 000007 00000003 0201d0  01 000006 00000002 0202".to_owned(),
            vec![
                enhanced(INTER, FourCc::HEVC, frame(0, NAL)),
                track(1, enhanced(INTER, FourCc::HEVC, frame(0, "00000002 0202"))),
            ],
        ),
        (
            "a6 21  68766331 00 00000a 000028 00000003 0201d0  61763031 01 000003 320114".to_owned(),
            vec![
                enhanced(INTER, FourCc::HEVC, frame(40, NAL)),
                track(1, enhanced(INTER, FourCc::AV1, frame(0, "320114"))),
            ],
        ),
        (
            format!("96 20  61763031 00 000010 {AV1C}  76703039 05 000001 00  61626364 07 000000"),
            vec![
                enhanced(KEY, FourCc::AV1, start(AV1C)),
                track(5, enhanced(KEY, FourCc::VP9, start("00"))),
                track(7, enhanced(KEY, FourCc::new(*b"abcd"), start(""))),
            ],
        ),
        (
            "a7 02 07a120 06 11 61766331 02 000004 00000a 01 02 000004 fffff6 02".to_owned(),
            vec![
                VideoPacket {
                    nano_offset: 500_000,
                    ..track(2, enhanced(INTER, FourCc::AVC, frame(10, "01")))
                },
                VideoPacket {
                    nano_offset: 500_000,
                    ..track(2, enhanced(INTER, FourCc::AVC, frame(-10, "02")))
                },
            ],
        ),
        (
            format!("96 14 68766331 00 0000bb {HDR}"),
            vec![enhanced(KEY, FourCc::HEVC, hdr())],
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
        assert_eq!(VideoPacket::encode_tracks(&packets), Ok(hex(&body)), "{body}");
    }
}

#[test]
fn an_empty_body_holds_nothing() {
    assert_eq!(decode(&Bytes::new()), Ok(vec![]));
}

#[test]
fn payloads_are_shared_both_ways() {
    let body = hex(&format!("91 68766331 000028 {NAL}"));
    let [packet] = &decode(&body).unwrap()[..] else {
        panic!("one packet")
    };
    let VideoPayload::Frame { data, .. } = &packet.payload else {
        panic!("a frame")
    };
    assert_eq!(data.as_ptr(), body[8..].as_ptr());
    let (head, written) = packet.encode().unwrap();
    assert_eq!((head.len(), written.as_ptr()), (8, data.as_ptr()));
}

#[test]
fn bodies_cut_at_any_byte_are_read_or_refused() {
    let bodies = both_ways().into_iter().chain(only_read()).map(|(body, _)| body);
    for body in bodies.chain(many_tracks().into_iter().map(|(body, _)| body)) {
        let body = hex(&body);
        for end in 0..body.len() {
            for packet in VideoPacket::decode(&body.slice(..end)) {
                assert!(
                    !matches!(packet, Err(Malformed::Excessive(_) | Malformed::Invalid { .. })),
                    "{:02x?}",
                    &body[..end]
                );
            }
        }
    }
}

#[test]
fn a_short_track_does_not_hide_those_behind_it() {
    // The first has no room for its composition time.
    let body = hex("a6 21  68766331 00 000002 0000  61763031 01 000003 320114");
    let packets: Vec<_> = VideoPacket::decode(&body).collect();
    assert_eq!(packets[0], Err(Malformed::Truncated("composition time")));
    let second = VideoPacket {
        track: 1,
        ..enhanced(INTER, FourCc::AV1, frame(0, "320114"))
    };
    assert_eq!(packets[1..], [Ok(second)]);
}

#[test]
fn what_no_tag_can_hold_is_refused() {
    let hevc = |payload| enhanced(INTER, FourCc::HEVC, payload);
    let avc = |payload| legacy(INTER, CodecId::Avc, payload);
    let nothing = || frame(0, "");
    for (packet, reason) in [
        (
            VideoPacket {
                track: 1,
                ..avc(nothing())
            },
            Unwritable::LegacyTrack(1),
        ),
        (
            VideoPacket {
                nano_offset: 1,
                ..avc(nothing())
            },
            Unwritable::NanoOffset(1),
        ),
        (
            VideoPacket {
                nano_offset: 1_000_000,
                ..hevc(nothing())
            },
            Unwritable::NanoOffset(1_000_000),
        ),
        (avc(frame(0x80_0000, "")), Unwritable::CompositionTime(0x80_0000)),
        (
            hevc(frame(-0x80_0001, "")),
            Unwritable::CompositionTime(-0x80_0001),
        ),
        (
            enhanced(INTER, FourCc::AV1, frame(1, "")),
            Unwritable::CompositionTime(1),
        ),
        (
            legacy(INTER, CodecId::ScreenVideo, frame(1, "")),
            Unwritable::CompositionTime(1),
        ),
        (
            enhanced(FrameType::Command, FourCc::AV1, nothing()),
            Unwritable::FrameType,
        ),
        (
            legacy(FrameType::Command, CodecId::Avc, nothing()),
            Unwritable::FrameType,
        ),
        (
            avc(VideoPayload::Command(VideoCommand::EndSeek)),
            Unwritable::FrameType,
        ),
        (avc(hdr()), Unwritable::Payload),
        (
            legacy(INTER, CodecId::Vp6, VideoPayload::SequenceEnd),
            Unwritable::Payload,
        ),
        (legacy(INTER, CodecId::Vp6, nothing()), Unwritable::Payload),
        (
            hevc(VideoPayload::Command(VideoCommand::EndSeek)),
            Unwritable::Payload,
        ),
        (
            VideoPacket {
                codec: None,
                ..hevc(nothing())
            },
            Unwritable::Payload,
        ),
        (
            hevc(VideoPayload::Unknown {
                packet_type: 7,
                data: Bytes::new(),
            }),
            Unwritable::Payload,
        ),
    ] {
        assert_eq!(packet.encode(), Err(reason), "{packet:?}");
    }
}

#[test]
fn tracks_of_one_tag_share_all_but_codec_and_data() {
    let hevc = enhanced(INTER, FourCc::HEVC, frame(0, NAL));
    let together = |packets: &[VideoPacket]| VideoPacket::encode_tracks(packets).err();
    assert_eq!(together(&[]), Some(Unwritable::Tracks));
    assert_eq!(together(&vec![hevc.clone(); 16]), None);
    assert_eq!(together(&vec![hevc.clone(); 17]), Some(Unwritable::Tracks));
    for other in [
        VideoPacket {
            frame: KEY,
            ..hevc.clone()
        },
        VideoPacket {
            nano_offset: 1,
            ..hevc.clone()
        },
        enhanced(INTER, FourCc::HEVC, start("01")),
    ] {
        assert_eq!(together(&[hevc.clone(), other]), Some(Unwritable::Tracks));
    }
    let old = legacy(INTER, CodecId::Avc, frame(0, NAL));
    assert_eq!(together(&[hevc.clone(), old]), Some(Unwritable::Payload));
    let long = VideoPayload::Frame {
        composition_time: 0,
        data: Bytes::from(vec![0; 1 << 24]),
    };
    assert_eq!(
        together(&[hevc, enhanced(INTER, FourCc::HEVC, long)]),
        Some(Unwritable::Size(1 << 24))
    );
}

fn bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

fn enhanced_packet() -> impl Strategy<Value = VideoPacket> {
    let payload = (0..6_u8, bytes(), -0x80_0000..=0x7F_FFFF_i32);
    let codec = proptest::sample::select(&FourCc::KNOWN);
    (
        any::<u8>(),
        codec,
        0..5_u8,
        prop_oneof![Just(0), 0..=999_999_u32],
        payload,
    )
        .prop_map(
            |(track, codec, frame, nano_offset, (kind, data, composition_time))| {
                let payload = match kind {
                    0 => VideoPayload::SequenceStart(data),
                    1 if has_composition_time(codec) => VideoPayload::Frame {
                        composition_time,
                        data,
                    },
                    1 | 2 => VideoPayload::Frame {
                        composition_time: 0,
                        data,
                    },
                    3 => VideoPayload::SequenceEnd,
                    4 => hdr(),
                    _ => VideoPayload::Mpeg2TsSequenceStart(data),
                };
                let frame = match kind {
                    4 if track == 0 => FrameType::Command,
                    4 => KEY,
                    _ => FrameType::from_id(frame),
                };
                VideoPacket {
                    track,
                    codec: Some(VideoCodec::Enhanced(codec)),
                    frame,
                    nano_offset,
                    payload,
                }
            },
        )
}

fn legacy_packet() -> impl Strategy<Value = VideoPacket> {
    let payload = (0..4_u8, bytes(), -0x80_0000..=0x7F_FFFF_i32, any::<u8>());
    (0..5_u8, 0..16_u8, payload).prop_map(|(frame, codec, (kind, data, composition_time, byte))| {
        let codec = CodecId::from_id(codec);
        let mut frame = FrameType::from_id(frame);
        let payload = match kind {
            0 => {
                frame = FrameType::Command;
                VideoPayload::Command(VideoCommand::from_id(byte))
            }
            _ if is_vp6(codec) => VideoPayload::Vp6Frame {
                adjustment: Vp6Adjustment::from_id(byte),
                data,
            },
            1 if codec.has_packet_type() && !data.is_empty() => VideoPayload::SequenceStart(data),
            2 if codec.has_packet_type() => VideoPayload::SequenceEnd,
            _ => VideoPayload::Frame {
                composition_time: if codec.has_packet_type() {
                    composition_time
                } else {
                    0
                },
                data,
            },
        };
        legacy(frame, codec, payload)
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
        prop_assume!(packet.frame != FrameType::Command);
        let mut packets = vec![packet.clone()];
        packets.extend(others.into_iter().map(|(track, codec)| {
            let mut packet = VideoPacket {
                track,
                codec: Some(VideoCodec::Enhanced(codec)),
                ..packet.clone()
            };
            if let VideoPayload::Frame { composition_time, .. } = &mut packet.payload
                && !has_composition_time(codec)
            {
                *composition_time = 0;
            }
            packet
        }));
        let body = VideoPacket::encode_tracks(&packets).unwrap();
        prop_assert_eq!(decode(&body), Ok(packets));
    }

    #[test]
    fn any_body_is_read_as_it_is_classified(mut body: Vec<u8>, enhanced: bool) {
        if let Some(first) = body.first_mut().filter(|_| enhanced) {
            *first |= ENHANCED;
        }
        let body = Bytes::from(body);
        let first = VideoPacket::decode(&body).next();
        if let (Ok(tag), Some(Ok(packet))) = (VideoTag::classify(&body), first) {
            prop_assert_eq!((tag.track, tag.codec, tag.frame), (packet.track, packet.codec, packet.frame));
            let role = match packet.payload {
                VideoPayload::SequenceStart(_) | VideoPayload::Mpeg2TsSequenceStart(_) => VideoRole::SequenceStart,
                VideoPayload::Frame { composition_time, .. } => VideoRole::Frame { composition_time },
                VideoPayload::Vp6Frame { .. } => VideoRole::Frame { composition_time: 0 },
                VideoPayload::SequenceEnd => VideoRole::SequenceEnd,
                VideoPayload::Metadata(_) => VideoRole::Metadata,
                VideoPayload::Unknown { packet_type: packet_type::METADATA, .. }
                    if matches!(packet.codec, Some(VideoCodec::Enhanced(_))) => VideoRole::Metadata,
                VideoPayload::Command(_) => VideoRole::Command,
                VideoPayload::Unknown { packet_type, .. } => VideoRole::Unknown(packet_type),
            };
            prop_assert_eq!(tag.role, role);
        }
    }
}
