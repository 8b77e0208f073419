//! What these tests share: probes, and a relay with somebody who plays.

use std::sync::{Arc, Mutex, PoisonError};

use gst::prelude::*;

use crate::relay::{Options, Relay};
use crate::support::pipeline::Pipeline;
use crate::support::wait::{self, LONG};
use crate::support::{Context, Failure, Result};

/// Pictures for encoders: 25 a second.
pub(crate) const PICTURES: &str =
    "videotestsrc num-buffers=30 ! video/x-raw,format=I420,width=320,height=240,framerate=25/1";

/// H.264 with B-frames, as `rtmpsink` takes it.
pub(crate) const H264: &str = "x264enc bframes=2 b-adapt=false key-int-max=10 ! video/x-h264,stream-format=avc,alignment=au,profile=main";

/// All that has gone into an element.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<Record>>);

/// See [`Seen`].
#[derive(Clone, Default)]
pub(crate) struct Record {
    pub(crate) buffers: Vec<gst::Buffer>,
    pub(crate) caps: Vec<gst::Caps>,
    pub(crate) segments: Vec<gst::FormattedSegment<gst::ClockTime>>,
    pub(crate) tags: Vec<gst::TagList>,
}

/// One frame as it matters: times in milliseconds after the first decoding time, whether it is a key frame, bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Frame {
    pub(crate) dts: u64,
    pub(crate) pts: i64,
    pub(crate) is_key: bool,
    pub(crate) bytes: Vec<u8>,
}

impl Seen {
    /// Watches the element `name`.
    pub(crate) fn at(pipeline: &Pipeline, name: &str) -> Result<Self> {
        let seen = Self::default();
        let record = Arc::clone(&seen.0);
        let pad = pipeline
            .element(name)?
            .static_pad("sink")
            .ok_or_else(|| Failure::new(format!("{name} has no pad sink")))?;
        let kinds = gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM;
        pad.add_probe(kinds, move |_, info| {
            let mut record = record.lock().unwrap_or_else(PoisonError::into_inner);
            match &info.data {
                Some(gst::PadProbeData::Buffer(buffer)) => record.buffers.push(buffer.clone()),
                Some(gst::PadProbeData::Event(event)) => match event.view() {
                    gst::EventView::Caps(caps) => record.caps.push(caps.caps_owned()),
                    gst::EventView::Tag(tags) => record.tags.push(tags.tag_owned()),
                    gst::EventView::Segment(segment) => {
                        record.segments.extend(segment.segment().clone().downcast().ok());
                    }
                    _ => {}
                },
                _ => {}
            }
            gst::PadProbeReturn::Ok
        });
        Ok(seen)
    }

    pub(crate) fn record(&self) -> Record {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until so many buffers have come.
    pub(crate) fn wait_for_buffers(&self, count: usize) -> Result<()> {
        wait::until("buffers", LONG, || {
            (self.record().buffers.len() >= count).then_some(())
        })
    }
}

/// The frames among buffers, timed from `origin` on, in nanoseconds.
pub(crate) fn frames(buffers: &[gst::Buffer], origin: u64) -> Vec<Frame> {
    let millis = |time: u64| (time - origin + 500_000) / 1_000_000;
    let mut last = 0;
    buffers
        .iter()
        .map(|buffer| {
            let pts = buffer.pts().map(gst::ClockTime::nseconds);
            let dts = buffer.dts().map(gst::ClockTime::nseconds);
            let dts = dts.or(pts).map_or(last, millis);
            last = dts;
            Frame {
                dts,
                pts: pts.map_or(dts, millis).cast_signed(),
                is_key: !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT),
                bytes: buffer.map_readable().unwrap().to_vec(),
            }
        })
        .collect()
}

/// A relay of its own for a test.
pub(crate) fn relay() -> Result<Relay> {
    Relay::start(Options::default()).context("starting the relay")
}

/// Publishes and plays one stream through `relay` at a time, from the first frame to the end: what went into the
/// sink, and what came out of the source. `player` stands between `rtmpsrc` and the end of the pipeline.
pub(crate) fn trip(relay: &Relay, publisher: &str, sink: &str, player: &str) -> Result<(Record, Record)> {
    let location = relay.url("live", "main");
    let player = Pipeline::new(&format!(
        "rtmpsrc name=src location={location} ! {player} ! fakesink name=end sync=false async=false"
    ))?;
    let publisher = Pipeline::new(&format!(
        "{publisher} ! rtmpsink name=sink location={location} sync=false {sink}"
    ))?;
    let (sent, got) = (Seen::at(&publisher, "sink")?, Seen::at(&player, "got")?);
    player.play()?;
    relay.wait_for(LONG, |snapshot| snapshot.players("live/main").count() == 1)?;
    publisher.play()?;
    publisher.wait_for_eos()?;
    player.wait_for_eos()?;
    drop((publisher, player));
    relay.wait_for(LONG, |snapshot| snapshot.players("live/main").count() == 0)?;
    Ok((sent.record(), got.record()))
}
