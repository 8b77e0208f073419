//! Tag bodies: what is read can be written, unless it is of a reserved kind, and reads the same again. The first byte
//! says whether the rest is audio or video.

use bytes::Bytes;
use gstrtmp::flv::audio::{AudioPacket, AudioPayload};
use gstrtmp::flv::config::{
    Ac3Frame, AudioSpecificConfig, Av1Config, AvcConfig, HevcConfig, MpegAudioFrame, OpusHead, StreamInfo,
    VpxConfig,
};
use gstrtmp::flv::video::{FrameType, VideoPacket, VideoPayload};
use gstrtmp::flv::{AudioTag, VideoTag};

pub(crate) fn run(data: &[u8]) {
    let Some((&choice, body)) = data.split_first() else {
        return;
    };
    let body = Bytes::copy_from_slice(body);
    if choice & 1 == 0 {
        audio(&body);
    } else {
        video(&body);
    }
}

fn audio(body: &Bytes) {
    let packets: Vec<_> = AudioPacket::decode(body).flatten().collect();
    if AudioPacket::decode(body)
        .next()
        .is_some_and(|first| first.is_ok())
    {
        assert!(AudioTag::classify(body).is_ok(), "what is read can be classified");
    }
    for packet in &packets {
        match packet.encode() {
            Ok((head, data)) => {
                let written = Bytes::from([head, data].concat());
                let again: Vec<_> = AudioPacket::decode(&written).collect();
                // A reserved packet type says its FourCC in Multitrack only.
                if !matches!(packet.payload, AudioPayload::Unknown { .. }) {
                    assert_eq!(again, [Ok(packet.clone())]);
                }
            }
            Err(reason) => assert!(
                matches!(packet.payload, AudioPayload::Unknown { .. }),
                "{packet:?}: {reason}"
            ),
        }
        if let AudioPayload::SequenceStart(config) | AudioPayload::Frames(config) = &packet.payload {
            let _ = (
                AudioSpecificConfig::decode(config),
                Ac3Frame::decode(config),
                MpegAudioFrame::decode(config),
            );
            if let Ok(head) = OpusHead::decode(config) {
                assert_eq!(OpusHead::decode(&head.encode()), Ok(head));
            }
            if let Ok(info) = StreamInfo::decode(config) {
                assert_eq!(StreamInfo::decode(&info.encode()), Ok(info));
            }
        }
    }
    if let Ok(written) = AudioPacket::encode_tracks(&packets) {
        assert!(AudioPacket::decode(&written).eq(packets.into_iter().map(Ok)));
    }
}

fn video(body: &Bytes) {
    let packets: Vec<_> = VideoPacket::decode(body).flatten().collect();
    if VideoPacket::decode(body)
        .next()
        .is_some_and(|first| first.is_ok())
    {
        assert!(VideoTag::classify(body).is_ok(), "what is read can be classified");
    }
    for packet in &packets {
        match packet.encode() {
            Ok((head, data)) => {
                let written = Bytes::from([head, data].concat());
                let again: Vec<_> = VideoPacket::decode(&written).collect();
                // The frame type of metadata is ours, and a reserved packet type says its FourCC in Multitrack only.
                let is_same = !matches!(
                    packet.payload,
                    VideoPayload::Metadata(_) | VideoPayload::Unknown { .. }
                );
                if is_same {
                    assert_eq!(again, [Ok(packet.clone())]);
                }
            }
            Err(reason) => assert!(
                matches!(packet.payload, VideoPayload::Unknown { .. }),
                "{packet:?}: {reason}"
            ),
        }
        if let VideoPayload::SequenceStart(config) = &packet.payload {
            let _ = (AvcConfig::decode(config), HevcConfig::decode(config));
            if let Ok(read) = Av1Config::decode(config) {
                assert_eq!(Av1Config::decode(&read.encode()), Ok(read));
            }
            if let Ok(read) = VpxConfig::decode(config) {
                assert_eq!(VpxConfig::decode(&read.encode()), Ok(read));
            }
        }
    }
    // Of any name; 4 is its packet type.
    let is_metadata = |packet: &VideoPacket| {
        matches!(
            packet.payload,
            VideoPayload::Metadata(_) | VideoPayload::Unknown { packet_type: 4, .. }
        )
    };
    if let Ok(written) = VideoPacket::encode_tracks(&packets) {
        let again: Vec<_> = VideoPacket::decode(&written).collect();
        for (packet, again) in packets.into_iter().zip(again) {
            let frame = if is_metadata(&packet) {
                FrameType::Key
            } else {
                packet.frame
            };
            assert_eq!(again, Ok(VideoPacket { frame, ..packet }));
        }
    }
}
