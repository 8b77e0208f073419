//! Enhanced RTMP with software that is not ours at the other end: a current FFmpeg and node-media-server. Each packet
//! has to arrive with its bytes, its times to the millisecond and its mark of a key frame.

#[path = "../examples/relay/mod.rs"]
mod relay;
mod support;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use gst::prelude::*;
use gstrtmp::flv::config::obu;

use relay::{Options, Relay};
use support::node::NodeMediaServer;
use support::pipeline::Pipeline;
use support::pyav::{self, Packet, Stream};
use support::wait::{self, LONG};
use support::{Context, Failure, Result, port, tags};

/// Without limits: what one branch waits for may be far ahead in another.
const QUEUE: &str = "queue max-size-buffers=0 max-size-bytes=0 max-size-time=0";

/// Packets of the shortest track: a second of FLAC in its longest blocks.
const FEWEST: usize = 12;

/// A signal from GStreamer's encoders.
struct Signal {
    /// FFmpeg's name of the codec.
    codec: &'static str,
    /// A pipeline as for `gst-launch-1.0`.
    encoder: &'static str,
}

impl Signal {
    /// The part of a pipeline that makes the track of this name, which begins with its kind.
    fn branch(&self, track: &str) -> String {
        let source = if track.starts_with("video") {
            PICTURES
        } else {
            SOUND
        };
        format!("{source} ! {} ! identity name={track}", self.encoder)
    }

    /// What is published of what was encoded: AV1 goes without the temporal delimiters that its encoder puts.
    fn content(&self) -> fn(Bytes) -> Bytes {
        if self.codec == AV1.codec {
            |data| obu::strip_temporal_delimiters(&data)
        } else {
            |data| data
        }
    }
}

const PICTURES: &str = "videotestsrc num-buffers=30 pattern=ball \
                        ! video/x-raw,format=I420,width=160,height=120,framerate=25/1";
const SOUND: &str =
    "audiotestsrc samplesperbuffer=1024 num-buffers=57 wave=ticks ! audio/x-raw,rate=48000,channels=2";

const H264: Signal = Signal {
    codec: "h264",
    encoder: "x264enc bframes=2 b-adapt=false key-int-max=10 speed-preset=superfast ! video/x-h264,stream-format=avc",
};
const HEVC: Signal = Signal {
    codec: "hevc",
    encoder: "x265enc key-int-max=10 speed-preset=superfast ! h265parse ! video/x-h265,stream-format=hvc1",
};
const AV1: Signal = Signal {
    codec: "libdav1d",
    encoder: "av1enc cpu-used=8 lag-in-frames=0 keyframe-max-dist=10 ! av1parse ! video/x-av1,stream-format=obu-stream",
};
const VP9: Signal = Signal {
    codec: "vp9",
    encoder: "vp9enc deadline=1 cpu-used=8 keyframe-max-dist=10 ! vp9parse",
};
const AAC: Signal = Signal {
    codec: "aac",
    encoder: "avenc_aac",
};
const OPUS: Signal = Signal {
    codec: "opus",
    encoder: "opusenc",
};
const FLAC: Signal = Signal {
    codec: "flac",
    encoder: "flacenc ! flacparse",
};
const AC3: Signal = Signal {
    codec: "ac3",
    encoder: "avenc_ac3 ! ac3parse",
};
const EAC3: Signal = Signal {
    codec: "eac3",
    encoder: "avenc_eac3 ! ac3parse",
};

/// Pictures and sound that go together.
const PAIRS: [[Signal; 2]; 5] = [[HEVC, AAC], [AV1, OPUS], [VP9, FLAC], [H264, AC3], [H264, EAC3]];

/// What goes into an element.
struct Capture {
    /// Gives what has to come out at the other end.
    content: fn(Bytes) -> Bytes,
    captured: Arc<Mutex<Captured>>,
}

/// What went in so far.
#[derive(Default)]
struct Captured {
    segment: gst::FormattedSegment<gst::ClockTime>,
    /// Running times in nanoseconds, PTS and DTS.
    buffers: Vec<(i64, i64, gst::Buffer)>,
    faults: Vec<String>,
}

impl Captured {
    fn event(&mut self, event: &gst::Event) {
        if let gst::EventView::Segment(event) = event.view() {
            match event.segment().clone().downcast() {
                Ok(segment) => self.segment = segment,
                Err(segment) => self.faults.push(format!("a segment of {:?}", segment.format())),
            }
        }
    }

