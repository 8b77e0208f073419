//! What real servers sent to real clients, replayed to a client session: it asks in the same order and with the
//! same transaction ids as ffmpeg and librtmp, so that their answers are its own.

use std::fs;

use super::*;

/// Captures of sessions that went well: server and client, whether it published, messages of audio and video.
/// The rest of the folder is GStreamer's rtmp2sink, which numbers its commands differently, and streams in
/// Enhanced RTMP that say nothing new at this layer.
const SESSIONS: [(&str, u64, u64); 16] = [
    ("ffmpeglisten-ffmpeg-play", 132, 77),
    ("ffmpeglisten-librtmp-publish", 0, 0),
    ("ffmpeglisten-rtmp2-play-FAILED", 183, 107),
    ("nginx-ffmpeg-publish", 0, 0),
    ("nginx-librtmp-play", 215, 117),
    ("nginx-rtmp2-play", 210, 104),
    ("nginx-rtmpdump-vod-play", 637, 370),
    ("nms2-ffmpeg-play", 178, 104),
    ("nms2-librtmp-publish", 0, 0),
    ("pyrtmp-ffmpeg-publish", 0, 0),
    ("rml-ffmpeg-publish", 0, 0),
    ("rml-rtmpdump-play", 161, 95),
    ("rtmprs-rtmpdump-play", 173, 126),
    ("scuffle-ffmpeg-publish", 0, 0),
    ("xiu-ffmpeg-publish", 0, 0),
    ("xiu-librtmp-play", 188, 110),
];

fn load(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/captures");
    fs::read(format!("{folder}/{name}.server")).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn config(name: &str) -> ClientConfig {
    if name.contains("publish") {
        to_publish()
    } else {
        to_play()
    }
}

#[test]
fn recorded_servers_lead_to_media() {
    for (name, audio, video) in SESSIONS {
        let mut script = Script::server_for(config(name));
        let bytes = load(name);
        for piece in bytes.chunks(4321) {
            script
                .raw(piece)
                .unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        let told = script.told();
        assert_eq!(told[0], "connected", "{name}");
        assert!(told.contains(&"ready".to_owned()), "{name}: {told:?}");
        let count = |kind| told.iter().filter(|line| line.starts_with(kind)).count() as u64;
        assert_eq!((count("Audio "), count("Video ")), (audio, video), "{name}");
    }
}

#[test]
fn recorded_servers_are_understood_at_every_split_point() {
    for name in [
        "nginx-ffmpeg-publish",
        "pyrtmp-ffmpeg-publish",
        "rml-ffmpeg-publish",
    ] {
        let bytes = load(name);
        let run = |pieces: &[&[u8]]| {
            let mut script = Script::server_for(config(name));
            for piece in pieces {
                script.raw(piece).unwrap();
            }
            (script.told(), script.hear())
        };
        let whole = run(&[&bytes]);
        assert!(whole.0.contains(&"ready".to_owned()));
        // The packets of the handshake have tests of their own; here it is enough to cut around them.
        for split in (0..3).chain(1530..1540).chain(HANDSHAKE - 2..=bytes.len()) {
            let (a, b) = bytes.split_at(split);
            assert_eq!(run(&[a, b]), whole, "{name} split at {split}");
        }
        assert_eq!(
            run(&bytes.chunks(1).collect::<Vec<_>>()),
            whole,
            "{name} byte by byte"
        );
    }
}
