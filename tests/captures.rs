//! Both directions of real sessions, read to the last message. What each stream is: `tests/data/captures/README.md`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use bytes::{Bytes, BytesMut};
use gstrtmp::chunk::{Message, Reader};
use gstrtmp::flv::audio::{AudioCodec, AudioPayload, Channel, ChannelConfig, SoundFormat};
use gstrtmp::flv::config::{
    Ac3Frame, AudioSpecificConfig, Av1Config, AvcConfig, HevcConfig, OpusHead, StreamInfo, VpxConfig,
};
use gstrtmp::flv::video::{CodecId, VideoCodec, VideoPayload};
use gstrtmp::flv::{AudioPacket, FourCc, VideoPacket};
use gstrtmp::message::{self, Control, Incoming};

/// C0, C1 and C2, or S0, S1 and S2.
const HANDSHAKE: usize = 1 + 1536 + 1536;

/// How a stream is handed to the reader.
#[derive(Clone, Copy, Debug)]
enum Arrival {
    AtOnce,
    InPieces(usize),
}

/// One stream and what an independent parser found in it.
struct Stream {
    name: &'static str,
    /// Messages by kind, in the order of [`kind`].
    counts: [usize; 6],
    /// Timestamp of the last message in milliseconds.
    last: u32,
    /// Whether the stream ends with its last message, not inside another.
    complete: bool,
}

const fn stream(name: &'static str, counts: [usize; 6], last: u32, complete: bool) -> Stream {
    Stream {
        name,
        counts,
        last,
        complete,
    }
}

