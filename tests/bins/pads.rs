//! Tracks that come, change and go.

use gst::prelude::*;

use crate::support::pipeline::Pipeline;
use crate::support::wait::{self, LONG};
use crate::support::{Failure, Result};
use crate::{inner, make, parsers, start, wait_for_players};

fn pads(element: &impl IsA<gst::Element>) -> Vec<String> {
    let mut names: Vec<String> = element.sink_pads().iter().map(|pad| pad.name().into()).collect();
    names.sort();
    names
}

#[test]
fn a_pad_is_one_of_the_muxers() -> Result<()> {
    let bin = make("rtmpsinkbin")?;
    let mux = inner(&bin, "mux")?;
    let request = |name| bin.request_pad_simple(name).map(|pad| pad.name());
    for (asked, given) in [
        ("video", "video"),
        ("video_%u", "video_1"),
        ("video_7", "video_7"),
        ("audio_%u", "audio_0"),
        ("audio_%u", "audio_1"),
    ] {
        assert_eq!(request(asked).as_deref(), Some(given), "{asked}");
    }
    assert_eq!(pads(&bin), ["audio_0", "audio_1", "video", "video_1", "video_7"]);
    assert_eq!(pads(&mux), pads(&bin));
    // Both would be track 0.
    assert_eq!(request("audio"), None);

    let audio = bin.static_pad("audio_0").ok_or(Failure::new("no pad"))?;
    bin.release_request_pad(&audio);
    assert_eq!(request("audio").as_deref(), Some("audio"));
    for pad in bin.sink_pads() {
        bin.release_request_pad(&pad);
    }
    assert!(pads(&bin).is_empty() && pads(&mux).is_empty());
    Ok(())
}

/// A live signal that is published without end.
fn live(location: &str) -> String {
    format!(
        "rtmpsinkbin name=sink location={location} \
         videotestsrc name=camera is-live=true ! video/x-raw,width=160,height=120,framerate=50/1 \
         ! x264enc tune=zerolatency ! video/x-h264,stream-format=byte-stream ! sink.video \
         audiotestsrc is-live=true ! audio/x-raw,rate=44100 ! voaacenc ! audio/mpeg,stream-format=adts \
         ! tee allow-not-linked=true ! sink.audio"
    )
}

#[test]
fn the_stream_goes_on_without_a_track_that_is_released() -> Result<()> {
    let relay = start()?;
    let pipeline = Pipeline::new(&live(&relay.url("live", "main")))?;
    pipeline.play()?;
    let wait_for = |field, least| {
        wait::until("messages", LONG, || {
            pipeline
                .figure("sink", field)
                .is_ok_and(|n| n > least)
                .then_some(())
        })
    };
    wait_for("out-video-messages", 5)?;
    wait_for("out-audio-messages", 5)?;
    let sink = pipeline.element("sink")?;
    let bin = sink.downcast_ref::<gst::Bin>().ok_or(Failure::new("not a bin"))?;
    assert_eq!(parsers(bin), ["aacparse", "h264parse"]);

    let audio = bin.static_pad("audio").ok_or(Failure::new("no pad audio"))?;
    bin.release_request_pad(&audio);
    assert_eq!(parsers(bin), ["h264parse"]);
    assert_eq!(pads(&inner(bin, "mux")?), ["video"]);
    let video = pipeline.figure("sink", "out-video-messages")?;
    let audio = pipeline.figure("sink", "out-audio-messages")?;
    wait_for("out-video-messages", video + 20)?;
    // What was in hand is all that still came.
    assert!(pipeline.figure("sink", "out-audio-messages")? <= audio + 3);
    assert!(pipeline.element("camera")?.send_event(gst::event::Eos::new()));
    pipeline.wait_for_eos()
}

#[test]
fn a_track_can_be_released_while_it_waits_for_another() -> Result<()> {
    let relay = start()?;
    let pipeline = Pipeline::new(&format!(
        "rtmpsinkbin name=sink location={} \
         audiotestsrc ! voaacenc ! audio/mpeg,stream-format=adts ! identity name=microphone ! sink.audio",
        relay.url("live", "main")
    ))?;
    let sink = pipeline.element("sink")?;
    sink.request_pad_simple("video").ok_or(Failure::new("no pad"))?;
    let pushed = pipeline.tap("microphone")?;
    pipeline.play()?;
    wait::until("sound", LONG, || (pushed.len() > 1).then_some(()))?;
    let audio = sink.static_pad("audio").ok_or(Failure::new("no pad audio"))?;
    let (done, released) = std::sync::mpsc::channel();
    std::thread::Builder::new().spawn(move || {
        sink.release_request_pad(&audio);
        // The test may have given up.
        let _ = done.send(());
    })?;
    Ok(released.recv_timeout(LONG)?)
}

#[test]
fn a_parser_leaves_when_it_is_needed_no_more() -> Result<()> {
    const PARSED: i32 = 20;
    let relay = start()?;
    let location = relay.url("live", "main");
    let player = Pipeline::new(&format!(
        "rtmpsrcbin name=src location={location} is-live=false src.audio_0 ! fakesink name=sounds sync=false"
    ))?;
    let got = player.tap("sounds")?;
    player.play()?;
    wait_for_players(&relay, 1)?;
    let encoder = format!(
        "audiotestsrc num-buffers={PARSED} samplesperbuffer=1024 wave=ticks ! audio/x-raw,rate=44100 ! voaacenc"
    );
    let publisher = Pipeline::new(&format!(
        "rtmpsinkbin name=sink location={location} sync=false \
         concat name=both ! identity name=microphone ! sink.audio \
         {encoder} ! audio/mpeg,stream-format=adts ! both. {encoder} ! audio/mpeg,stream-format=raw ! both."
    ))?;
    let sent = publisher.tap("microphone")?;
    let sink = publisher.element("sink")?;
    let bin = sink.downcast_ref::<gst::Bin>().ok_or(Failure::new("not a bin"))?;
    publisher.play()?;
    publisher.wait_for_eos()?;
    player.wait_for_eos()?;
    assert!(parsers(bin).is_empty());

    let sent = sent.buffers()?;
    assert!(sent.len() > 30);
    let sizes: Vec<_> = sent
        .iter()
        .enumerate()
        .map(|(n, buffer)| {
            let header = if n < sent.len() / 2 { ADTS_HEADER } else { 0 };
            buffer.size - header
        })
        .collect();
    let received: Vec<_> = got.buffers()?.iter().map(|buffer| buffer.size).collect();
    assert_eq!(received, sizes);
    Ok(())
}

/// Bytes of a header of ADTS without a checksum.
const ADTS_HEADER: usize = 7;
