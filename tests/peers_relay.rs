//! The embedded server between the elements and everybody else: ffmpeg, rtmpdump, and GStreamer's own elements, which
//! run in processes that do not see this plugin.

#[path = "../examples/relay/mod.rs"]
mod relay;
mod support;

use std::path::Path;

use relay::{Options, Relay};
use support::ffmpeg::{self, Form, Pace, utf8};
use support::gstreamer::GStreamer;
use support::pipeline::{PICTURES, Pipeline, publisher};
use support::wait::{self, LONG};
use support::{Context, Result, rtmpdump, tags};

fn start() -> Result<Relay> {
    Relay::start(Options::default()).context("starting the relay")
}

/// A GStreamer whose `rtmpsrc` and `rtmpsink` are librtmp's.
fn stock_gstreamer() -> Result<GStreamer> {
    let gstreamer = GStreamer::without_plugin()?;
    let shown = gstreamer.inspect("rtmpsink")?;
    let shown = String::from_utf8_lossy(&shown.stdout);
    assert!(shown.contains("GstRTMPSink"), "{shown}");
    Ok(gstreamer)
}

fn wait_for_players(relay: &Relay, n: usize) -> Result<()> {
    relay.wait_for(LONG, |snapshot| snapshot.players("live/main").count() == n)?;
    Ok(())
}

#[test]
fn everybody_gets_what_rtmpsink_publishes() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let gstreamer = stock_gstreamer()?;
    let relay = start()?;
    let location = relay.url("live", "main");
    let [sent, by_ffmpeg, by_rtmpdump, by_rtmp2src, by_librtmp, by_rtmpsrc] =
        ["sent", "ffmpeg", "rtmpdump", "rtmp2src", "librtmp", "rtmpsrc"].map(|name| folder.path().join(name));
    let ffmpeg = ffmpeg::play(&location, &by_ffmpeg)?;
    let rtmpdump = rtmpdump::play(&location, rtmpdump::Stream::Live, &by_rtmpdump)?;
    let rtmp2src = gstreamer.launch(&format!(
        "rtmp2src location={location} ! filesink location={}",
        utf8(&by_rtmp2src)?
    ))?;
    // It hands on no less than a block, and the last one would have to wait for the end.
    let librtmp = gstreamer.launch(&format!(
        "rtmpsrc blocksize=1 location='{location} live=1' ! filesink buffer-mode=unbuffered location={}",
        utf8(&by_librtmp)?
    ))?;
    let player = Pipeline::new(&format!(
        "rtmpsrc location={location} ! filesink location={}",
        utf8(&by_rtmpsrc)?
    ))?;
    player.play()?;
    wait_for_players(&relay, 5)?;
    let publisher = Pipeline::new(&publisher(&location, 2))?;
    let published = publisher.tap("sink")?;
    publisher.play()?;
    publisher.wait_for_eos()?;
    player.wait_for_eos()?;
    ffmpeg.succeed(LONG)?;
    rtmpdump.end(LONG)?;
    rtmp2src.succeed(LONG)?;
    // librtmp's rtmpsrc does not end with the stream: after a while it connects anew.
    let expected = tags::frames(&published.tags()?);
    let by_librtmp = wait::until("librtmp to have written all", LONG, || {
        let written = tags::frames(&tags::read(&by_librtmp).ok()?);
        (written.len() == expected.len()).then_some(written)
    })?;
    drop(librtmp);

    assert_eq!(by_librtmp, expected);
    for file in [&by_rtmpsrc, &by_rtmpdump] {
        assert_eq!(tags::frames(&tags::read(file)?), expected, "{}", file.display());
    }
    // rtmp2src 1.22 forgets the message that it has in hand when the stream ends.
    let got = tags::frames(&tags::read(&by_rtmp2src)?);
    assert!(
        expected.starts_with(&got) && got.len() + 1 >= expected.len(),
        "{} of {}",
        got.len(),
        expected.len()
    );
    tags::write(&sent, &published.tags()?)?;
    let sent = ffmpeg::frames(utf8(&sent)?, Form::Encoded)?;
    assert_eq!(sent.video.len(), PICTURES);
    assert_eq!(ffmpeg::frames(utf8(&by_ffmpeg)?, Form::Encoded)?, sent);
    Ok(())
}

#[test]
fn rtmpsrc_gets_what_everybody_publishes() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let gstreamer = stock_gstreamer()?;
    let [file, got] = ["sent.flv", "got.flv"].map(|name| folder.path().join(name));
    ffmpeg::encode_sample(&file, 2)?;
    let sent = ffmpeg::frames(utf8(&file)?, Form::Encoded)?;
    let remux = |sink: &str, location: &str, file: &Path| -> Result<_> {
        gstreamer.launch(&format!(
            "filesrc location={} ! flvdemux name=demux flvmux name=mux streamable=true ! {sink} location={location} \
             demux.video ! queue ! mux.video demux.audio ! queue ! mux.audio",
            utf8(file)?
        ))
    };
    for peer in ["ffmpeg", "rtmp2sink", "rtmpsink", "ours"] {
        let relay = start()?;
        let location = relay.url("live", "main");
        let player = Pipeline::new(&format!(
            "rtmpsrc location={location} ! filesink location={}",
            utf8(&got)?
        ))?;
        player.play()?;
        wait_for_players(&relay, 1)?;
        match peer {
            "ffmpeg" => drop(ffmpeg::publish(&file, &location, Pace::Unpaced)?.succeed(LONG)?),
            "ours" => Pipeline::run(&format!(
                "filesrc location={} blocksize=1021 ! rtmpsink location={location} sync=false",
                utf8(&file)?
            ))?,
            sink => drop(remux(sink, &location, &file)?.succeed(LONG)?),
        }
        player.wait_for_eos()?;
        drop(player);
        let got = ffmpeg::frames(utf8(&got)?, Form::Encoded)?;
        assert_eq!(
            (got.video_md5(), got.audio_md5()),
            (sent.video_md5(), sent.audio_md5()),
            "{peer}"
        );
        if matches!(peer, "ffmpeg" | "ours") {
            assert_eq!(got, sent, "{peer}");
        }
    }
    Ok(())
}
