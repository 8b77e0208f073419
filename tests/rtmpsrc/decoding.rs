//! From an encoder through the relay to decoded frames, by the ways in which applications play.

use std::time::Instant;

use gst::prelude::*;

use super::fixture::*;
use crate::relay::{Options, Relay};
use crate::support::wait::{self, LONG};
use crate::support::{Context, Failure, Result};

/// A test signal with a key frame every second, on its way to a relay for as long as it lives.
struct Publisher(gst::Pipeline);

impl Publisher {
    fn start(url: &str) -> Result<Self> {
        init();
        let description = format!(
            "flvmux name=mux streamable=true ! rtmpsink location={url} \
             videotestsrc is-live=true ! video/x-raw,width=160,height=120,framerate=25/1 \
             ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25 ! h264parse ! mux. \
             audiotestsrc is-live=true ! audioconvert ! avenc_aac ! aacparse ! mux."
        );
        let pipeline = gst::parse::launch(&description)
            .context(&description)?
            .downcast::<gst::Pipeline>()
            .map_err(|_| Failure::new("not a pipeline"))?;
        let publisher = Self(pipeline);
        publisher.0.set_state(gst::State::Playing)?;
        Ok(publisher)
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        // Fails only of elements that have failed already.
        let _ = self.0.set_state(gst::State::Null);
    }
}

/// A relay with a live signal, of which it has a group of pictures.
fn signal() -> Result<(Relay, Publisher, String)> {
    let relay = Relay::start(Options::default())?;
    let url = relay.url("live", "signal");
    let publisher = Publisher::start(&url)?;
    relay.wait_for(LONG, |snapshot| {
        let client = snapshot.publisher("live/signal");
        client.is_some_and(|client| client.messages_in.video > 10)
    })?;
    Ok((relay, publisher, url))
}

/// Waits until so many buffers have come to each of the sinks of `pipeline`, some of which are yet to be made.
fn wait_for_frames(pipeline: &gst::Pipeline, sinks: usize, frames: u64) -> Result<()> {
    let bus = pipeline.bus().ok_or(Failure::new("no bus"))?;
    let what = format!("{frames} frames in {sinks} sinks");
    wait::until(&what, LONG, || {
        if let Some(message) = bus.pop_filtered(&[gst::MessageType::Error, gst::MessageType::Eos]) {
            return Some(Err(Failure::new(format!("{message:?}"))));
        }
        let rendered = |sink: gst::Element| {
            let stats = sink.property::<gst::Structure>("stats");
            stats.get::<u64>("rendered").unwrap_or_default()
        };
        let sinks_there = pipeline.iterate_all_by_element_factory_name("fakesink");
        let enough = sinks_there
            .into_iter()
            .flatten()
            .filter(|sink| rendered(sink.clone()) >= frames);
        (enough.count() >= sinks).then_some(Ok(()))
    })?
}

fn pipeline_of(description: &str) -> Result<gst::Pipeline> {
    gst::parse::launch(description)
        .context(description)?
        .downcast::<gst::Pipeline>()
        .map_err(|_| Failure::new("not a pipeline"))
}

fn plays(description: &str) -> Result<()> {
    let pipeline = pipeline_of(description)?;
    pipeline.set_state(gst::State::Playing)?;
    let played = wait_for_frames(&pipeline, 2, 25);
    pipeline.set_state(gst::State::Null)?;
    played
}

#[test]
fn flvdemux_and_decoders_play_it_in_time() -> Result<()> {
    let (_relay, _publisher, url) = signal()?;
    for mode in ["smooth", "lowest-latency"] {
        let pipeline = pipeline_of(&format!(
            "rtmpsrc name=source location={url} start-mode={mode} ! flvdemux name=demux \
             demux.video ! queue ! h264parse ! avdec_h264 ! fakesink name=video sync=true qos=true max-lateness=20000000 \
             demux.audio ! queue ! aacparse ! avdec_aac ! fakesink sync=true"
        ))?;
        pipeline.set_state(gst::State::Playing)?;
        let played = wait_for_frames(&pipeline, 2, 50);
        let sink = pipeline.by_name("video").ok_or(Failure::new("no sink"))?;
        let dropped = sink.property::<gst::Structure>("stats").get::<u64>("dropped")?;
        pipeline.set_state(gst::State::Null)?;
        played?;
        if mode == "smooth" {
            assert_eq!(dropped, 0, "{mode}");
        }
    }
    Ok(())
}

#[test]
fn uridecodebin_plays_it() -> Result<()> {
    let (_relay, _publisher, url) = signal()?;
    plays(&format!(
        "uridecodebin uri={url} name=d d. ! videoconvert ! fakesink sync=true \
         d. ! audioconvert ! fakesink sync=true"
    ))
}

#[test]
fn playbin_plays_it() -> Result<()> {
    let (_relay, _publisher, url) = signal()?;
    plays(&format!(
        "playbin uri={url} video-sink=\"fakesink sync=true\" audio-sink=\"fakesink sync=true\""
    ))
}

#[test]
fn playbin3_plays_it() -> Result<()> {
    let (_relay, _publisher, url) = signal()?;
    plays(&format!(
        "playbin3 uri={url} video-sink=\"fakesink sync=true\" audio-sink=\"fakesink sync=true\""
    ))
}

/// A viewer that stays behind by the cached group would show its first frame; this one shows the last.
#[test]
fn lowest_latency_shows_what_is_happening_now() -> Result<()> {
    let (_relay, _publisher, url) = signal()?;
    let pipeline = pipeline_of(&format!(
        "rtmpsrc name=source location={url} start-mode=lowest-latency latency=0 \
         ! flvdemux ! queue ! h264parse ! avdec_h264 ! fakesink name=sink sync=true"
    ))?;
    let element = |name| pipeline.by_name(name).ok_or(Failure::new("no such element"));
    let (element, sink) = (element("source")?, element("sink")?);
    let source = Source::of(pipeline, element, sink)?;
    source.play()?;
    let started = Instant::now();
    source.wait_for("a second of video", |outputs| {
        let frames = buffers(outputs);
        let dts = |buffer: Option<&gst::Buffer>| buffer.and_then(|buffer| buffer.dts());
        let span = dts(frames.last())?.checked_sub(dts(frames.first())?)?;
        (span > gst::ClockTime::from_mseconds(1500)).then_some(())
    })?;
    let (segment, _) = &source.segments()[0];
    let newest = source.buffers().last().and_then(|buffer| buffer.dts());
    let due = segment
        .to_running_time(newest)
        .ok_or(Failure::new("outside the segment"))?;
    // What came last is due now, but for the time that the signal and we took.
    let now = source.running_time();
    let ahead = due.saturating_sub(now);
    assert!(
        ahead < gst::ClockTime::from_mseconds(250),
        "{due} at {now} after {:?}",
        started.elapsed()
    );
    Ok(())
}
