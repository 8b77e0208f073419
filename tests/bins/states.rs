//! Changes of state, latency and errors: as those of the elements inside.

use gst::glib;
use gst::prelude::*;

use crate::support::pipeline::Pipeline;
use crate::support::wait::{self, LONG};
use crate::support::{Failure, Result};
use crate::{parsers, start, wait_for_players};

/// Where nobody listens.
const NOBODY: &str = "rtmp://127.0.0.1:1/live/main";

/// A publisher of something short.
fn publisher(location: &str) -> String {
    format!(
        "rtmpsinkbin name=sink location={location} sync=false \
         videotestsrc num-buffers=10 ! x264enc ! video/x-h264,stream-format=byte-stream ! sink.video_0 \
         audiotestsrc num-buffers=10 ! voaacenc ! audio/mpeg,stream-format=adts ! sink.audio_0"
    )
}

/// All that the bin consists of.
fn parts(bin: &gst::Element) -> Vec<glib::WeakRef<glib::Object>> {
    let elements = bin
        .downcast_ref::<gst::Bin>()
        .into_iter()
        .flat_map(|bin| bin.iterate_recurse().into_iter().flatten());
    let mut parts = Vec::new();
    for element in elements.chain([bin.clone()]) {
        parts.extend(
            element
                .pads()
                .iter()
                .map(|pad| pad.upcast_ref::<glib::Object>().downgrade()),
        );
        parts.push(element.upcast::<glib::Object>().downgrade());
    }
    parts
}

fn wait_for_the_last(parts: &[glib::WeakRef<glib::Object>]) -> Result<()> {
    // The threads of a pipeline may hold a pad for a moment longer.
    let left = || parts.iter().filter_map(glib::WeakRef::upgrade);
    wait::until("the parts of a bin to be freed", LONG, || {
        (left().count() == 0).then_some(())
    })
    .map_err(|overdue| Failure::new(format!("{overdue}: {:?}", left().collect::<Vec<_>>())))
}

#[test]
fn publishing_again_leaves_nothing_behind() -> Result<()> {
    let relay = start()?;
    let pipeline = Pipeline::new(&publisher(&relay.url("live", "main")))?;
    let sink = pipeline.element("sink")?;
    for _ in 0..3 {
        pipeline.play()?;
        pipeline.wait_for_eos()?;
        assert!(pipeline.figure("sink", "out-video-messages")? >= 10);
        let bin = sink.downcast_ref::<gst::Bin>().ok_or(Failure::new("not a bin"))?;
        assert_eq!(parsers(bin), ["aacparse", "h264parse"]);
        pipeline.stop()?;
    }
    relay.wait_for(LONG, |snapshot| {
        snapshot.clients.is_empty() && snapshot.gone.len() == 3
    })?;
    let parts = parts(&sink);
    drop((pipeline, sink));
    wait_for_the_last(&parts)
}

#[test]
fn playing_again_leaves_nothing_behind() -> Result<()> {
    let relay = start()?;
    let location = relay.url("live", "main");
    let player = Pipeline::new(&format!(
        "fakesink name=pictures sync=false rtmpsrcbin name=src location={location} is-live=false"
    ))?;
    let src = player.element("src")?;
    let pictures = player.element("pictures")?.static_pad("sink");
    let pictures = pictures.ok_or(Failure::new("no pad sink"))?;
    // Nobody takes the sound.
    let (sender, shown) = std::sync::mpsc::channel();
    src.connect_pad_added(move |_, pad| {
        // The test may have failed.
        let _ = sender.send((pad.current_caps(), pad.stream_id()));
        if pad.name().starts_with("video") {
            pad.link(&pictures).expect("the pad of the last time is gone");
        }
    });
    let mut tracks = Vec::new();
    for n in 1..=3 {
        player.play()?;
        wait_for_players(&relay, 1)?;
        let publisher = Pipeline::new(&publisher(&location))?;
        publisher.play()?;
        publisher.wait_for_eos()?;
        player.wait_for_eos()?;
        let names: Vec<_> = src.src_pads().iter().map(|pad| pad.name().to_string()).collect();
        assert_eq!(names.len(), 2, "{names:?}");
        for pad in src.src_pads() {
            // Known to whom the pad was shown.
            let (caps, stream) = shown.recv_timeout(LONG)?;
            let caps = caps.ok_or(Failure::new("a pad without caps"))?;
            assert!(stream.is_some(), "{caps}");
            tracks.push(pad.upcast::<glib::Object>().downgrade());
        }
        player.stop()?;
        assert!(src.src_pads().is_empty());
        drop(publisher);
        relay.wait_for(LONG, |snapshot| snapshot.gone.len() == 2 * n)?;
    }
    let parts = parts(&src);
    drop((player, src));
    wait_for_the_last(&parts)?;
    wait_for_the_last(&tracks)
}