#[rustfmt::skip]
const STREAMS: &[Stream] = &[
    stream("ffmpeglisten-ffmpeg-play.client", [1, 1, 6, 0, 0, 0], 0, true),
    stream("ffmpeglisten-ffmpeg-play.server", [3, 2, 5, 1, 132, 77], 3023, false),
    stream("ffmpeglisten-librtmp-publish.client", [0, 0, 6, 30, 147, 85], 3367, true),
    stream("ffmpeglisten-librtmp-publish.server", [3, 2, 7, 0, 0, 0], 0, true),
    stream("ffmpeglisten-rtmp2-play-FAILED.client", [2, 2, 3, 0, 0, 0], 0, true),
    stream("ffmpeglisten-rtmp2-play-FAILED.server", [3, 2, 4, 1, 183, 107], 4223, true),
    stream("nginx-ffmpeg-publish.client", [1, 0, 5, 1, 216, 126], 4983, true),
    stream("nginx-ffmpeg-publish.server", [3, 0, 3, 0, 0, 0], 0, true),
    stream("nginx-librtmp-play.client", [1, 2, 5, 0, 0, 0], 0, true),
    stream("nginx-librtmp-play.server", [3, 2, 3, 2, 215, 117], 0, true),
    stream("nginx-rtmp2-play.client", [2, 2, 3, 0, 0, 0], 0, true),
    stream("nginx-rtmp2-play.server", [3, 1, 3, 2, 210, 104], 14103, true),
    stream("nginx-rtmp2-publish.client", [2, 0, 5, 39, 271, 157], 6246, true),
    stream("nginx-rtmp2-publish.server", [3, 0, 3, 0, 0, 0], 0, true),
    stream("nginx-rtmpdump-vod-play.client", [1, 2, 3, 0, 0, 0], 0, true),
    stream("nginx-rtmpdump-vod-play.server", [3, 2, 3, 2, 637, 370], 14744, true),
    stream("nms2-ffmpeg-play.client", [1, 1, 4, 0, 0, 0], 1, false),
    stream("nms2-ffmpeg-play.server", [3, 1, 4, 2, 178, 104], 6130, true),
    stream("nms2-librtmp-publish.client", [0, 0, 5, 36, 229, 133], 5271, true),
    stream("nms2-librtmp-publish.server", [3, 0, 3, 0, 0, 0], 0, true),
    stream("nms2-rtmp2-publish.client", [2, 0, 5, 36, 228, 133], 5263, true),
    stream("nms2-rtmp2-publish.server", [3, 0, 3, 0, 0, 0], 0, true),
    stream("pyrtmp-ffmpeg-publish.client", [1, 0, 5, 1, 85, 50], 1943, true),
    stream("pyrtmp-ffmpeg-publish.server", [3, 2, 3, 0, 0, 0], 0, true),
    stream("pyrtmp-rtmp2-publish-FAILED.client", [1, 0, 5, 0, 0, 0], 0, true),
    stream("pyrtmp-rtmp2-publish-FAILED.server", [3, 2, 3, 0, 0, 0], 0, true),
    stream("rml-ffmpeg-publish.client", [1, 0, 6, 1, 175, 102], 4023, true),
    stream("rml-ffmpeg-publish.server", [3, 2, 4, 0, 0, 0], 128, true),
    stream("rml-rtmp2-publish.client", [2, 0, 5, 36, 229, 133], 5271, true),
    stream("rml-rtmp2-publish.server", [3, 2, 4, 0, 0, 0], 40, true),
    stream("rml-rtmpdump-play.client", [1, 2, 6, 0, 0, 0], 0, true),
    stream("rml-rtmpdump-play.server", [3, 2, 5, 3, 161, 95], 22743, true),
    stream("rtmprs-ffmpeg-publish.client", [1, 0, 5, 1, 135, 79], 3103, true),
    stream("rtmprs-ffmpeg-publish.server", [3, 2, 4, 0, 0, 0], 0, true),
    stream("rtmprs-ffmpeg9-av1-opus-play.client", [1, 1, 5, 0, 0, 0], 0, true),
    stream("rtmprs-ffmpeg9-av1-opus-play.server", [3, 2, 4, 0, 58, 43], 2674, true),
    stream("rtmprs-ffmpeg9-av1-opus-publish.client", [1, 0, 5, 1, 139, 44], 2740, true),
    stream("rtmprs-ffmpeg9-av1-opus-publish.server", [3, 2, 4, 0, 0, 0], 0, true),
    stream("rtmprs-ffmpeg9-h264-ac3-publish.client", [1, 0, 5, 1, 171, 83], 5405, true),
    stream("rtmprs-ffmpeg9-h264-ac3-publish.server", [3, 2, 4, 0, 0, 0], 0, true),
    stream("rtmprs-ffmpeg9-h264-flac-publish.client", [1, 0, 5, 1, 256, 83], 5400, true),
    stream("rtmprs-ffmpeg9-h264-flac-publish.server", [3, 2, 4, 0, 0, 0], 0, true),
    stream("rtmprs-ffmpeg9-hevc-aac-play.client", [1, 1, 4, 0, 0, 0], 1, false),
    stream("rtmprs-ffmpeg9-hevc-aac-play.server", [3, 2, 4, 0, 4, 44], 2733, true),
    stream("rtmprs-ffmpeg9-hevc-aac-publish.client", [1, 0, 6, 1, 145, 55], 0, false),
    stream("rtmprs-ffmpeg9-hevc-aac-publish.server", [3, 2, 5, 0, 0, 0], 0, true),
    stream("rtmprs-ffmpeg9-vp9-opus-publish.client", [1, 0, 6, 1, 162, 70], 0, false),
    stream("rtmprs-ffmpeg9-vp9-opus-publish.server", [3, 2, 5, 0, 0, 0], 0, true),
    stream("rtmprs-rtmpdump-play.client", [1, 2, 5, 0, 0, 0], 0, true),
    stream("rtmprs-rtmpdump-play.server", [3, 2, 4, 0, 173, 126], 22983, true),
    stream("scuffle-ffmpeg-publish.client", [1, 0, 5, 1, 90, 53], 2063, true),
    stream("scuffle-ffmpeg-publish.server", [3, 1, 3, 0, 0, 0], 0, true),
    stream("scuffle-librtmp-publish-FAILED.client", [1, 0, 2, 0, 0, 0], 0, true),
    stream("scuffle-librtmp-publish-FAILED.server", [3, 0, 1, 0, 0, 0], 0, true),
    stream("scuffle-rtmp2-publish-FAILED.client", [1, 0, 5, 0, 0, 0], 0, true),
    stream("scuffle-rtmp2-publish-FAILED.server", [3, 1, 3, 0, 0, 0], 0, true),
    stream("xiu-ffmpeg-publish.client", [1, 0, 5, 1, 133, 78], 3063, true),
    stream("xiu-ffmpeg-publish.server", [3, 1, 3, 0, 0, 0], 0, true),
    stream("xiu-librtmp-play.client", [117, 2, 5, 0, 0, 0], 0, true),
    stream("xiu-librtmp-play.server", [3, 2, 6, 1, 188, 110], 17345, true),
    stream("xiu-rtmp2-play-FAILED.client", [18, 2, 3, 0, 0, 0], 0, true),
    stream("xiu-rtmp2-play-FAILED.server", [3, 2, 6, 1, 169, 99], 11912, true),
];

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/captures"))
}

