//! Recorded sessions of FFmpeg 9, whose tags are of Enhanced RTMP, down to what parsers and decoders of GStreamer make
//! of the buffers. What each is: `tests/data/captures/README.md`.

use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;

use super::encoders::decode_with;
use super::*;
use crate::session::{
    ClientConfig, Event, Input, Intent, Media, MediaKind, PlayStart, ServerConfig, Session,
};

/// What a client published, as a server that agrees to everything is told, or what a server sent to who plays.
fn media(name: &str) -> Vec<Media> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/captures");
    let bytes = std::fs::read(format!("{folder}/{name}")).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut input = BytesMut::from(&bytes[..]);
    let now = Instant::now();
    let mut session = if name.ends_with(".client") {
        Session::server(Arc::new(ServerConfig::new([9; 32])), now)
    } else {
        let intent = Intent::Play {
            start: PlayStart::Any,
            buffer_length: 0,
        };
        let config = ClientConfig::new(
            intent,
            "live".into(),
            "rtmp://host/live".into(),
            "key".into(),
            [9; 32],
        );
        Session::client(Arc::new(config), now)
    };
    let mut media = Vec::new();
    let mut is_over = false;
    while !is_over {
        let before = input.len();
        session.handle_input(now, Input::Stream(&mut input)).unwrap();
        is_over = input.len() == before;
        while let Some(event) = session.poll_event() {
            is_over = false;
            match event {
                Event::Requested(request) => session.answer(now, &request, Ok(())).unwrap(),
                Event::Media(message) => media.push(message),
                _ => {}
            }
        }
    }
    media
}

/// What a track comes to.
#[derive(Default)]
struct Track {
    caps: Vec<gst::Caps>,
    buffers: Vec<gst::Buffer>,
    ends: usize,
}

impl Track {
    fn take(&mut self, output: Output) {
        self.caps.extend(output.caps);
        self.buffers.extend(output.buffer);
        self.ends += usize::from(output.mark == Some(Mark::SequenceEnd));
    }
}

fn play(name: &str) -> (Track, Track) {
    gst::init().unwrap();
    let mut audio = TrackDecoder::new(TrackKind::Audio);
    let mut video = TrackDecoder::new(TrackKind::Video);
    video.wait_for_key_frame();
    let (mut sound, mut pictures) = (Track::default(), Track::default());
    for message in media(name) {
        let time = gst::ClockTime::from_mseconds(message.timestamp.millis().into());
        match message.kind {
            MediaKind::Audio => {
                for packet in AudioPacket::decode(&message.body) {
                    sound.take(audio.audio(packet.unwrap(), time).unwrap());
                }
            }
            MediaKind::Video => {
                for packet in VideoPacket::decode(&message.body) {
                    pictures.take(video.video(packet.unwrap(), time).unwrap());
                }
            }
            MediaKind::Data => {
                if let Some(metadata) = Metadata::parse(message.body) {
                    let known = TrackMetadata::of(&metadata, TrackKind::Video, 0);
                    pictures.caps.extend(video.set_metadata(known));
                }
            }
        }
    }
    (sound, pictures)
}

/// Caps but for the bytes of headers, which decoders look at.
fn without_headers(caps: &gst::Caps) -> gst::Caps {
    let mut structure = caps.structure(0).unwrap().to_owned();
    structure.remove_field("codec_data");
    structure.remove_field("streamheader");
    structure.into()
}

const OPUS: &str =
    "audio/x-opus, rate=48000, channels=1, channel-mapping-family=0, stream-count=1, coupled-count=0";
const AAC: &str = "audio/mpeg, mpegversion=4, framed=true, stream-format=raw, rate=48000, channels=1, \
    base-profile=lc, profile=lc";
const AC3: &str = "audio/x-ac3, framed=true, alignment=frame, rate=48000, channels=1";
const FLAC: &str = "audio/x-flac, framed=true, rate=48000, channels=1";

const AV1: &str = "video/x-av1, stream-format=obu-stream, alignment=tu, profile=main, chroma-format=4:2:0, \
    bit-depth-luma=(uint)8, bit-depth-chroma=(uint)8";
const HEVC: &str = "video/x-h265, stream-format=hvc1, alignment=au, profile=main, tier=main, level=(string)1, \
    chroma-format=4:2:0, bit-depth-luma=(uint)8, bit-depth-chroma=(uint)8";
const VP9: &str = "video/x-vp9, profile=(string)0, chroma-format=4:2:0, bit-depth-luma=(uint)8, \
    bit-depth-chroma=(uint)8";
const AVC: &str =
    "video/x-h264, stream-format=avc, alignment=au, profile=constrained-baseline, level=(string)1.2";

/// What the metadata says; a server that plays does not pass it on.
const SIZE: &str = ", width=160, height=90, framerate=15/1";

#[test]
fn ffmpeg_9_is_read_and_decoded_with_the_caps_of_its_codecs() {
    // All of them start at a key frame, so that every picture is decoded.
    for (name, audio, sounds, video, size, pictures) in [
        ("av1-opus-publish.client", OPUS, 137, AV1, SIZE, 42),
        ("av1-opus-play.server", OPUS, 57, AV1, "", 41),
        ("hevc-aac-publish.client", AAC, 144, HEVC, SIZE, 53),
        ("hevc-aac-play.server", AAC, 3, HEVC, "", 42),
        ("vp9-opus-publish.client", OPUS, 160, VP9, SIZE, 68),
        ("h264-ac3-publish.client", AC3, 169, AVC, SIZE, 82),
        ("h264-flac-publish.client", FLAC, 254, AVC, SIZE, 82),
    ] {
        let (sound, picture) = play(&format!("rtmprs-ffmpeg9-{name}"));
        assert_eq!(
            sound.caps.iter().map(without_headers).collect::<Vec<_>>(),
            [caps(audio)],
            "{name}"
        );
        let video = caps(&format!("{video}{size}"));
        assert_eq!(
            picture.caps.iter().map(without_headers).collect::<Vec<_>>(),
            [video],
            "{name}"
        );
        assert_eq!(
            (sound.buffers.len(), picture.buffers.len()),
            (sounds, pictures),
            "{name}"
        );
        assert_eq!(
            (sound.ends, picture.ends),
            (0, 0),
            "{name}: FFmpeg ends no tracks"
        );
        for (track, frames) in [(&sound, sounds), (&picture, pictures)] {
            let decoded = decode_with(&track.caps[0], &track.buffers, "decodebin");
            assert_eq!(decoded.len(), frames, "{name}");
        }
    }
}