    fn buffer(&mut self, buffer: &gst::Buffer) {
        // Sound may have headers in buffers of their own; pictures have theirs in front.
        let is_header = buffer.flags().contains(gst::BufferFlags::HEADER) && buffer.pts().is_none();
        if is_header {
            return;
        }
        let running = |time: Option<gst::ClockTime>| {
            let time = self.segment.to_running_time_full(time?)?;
            let nanos = time.abs().nseconds().cast_signed();
            Some(if time.is_negative() { -nanos } else { nanos })
        };
        match running(buffer.pts()) {
            Some(pts) => {
                let dts = running(buffer.dts()).unwrap_or(pts);
                self.buffers.push((pts, dts, buffer.clone()));
            }
            None => self.faults.push(format!("a buffer without a time: {buffer:?}")),
        }
    }
}

impl Capture {
    /// Captures what goes into the element `name` from now on.
    fn at(pipeline: &Pipeline, name: &str, content: fn(Bytes) -> Bytes) -> Result<Self> {
        let capture = Self {
            content,
            captured: Arc::default(),
        };
        let captured = Arc::clone(&capture.captured);
        let pad = pipeline
            .element(name)?
            .static_pad("sink")
            .ok_or_else(|| Failure::new(format!("{name} has no pad sink")))?;
        let kinds = gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM;
        pad.add_probe(kinds, move |_, info| {
            let mut captured = captured.lock().unwrap_or_else(PoisonError::into_inner);
            match &info.data {
                Some(gst::PadProbeData::Event(event)) => captured.event(event),
                Some(gst::PadProbeData::Buffer(buffer)) => captured.buffer(buffer),
                _ => {}
            }
            gst::PadProbeReturn::Ok
        });
        Ok(capture)
    }

    fn lock(&self) -> MutexGuard<'_, Captured> {
        self.captured.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn len(&self) -> usize {
        self.lock().buffers.len()
    }
}

/// What was captured, with times after the earliest of all decoding times.
fn packets(captures: &[Capture]) -> Result<Vec<Vec<Packet>>> {
    let captures: Vec<_> = captures
        .iter()
        .map(|capture| (capture.content, capture.lock()))
        .collect();
    let buffers = captures.iter().flat_map(|(_, captured)| &captured.buffers);
    let origin = buffers.map(|(_, dts, _)| *dts).min().unwrap_or_default();
    let millis = |time: i64| (time - origin + 500_000).div_euclid(1_000_000);
    captures
        .iter()
        .map(|(content, captured)| {
            if let [fault, ..] = &captured.faults[..] {
                return Err(Failure::new(fault));
            }
            let packet = |(pts, dts, buffer): &(i64, i64, gst::Buffer)| -> Result<_> {
                let data = content(tags::bytes(buffer.clone())?);
                Ok(Packet {
                    pts: millis(*pts),
                    dts: millis(*dts),
                    size: data.len(),
                    is_key: !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT),
                    md5: tags::md5(&data),
                })
            };
            captured.buffers.iter().map(packet).collect()
        })
        .collect()
}

/// What FFmpeg read in the streams of `codecs`, and no others, with times after the earliest of all decoding times.
fn read(streams: &[Stream], codecs: &[&str]) -> Result<Vec<Vec<Packet>>> {
    // It makes a stream of text of metadata that comes later.
    let streams: Vec<_> = streams
        .iter()
        .filter(|stream| stream.media != "subtitle")
        .collect();
    let mut found: Vec<_> = streams.iter().map(|stream| stream.codec.as_str()).collect();
    let mut wanted = codecs.to_vec();
    found.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(found, wanted, "what FFmpeg found");
    let packets = streams.iter().flat_map(|stream| &stream.packets);
    let origin = packets.map(|packet| packet.dts).min().unwrap_or_default();
    codecs
        .iter()
        .map(|codec| {
            let stream = streams.iter().find(|stream| stream.codec == **codec);
            let stream = stream.ok_or(Failure::new("a stream has gone"))?;
            Ok(rebased(&stream.packets, origin))
        })
        .collect()
}

