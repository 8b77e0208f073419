//! What real servers sent to real clients, replayed to a client session, and the other way round. A client
//! session asks in the same order and with the same transaction ids as ffmpeg and librtmp, so that their answers
//! are its own; a server session numbers its streams from 1, as all these servers did.

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

/// The same for clients: messages of data, audio and video that they published. Whether the session went well
/// was up to the server that they met.
const CLIENTS: [(&str, u64, u64, u64); 21] = [
    ("ffmpeglisten-ffmpeg-play", 0, 0, 0),
    ("ffmpeglisten-librtmp-publish", 30, 147, 85),
    ("ffmpeglisten-rtmp2-play-FAILED", 0, 0, 0),
    ("nginx-ffmpeg-publish", 1, 216, 126),
    ("nginx-librtmp-play", 0, 0, 0),
    ("nginx-rtmp2-play", 0, 0, 0),
    ("nginx-rtmp2-publish", 39, 271, 157),
    ("nginx-rtmpdump-vod-play", 0, 0, 0),
    ("nms2-ffmpeg-play", 0, 0, 0),
    ("nms2-librtmp-publish", 36, 229, 133),
    ("nms2-rtmp2-publish", 36, 228, 133),
    ("pyrtmp-ffmpeg-publish", 1, 85, 50),
    ("rml-rtmp2-publish", 36, 229, 133),
    ("rml-rtmpdump-play", 0, 0, 0),
    ("rtmprs-ffmpeg9-av1-opus-publish", 1, 139, 44),
    ("rtmprs-ffmpeg9-hevc-aac-publish", 1, 145, 55),
    ("rtmprs-ffmpeg9-vp9-opus-publish", 1, 162, 70),
    ("scuffle-ffmpeg-publish", 1, 90, 53),
    ("xiu-ffmpeg-publish", 1, 133, 78),
    ("xiu-librtmp-play", 0, 0, 0),
    ("xiu-rtmp2-play-FAILED", 0, 0, 0),
];

fn load(name: &str, side: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/captures");
    fs::read(format!("{folder}/{name}.{side}")).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Feeds `pieces` to a server session that agrees to everything, and tells its events.
fn serve<'a>(name: &str, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
    let mut script = Script::client_of(to_serve());
    let mut events = Vec::new();
    for piece in pieces {
        let mut result = script.raw(piece);
        loop {
            result.unwrap_or_else(|error| panic!("{name}: {error}"));
            let Some(event) = script.session.poll_event() else {
                break;
            };
            result = if let Event::Requested(request) = &event {
                let answered = script.session.answer(script.now, request, Ok(()));
                answered.and_then(|()| script.resume())
            } else {
                Ok(())
            };
            events.push(describe(event));
        }
    }
    events
}

fn count(told: &[String], kind: &str) -> u64 {
    told.iter().filter(|line| line.starts_with(kind)).count() as u64
}

fn config(name: &str) -> ClientConfig {
    in_lock_step(if name.contains("publish") {
        to_publish()
    } else {
        to_play()
    })
}

#[test]
fn recorded_servers_lead_to_media() {
    for (name, audio, video) in SESSIONS {
        let mut script = Script::server_for(config(name));
        let bytes = load(name, "server");
        for piece in bytes.chunks(4321) {
            script
                .raw(piece)
                .unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        let told = script.told();
        assert_eq!(told[0], "connected", "{name}");
        assert!(told.contains(&"ready".to_owned()), "{name}: {told:?}");
        assert_eq!(
            (count(&told, "Audio "), count(&told, "Video ")),
            (audio, video),
            "{name}"
        );
    }
}

#[test]
fn recorded_servers_are_understood_at_every_split_point() {
    for name in [
        "nginx-ffmpeg-publish",
        "pyrtmp-ffmpeg-publish",
        "rml-ffmpeg-publish",
    ] {
        let bytes = load(name, "server");
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

#[test]
fn recorded_clients_are_served() {
    for (name, data, audio, video) in CLIENTS {
        let bytes = load(name, "client");
        let told = serve(name, bytes.chunks(4321));
        assert!(told[0].starts_with("asks to connect to "), "{name}");
        let asked = if name.contains("publish") {
            "asks to publish "
        } else {
            "asks to play "
        };
        assert_eq!(count(&told, asked), 1, "{name}");
        assert_eq!(count(&told, "ready"), 1, "{name}");
        let counts = ["Data ", "Audio ", "Video "].map(|kind| count(&told, kind));
        assert_eq!(counts, [data, audio, video], "{name}");
    }
}

#[test]
fn recorded_clients_are_understood_at_every_split_point() {
    for name in ["nginx-ffmpeg-publish", "nginx-rtmp2-play", "xiu-librtmp-play"] {
        let mut bytes = load(name, "client");
        bytes.truncate(HANDSHAKE + 1500);
        let whole = serve(name, [&bytes[..]]);
        assert_eq!(count(&whole, "ready"), 1);
        for split in (0..3).chain(1530..1540).chain(HANDSHAKE - 2..=bytes.len()) {
            let (a, b) = bytes.split_at(split);
            assert_eq!(serve(name, [a, b]), whole, "{name} split at {split}");
        }
        assert_eq!(serve(name, bytes.chunks(1)), whole, "{name} byte by byte");
    }
}