fn load(name: &str) -> Bytes {
    let bytes = fs::read(folder().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    Bytes::from(bytes).slice(HANDSHAKE..)
}

/// Reads `bytes` as a session would: what changes the chunk stream takes effect between messages.
fn read(name: &str, bytes: &Bytes, arrival: Arrival) -> (Vec<Message>, usize) {
    let piece = match arrival {
        Arrival::AtOnce => bytes.len().max(1),
        Arrival::InPieces(size) => size,
    };
    let mut reader = Reader::new();
    let mut input = BytesMut::new();
    let mut messages = Vec::new();
    for arrived in bytes.chunks(piece) {
        input.extend_from_slice(arrived);
        while let Some(message) = reader
            .read(&mut input)
            .unwrap_or_else(|error| panic!("{name}: {error}"))
        {
            match message::decode(message.clone()) {
                Ok(Incoming::Control(Control::SetChunkSize(size))) => reader.set_chunk_size(size),
                Ok(Incoming::Control(Control::Abort(chunk_stream))) => reader.abort(chunk_stream),
                Ok(_) => {}
                Err(error) => panic!("{name}: message {}: {error}", messages.len()),
            }
            messages.push(message);
        }
    }
    (messages, input.len())
}

/// The place of a message in [`Stream::counts`]; `None` is a kind that no recorded session contains.
fn kind(message: &Message) -> Option<usize> {
    match message::decode(message.clone()) {
        Ok(Incoming::Control(_)) => Some(0),
        Ok(Incoming::UserControl(_)) => Some(1),
        Ok(Incoming::Command(_)) => Some(2),
        Ok(Incoming::Data(_)) => Some(3),
        Ok(Incoming::Audio(_)) => Some(4),
        Ok(Incoming::Video(_)) => Some(5),
        Ok(Incoming::SharedObject | Incoming::Unknown(_)) | Err(_) => None,
    }
}

#[test]
fn every_stream_is_read_to_its_last_message() {
    for stream in STREAMS {
        let (messages, left) = read(stream.name, &load(stream.name), Arrival::AtOnce);
        let mut counts = [0; 6];
        for message in &messages {
            let kind = kind(message).unwrap_or_else(|| panic!("{}: {message:?}", stream.name));
            counts[kind] += 1;
        }
        assert_eq!(counts, stream.counts, "{}", stream.name);
        let last = messages.last().map(|message| message.timestamp.millis());
        assert_eq!(last, Some(stream.last), "{}", stream.name);
        if stream.complete {
            assert_eq!(left, 0, "{}", stream.name);
        }
    }
}

#[test]
fn pieces_of_any_size_make_the_same_messages() {
    for stream in STREAMS {
        let bytes = load(stream.name);
        let (whole, _) = read(stream.name, &bytes, Arrival::AtOnce);
        for size in [1, 7, 1448] {
            let (pieces, _) = read(stream.name, &bytes, Arrival::InPieces(size));
            assert!(pieces == whole, "{} in pieces of {size} bytes", stream.name);
        }
    }
}

#[test]
fn every_session_opens_with_connect_and_its_result() {
    for stream in STREAMS {
        let (messages, _) = read(stream.name, &load(stream.name), Arrival::AtOnce);
        let names: Vec<String> = messages
            .into_iter()
            .filter_map(|message| match message::decode(message) {
                Ok(Incoming::Command(command)) => Some(command.name.to_str_lossy().into_owned()),
                _ => None,
            })
            .collect();
        // rml_rtmp sends onBWDone before it answers.
        let first = names.iter().find(|name| *name != "onBWDone").map(String::as_str);
        let expected = if stream.name.ends_with(".client") {
            "connect"
        } else {
            "_result"
        };
        assert_eq!(first, Some(expected), "{}: {names:?}", stream.name);
    }
}

/// The packets of every audio and video message, and its payload.
type Packets<P> = Vec<(Bytes, Vec<P>)>;

/// Takes apart all media of a stream.
fn packets(name: &str) -> (Packets<AudioPacket>, Packets<VideoPacket>) {
    let (messages, _) = read(name, &load(name), Arrival::AtOnce);
    let (mut audio, mut video) = (Vec::new(), Vec::new());
    for message in messages {
        match message::decode(message) {
            Ok(Incoming::Audio(payload)) => {
                let packets: Result<Vec<_>, _> = AudioPacket::decode(&payload).collect();
                let packets = packets.unwrap_or_else(|error| panic!("{name}: {error}"));
                audio.push((payload, packets));
            }
            Ok(Incoming::Video(payload)) => {
                let packets: Result<Vec<_>, _> = VideoPacket::decode(&payload).collect();
                let packets = packets.unwrap_or_else(|error| panic!("{name}: {error}"));
                video.push((payload, packets));
            }
            _ => {}
        }
    }
    (audio, video)
}

#[test]
fn media_is_written_as_it_came() {
    let mut of_colours = 0;
    for stream in STREAMS {
        let name = stream.name;
        let (audio, video) = packets(name);
        assert_eq!([audio.len(), video.len()], stream.counts[4..], "{name}");
        for (payload, packets) in audio {
            let [packet] = &packets[..] else {
                panic!("{name}: {packets:?}")
            };
            let (head, body) = packet.encode().unwrap();
            assert!([head, body].concat() == payload, "{name}: {packet:?}");
        }
        for (payload, packets) in video {
            let [packet] = &packets[..] else {
                panic!("{name}: {packets:?}")
            };
            let (head, body) = packet.encode().unwrap();
            // Where FFmpeg says nothing of colours in an empty object, we say `undefined`.
            if matches!(packet.payload, VideoPayload::Metadata(color) if color.is_reset()) {
                of_colours += 1;
            } else {
                assert!([head, body].concat() == payload, "{name}: {packet:?}");
            }
        }
    }
    assert_eq!(of_colours, 5);
}

/// Bits of a sample as the configuration of a track tells them.
fn bit_depth(codec: VideoCodec, config: &Bytes) -> u8 {
    match codec {
        VideoCodec::Enhanced(FourCc::AV1) => {
            let read = Av1Config::decode(config).expect("a configuration that reads");
            assert_eq!(read.encode(), config);
            read.bit_depth
        }
        VideoCodec::Enhanced(FourCc::VP9) => {
            let read = VpxConfig::decode(config).expect("a configuration that reads");
            assert_eq!(read.encode(), config);
            read.bit_depth
        }
        VideoCodec::Enhanced(FourCc::HEVC) => {
            let read = HevcConfig::decode(config).expect("a configuration that reads");
            assert_eq!((read.profile, read.nal_length_size), (1, 4));
            read.bit_depth_luma
        }
        VideoCodec::Legacy(CodecId::Avc) => {
            let read = AvcConfig::decode(config).expect("a configuration that reads");
            // Constrained Baseline, which has no other depth.
            assert_eq!((read.profile, read.nal_length_size), (66, 4));
            8
        }
        other => panic!("{other:?}"),
    }
}

/// Sample rate and channels as the configuration of a track tells them, or its first frame.
fn sound(codec: AudioCodec, config: &Bytes, frame: &Bytes) -> (u32, u8) {
    match codec {
        AudioCodec::Legacy(SoundFormat::Aac) => {
            let read = AudioSpecificConfig::decode(config).expect("a configuration that reads");
            (read.sample_rate, read.channels.expect("a number of channels"))
        }
        AudioCodec::Enhanced(FourCc::OPUS) => {
            let read = OpusHead::decode(config).expect("a configuration that reads");
            assert_eq!(read.encode(), config);
            (read.input_sample_rate, read.channels)
        }
        AudioCodec::Enhanced(FourCc::FLAC) => {
            let read = StreamInfo::decode(config).expect("a configuration that reads");
            assert_eq!(read.encode_bare(), config);
            (read.sample_rate, read.channels)
        }
        AudioCodec::Enhanced(FourCc::AC3) => {
            assert!(config.is_empty());
            let read = Ac3Frame::decode(frame).expect("a syncframe");
            assert_eq!(read.size, frame.len());
            (read.sample_rate, read.channels)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn configurations_tell_what_was_encoded() {
    let enhanced = VideoCodec::Enhanced;
    let avc = VideoCodec::Legacy(CodecId::Avc);
    let aac = AudioCodec::Legacy(SoundFormat::Aac);
    let opus = AudioCodec::Enhanced(FourCc::OPUS);
    for (name, video_codec, audio_codec) in [
        ("av1-opus-publish.client", enhanced(FourCc::AV1), opus),
        ("av1-opus-play.server", enhanced(FourCc::AV1), opus),
        ("hevc-aac-publish.client", enhanced(FourCc::HEVC), aac),
        ("hevc-aac-play.server", enhanced(FourCc::HEVC), aac),
        ("vp9-opus-publish.client", enhanced(FourCc::VP9), opus),
        ("h264-ac3-publish.client", avc, AudioCodec::Enhanced(FourCc::AC3)),
        (
            "h264-flac-publish.client",
            avc,
            AudioCodec::Enhanced(FourCc::FLAC),
        ),
    ] {
        let (audio, video) = packets(&format!("rtmprs-ffmpeg9-{name}"));
        let video: Vec<_> = video.into_iter().flat_map(|(_, packets)| packets).collect();
        let audio: Vec<_> = audio.into_iter().flat_map(|(_, packets)| packets).collect();
        assert!(
            video.iter().all(|packet| packet.codec == Some(video_codec)),
            "{name}"
        );
        assert!(
            audio.iter().all(|packet| packet.codec == Some(audio_codec)),
            "{name}"
        );

        let config = video.iter().find_map(|packet| match &packet.payload {
            VideoPayload::SequenceStart(config) => Some(config),
            _ => None,
        });
        assert_eq!(bit_depth(video_codec, config.unwrap()), 8, "{name}");
        let first = video
            .iter()
            .find(|packet| matches!(packet.payload, VideoPayload::Frame { .. }));
        assert!(first.unwrap().frame.is_key(), "{name}");

        let config = audio.iter().find_map(|packet| match &packet.payload {
            AudioPayload::SequenceStart(config) => Some(config),
            _ => None,
        });
        let frame = audio.iter().find_map(|packet| match &packet.payload {
            AudioPayload::Frames(frame) => Some(frame),
            _ => None,
        });
        let sound = sound(audio_codec, config.unwrap(), frame.unwrap());
        assert_eq!(sound, (48_000, 1), "{name}");

        // FFmpeg adds the place of the one channel to all but AAC; rtmp-rs does not pass that on.
        let places = audio.iter().find_map(|packet| match &packet.payload {
            AudioPayload::ChannelConfig(config) => Some(config.clone()),
            _ => None,
        });
        let centre = ChannelConfig::Native(1 << Channel::FRONT_CENTER.id());
        let is_sent = audio_codec != aac && name.ends_with("publish.client");
        assert_eq!(places, is_sent.then_some(centre), "{name}");
    }
}

#[test]
fn every_file_is_tested() {
    let listed: BTreeSet<String> = STREAMS.iter().map(|stream| stream.name.to_owned()).collect();
    let present: BTreeSet<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "README.md")
        .collect();
    assert_eq!(listed, present);
}