/// Times after `origin`.
fn rebased(packets: &[Packet], origin: i64) -> Vec<Packet> {
    let packets = packets.iter().cloned().map(|packet| Packet {
        pts: packet.pts - origin,
        dts: packet.dts - origin,
        ..packet
    });
    packets.collect()
}

/// One track of several as if it were alone.
fn alone(packets: &[Packet]) -> Vec<Packet> {
    let origin = packets.iter().map(|packet| packet.dts).min();
    rebased(packets, origin.unwrap_or_default())
}

/// Compares track by track, and says of the first difference where it is.
fn assert_same(case: &str, sent: &[Vec<Packet>], got: &[Vec<Packet>]) {
    assert_eq!(got.len(), sent.len(), "{case}: tracks");
    for (track, (sent, got)) in sent.iter().zip(got).enumerate() {
        assert!(
            sent.len() >= FEWEST,
            "{case}: track {track} has {} packets",
            sent.len()
        );
        for (index, (sent, got)) in sent.iter().zip(got).enumerate() {
            assert_eq!(got, sent, "{case}: packet {index} of track {track}");
        }
        assert_eq!(got.len(), sent.len(), "{case}: packets of track {track}");
    }
}

fn start() -> Result<Relay> {
    Relay::start(Options::default()).context("starting the relay")
}

fn wait_for_players(relay: &Relay, n: usize) -> Result<()> {
    relay.wait_for(LONG, |snapshot| snapshot.players("live/main").count() == n)?;
    Ok(())
}

/// A pipeline that plays, and what its tracks bring.
struct Player {
    pipeline: Pipeline,
    tracks: Vec<Capture>,
}

impl Player {
    /// A running pipeline that has sinks of the names `tracks`.
    fn new(description: &str, tracks: &[&str]) -> Result<Self> {
        let pipeline = Pipeline::new(description)?;
        let tracks: Result<_> = tracks
            .iter()
            .map(|track| Capture::at(&pipeline, track, |data| data))
            .collect();
        let tracks = tracks?;
        pipeline.play()?;
        Ok(Self { pipeline, tracks })
    }

    /// By `rtmpsrcbin`.
    fn bin(location: &str, tracks: &[&str]) -> Result<Self> {
        let line = format!("rtmpsrcbin name=src location={location} no-eof-is-error=false");
        Self::new(&format!("{line} {}", Self::sinks(tracks)), tracks)
    }

    /// By `rtmpdemux` behind `rtmpsrc`.
    fn demuxed(location: &str, tracks: &[&str]) -> Result<Self> {
        let line = format!("rtmpsrc location={location} ! rtmpdemux name=src");
        Self::new(&format!("{line} {}", Self::sinks(tracks)), tracks)
    }

    /// The first track of a kind, by `rtmpsrc` alone.
    fn one_track(location: &str, caps: &str) -> Result<Self> {
        let line = format!("rtmpsrc location={location} ! {caps} ! fakesink name=track sync=false");
        Self::new(&line, &["track"])
    }

    fn sinks(tracks: &[&str]) -> String {
        let sink = |track| format!("src.{track} ! {QUEUE} ! fakesink name={track} sync=false async=false");
        tracks.iter().map(sink).collect::<Vec<_>>().join(" ")
    }

    /// What has come until the end of the stream.
    fn packets(self) -> Result<Vec<Vec<Packet>>> {
        self.pipeline.wait_for_eos()?;
        packets(&self.tracks)
    }
}

/// A pipeline that encodes signals, and what goes into the muxer or sink.
struct Publisher {
    pipeline: Pipeline,
    tracks: Vec<Capture>,
}

impl Publisher {
    /// `into` begins the description, and has an element of the name `to` with pads of the names of the tracks.
    fn new(into: &str, signals: &[(&str, &Signal)]) -> Result<Self> {
        let branch =
            |(track, signal): &(&str, &Signal)| format!("{} ! {QUEUE} ! to.{track}", signal.branch(track));
        let branches = signals.iter().map(branch).collect::<Vec<_>>().join(" ");
        let pipeline = Pipeline::new(&format!("{into} {branches}"))?;
        let tracks: Result<_> = signals
            .iter()
            .map(|(track, signal)| Capture::at(&pipeline, track, signal.content()))
            .collect();
        Ok(Self {
            tracks: tracks?,
            pipeline,
        })
    }