#[test]
fn tracks_are_told_of_in_one_collection() -> Result<()> {
    let relay = start()?;
    let location = relay.url("live", "main");
    let player = Pipeline::new(&format!(
        "rtmpsrcbin name=src location={location} is-live=false \
         src.video_0 ! fakesink sync=false src.audio_0 ! fakesink sync=false"
    ))?;
    let src = player.element("src")?;
    let (sender, no_more) = std::sync::mpsc::channel();
    src.connect_no_more_pads(move |src| {
        // The test may have failed.
        let _ = sender.send(src.src_pads().len());
    });
    player.play()?;
    wait_for_players(&relay, 1)?;
    let publisher = Pipeline::new(&publisher(&location))?;
    publisher.play()?;
    let collection = player.wait_for(LONG, |message| match message {
        gst::MessageView::StreamCollection(message) => Some(message.stream_collection()),
        _ => None,
    })?;
    let types: Vec<_> = collection.iter().map(|stream| stream.stream_type()).collect();
    assert_eq!(types.len(), 2, "{types:?}");
    assert!(types.contains(&gst::StreamType::AUDIO) && types.contains(&gst::StreamType::VIDEO));
    assert_eq!(no_more.recv_timeout(LONG)?, 2);
    Ok(())
}

#[test]
fn errors_are_those_of_the_elements_inside() -> Result<()> {
    let sink = Pipeline::new(&publisher(NOBODY))?;
    sink.play()?;
    let error = sink.wait_for_error()?;
    assert!(error.matches(gst::ResourceError::OpenWrite), "{error}");
    let src = Pipeline::new(&format!(
        "rtmpsrcbin name=src location={NOBODY} src.video_0 ! fakesink"
    ))?;
    src.play()?;
    let error = src.wait_for_error()?;
    assert!(error.matches(gst::ResourceError::OpenRead), "{error}");
    Ok(())
}

/// The latency of a pipeline that publishes live.
fn latency(sink: &str) -> Result<(bool, gst::ClockTime, Option<gst::ClockTime>)> {
    let relay = start()?;
    let running = Pipeline::new(&format!(
        "videotestsrc is-live=true ! video/x-raw,framerate=25/1 \
         ! x264enc tune=zerolatency ! video/x-h264,stream-format=avc ! {sink} location={} \
         audiotestsrc is-live=true ! voaacenc ! audio/mpeg,stream-format=raw ! into.audio",
        relay.url("live", "main")
    ))?;
    running.play()?;
    running.wait_for_state()?;
    let into = running.element("into")?;
    let parent = into.parent().and_downcast::<gst::Pipeline>();
    let pipeline = parent.ok_or(Failure::new("not in a pipeline"))?;
    let mut query = gst::query::Latency::new();
    assert!(pipeline.query(&mut query));
    Ok(query.result())
}

#[test]
fn latency_is_that_of_muxer_and_sink() -> Result<()> {
    let (is_live, least, most) = latency("into.video rtmpsinkbin name=into latency=300000000")?;
    assert!(is_live && least >= gst::ClockTime::from_mseconds(300), "{least}");
    assert_eq!(
        (is_live, least, most),
        latency("into.video rtmpmux name=into latency=300000000 ! rtmpsink")?
    );
    Ok(())
}

#[test]
fn latency_is_that_of_the_source() -> Result<()> {
    let relay = start()?;
    let location = relay.url("live", "main");
    let player = Pipeline::new(&format!(
        "rtmpsrcbin name=src location={location} latency=700 src.video_0 ! fakesink"
    ))?;
    player.play()?;
    wait_for_players(&relay, 1)?;
    let publisher = Pipeline::new(&publisher(&location))?;
    publisher.play()?;
    player.wait_for_state()?;
    let pad = player
        .element("src")?
        .static_pad("video_0")
        .ok_or(Failure::new("no pad"))?;
    let mut query = gst::query::Latency::new();
    assert!(pad.query(&mut query));
    let (is_live, least, _) = query.result();
    assert!(is_live && least >= gst::ClockTime::from_mseconds(700), "{least}");
    Ok(())
}