    /// By `rtmpsinkbin`.
    fn bin(location: &str, signals: &[(&str, &Signal)]) -> Result<Self> {
        let into = format!("rtmpsinkbin name=to location={location} sync=false");
        Self::new(&into, signals)
    }

    /// By `rtmpsink` behind `rtmpmux`.
    fn muxed(location: &str, signals: &[(&str, &Signal)]) -> Result<Self> {
        let into = format!("rtmpmux name=to ! rtmpsink location={location} sync=false");
        Self::new(&into, signals)
    }

    /// By `rtmpsink` alone.
    fn one_track(location: &str, track: &str, signal: &Signal) -> Result<Self> {
        let branch = signal.branch(track);
        let line = format!("{branch} ! rtmpsink location={location} sync=false");
        let pipeline = Pipeline::new(&line)?;
        Ok(Self {
            tracks: vec![Capture::at(&pipeline, track, signal.content())?],
            pipeline,
        })
    }

    /// What was published, up to the end of the signals.
    fn run(self) -> Result<Vec<Vec<Packet>>> {
        self.pipeline.play()?;
        self.pipeline.wait_for_eos()?;
        packets(&self.tracks)
    }
}

/// A file of FFmpeg's own, and what FFmpeg itself reads in it.
fn encode(file: &Path, encoders: &[&str], codecs: &[&str]) -> Result<Vec<Vec<Packet>>> {
    pyav::encode(file, encoders)?;
    read(&pyav::streams(file)?, codecs)
}

#[test]
fn every_codec_that_ffmpeg_publishes_arrives() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("sent.flv");
    for (encoders, codecs, caps) in [
        (
            ["libx265", "aac"],
            ["hevc", "aac"],
            ["video/x-h265", "audio/mpeg"],
        ),
        (
            ["libsvtav1", "libopus"],
            ["libdav1d", "opus"],
            ["video/x-av1", "audio/x-opus"],
        ),
        (
            ["libvpx-vp9", "flac"],
            ["vp9", "flac"],
            ["video/x-vp9", "audio/x-flac"],
        ),
        (
            ["libx264", "ac3"],
            ["h264", "ac3"],
            ["video/x-h264", "audio/x-ac3"],
        ),
        (
            ["libx264", "eac3"],
            ["h264", "eac3"],
            ["video/x-h264", "audio/x-eac3"],
        ),
    ] {
        let sent = encode(&file, &encoders, &codecs)?;
        let relay = start()?;
        let location = relay.url("live", "main");
        let tracks = ["video_0", "audio_0"];
        let bin = Player::bin(&location, &tracks)?;
        let demuxed = Player::demuxed(&location, &tracks)?;
        let [pictures, sound] = caps.map(|caps| Player::one_track(&location, caps));
        let (pictures, sound) = (pictures?, sound?);
        wait_for_players(&relay, 4)?;
        pyav::publish(&file, &location)?.succeed(LONG)?;
        let case = encoders.join(" and ");
        assert_same(&format!("{case}, rtmpsrcbin"), &sent, &bin.packets()?);
        assert_same(&format!("{case}, rtmpdemux"), &sent, &demuxed.packets()?);
        for (sent, player) in sent.iter().zip([pictures, sound]) {
            assert_same(&format!("{case}, rtmpsrc"), &[alone(sent)], &player.packets()?);
        }
    }
    Ok(())
}

#[test]
fn every_track_that_ffmpeg_publishes_arrives() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("sent.flv");
    let encoders = ["libx264", "libx265", "aac", "libopus"];
    let sent = encode(&file, &encoders, &["h264", "hevc", "aac", "opus"])?;
    let relay = start()?;
    let location = relay.url("live", "main");
    let tracks = ["video_0", "video_1", "audio_0", "audio_1"];
    let bin = Player::bin(&location, &tracks)?;
    let demuxed = Player::demuxed(&location, &tracks)?;
    wait_for_players(&relay, 2)?;
    pyav::publish(&file, &location)?.succeed(LONG)?;
    assert_same("rtmpsrcbin", &sent, &bin.packets()?);
    assert_same("rtmpdemux", &sent, &demuxed.packets()?);
    Ok(())
}

#[test]
fn ffmpeg_gets_every_codec_that_is_muxed() -> Result<()> {
    for [pictures, sound] in &PAIRS {
        for (case, publisher) in [
            ("rtmpsinkbin", Publisher::bin as fn(&str, &[(&str, &Signal)]) -> _),
            ("rtmpmux", Publisher::muxed),
        ] {
            let case = format!("{case}, {} and {}", pictures.codec, sound.codec);
            let relay = start()?;
            let location = relay.url("live", "main");
            let player = pyav::play(&location)?;
            wait_for_players(&relay, 1)?;
            let publisher: Result<Publisher> =
                publisher(&location, &[("video_0", pictures), ("audio_0", sound)]);
            let sent = publisher?.run().context(&case)?;
            let got = player.streams().context(&case)?;
            assert_same(&case, &sent, &read(&got, &[pictures.codec, sound.codec])?);
        }
    }
    Ok(())
}

#[test]
fn ffmpeg_gets_every_codec_that_is_published_alone() -> Result<()> {
    let videos = [&H264, &HEVC, &AV1, &VP9].map(|signal| ("video", signal));
    let audios = [&AAC, &OPUS, &FLAC, &AC3, &EAC3].map(|signal| ("audio", signal));
    for (kind, signal) in videos.into_iter().chain(audios) {
        let relay = start()?;
        let location = relay.url("live", "main");
        let player = pyav::play(&location)?;
        wait_for_players(&relay, 1)?;
        let sent = Publisher::one_track(&location, kind, signal)?.run()?;
        let got = player.streams().context(signal.codec)?;
        assert_same(signal.codec, &sent, &read(&got, &[signal.codec])?);
    }
    Ok(())
}

#[test]
fn ffmpeg_gets_every_track() -> Result<()> {
    let relay = start()?;
    let location = relay.url("live", "main");
    let player = pyav::play(&location)?;
    wait_for_players(&relay, 1)?;
    let signals = [
        ("video_0", &H264),
        ("video_1", &HEVC),
        ("audio_0", &AAC),
        ("audio_1", &OPUS),
    ];
    let sent = Publisher::bin(&location, &signals)?.run()?;
    let got = player.streams()?;
    let codecs = signals.map(|(_, signal)| signal.codec);
    assert_same("four tracks", &sent, &read(&got, &codecs)?);
    Ok(())
}

#[test]
fn ffmpeg_serves_rtmpsinkbin() -> Result<()> {
    let [port] = port::free()?;
    let location = format!("rtmp://127.0.0.1:{port}/live/main");
    let server = pyav::serve_publisher(&location)?;
    port::wait_for_listener(port)?;
    let sent = Publisher::bin(&location, &[("video_0", &HEVC), ("audio_0", &OPUS)])?.run()?;
    let got = server.streams()?;
    assert_same("HEVC and Opus", &sent, &read(&got, &["hevc", "opus"])?);
    Ok(())
}

#[test]
fn ffmpeg_serves_rtmpsrcbin() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("sent.flv");
    let sent = encode(&file, &["libx265", "libopus"], &["hevc", "opus"])?;
    let [port] = port::free()?;
    let location = format!("rtmp://127.0.0.1:{port}/live/main");
    let server = pyav::serve_player(&file, &location)?;
    port::wait_for_listener(port)?;
    let player = Player::bin(&location, &["video_0", "audio_0"])?;
    server.succeed(LONG)?;
    assert_same("HEVC and Opus", &sent, &player.packets()?);
    Ok(())
}

#[test]
fn node_media_server_relays() -> Result<()> {
    let server = NodeMediaServer::start()?;
    for (pictures, sound) in [(&HEVC, &OPUS), (&HEVC, &AAC), (&AV1, &FLAC)] {
        let case = format!("{} and {}", pictures.codec, sound.codec);
        let location = server.url(&format!("{}-{}", pictures.codec, sound.codec));
        let player = Player::bin(&location, &["video_0", "audio_0"])?;
        player.pipeline.wait_for_status("NetStream.Play.Start")?;
        let signals = [("video_0", pictures), ("audio_0", sound)];
        let sent = Publisher::bin(&location, &signals)?.run().context(&case)?;
        // The server does not say that the stream has ended.
        wait::until("all packets", LONG, || {
            let mut tracks = player.tracks.iter().zip(&sent);
            tracks.all(|(got, sent)| got.len() >= sent.len()).then_some(())
        })
        .context(&case)?;
        assert_same(&case, &sent, &packets(&player.tracks)?);
    }
    Ok(())
}
