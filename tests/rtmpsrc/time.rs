//! Timestamps, segments and queries: where the stream's time lies in the pipeline's.

use gst::glib;
use gst::prelude::*;

use super::fixture::*;
use crate::support::wait::{self, LONG};
use crate::support::{Context, Failure, Result};

fn millis(times: impl IntoIterator<Item = Option<gst::ClockTime>>) -> Vec<u64> {
    times
        .into_iter()
        .map(|time| time.map_or(u64::MAX, gst::ClockTime::mseconds))
        .collect()
}

fn is_increasing(times: &[u64]) -> bool {
    times.is_sorted() && !times.contains(&u64::MAX)
}

/// The times of buffers that come out of pads of flvdemux, whose caps start with `media`.
fn tap_demuxed(source: &Source, media: &'static str) -> Result<std::sync::mpsc::Receiver<u64>> {
    let (sender, times) = std::sync::mpsc::channel();
    let demux = source
        .pipeline
        .iterate_all_by_element_factory_name("flvdemux")
        .next()
        .map_err(|_| Failure::new("the elements of the pipeline change"))?
        .ok_or(Failure::new("the pipeline has no flvdemux"))?;
    demux.connect_pad_added(move |demux, pad| {
        let caps = pad.current_caps().unwrap_or_else(gst::Caps::new_empty);
        let is_wanted = caps
            .structure(0)
            .is_some_and(|structure| structure.name().starts_with(media));
        let sender = sender.clone();
        let sink = gst::ElementFactory::make("fakesink")
            .property("sync", false)
            .build();
        let (Ok(sink), Some(bin)) = (sink, demux.parent().and_downcast::<gst::Bin>()) else {
            return;
        };
        let target = sink.static_pad("sink");
        if bin.add(&sink).is_err() || target.is_none_or(|target| pad.link(&target).is_err()) {
            return;
        }
        let _ = sink.sync_state_with_parent();
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            if let (true, Some(buffer)) = (is_wanted, info.buffer()) {
                // The test may be over.
                let _ = sender.send(buffer.pts().map_or(u64::MAX, gst::ClockTime::mseconds));
            }
            gst::PadProbeReturn::Ok
        });
    });
    Ok(times)
}

#[test]
fn a_source_added_to_a_running_pipeline_plays_from_the_moment_data_arrives() -> Result<()> {
    let server = playing(|client| {
        client.wait_for_cue()?;
        send(client, 1, &group(7_200_000, 3))?;
        finish(client, 1)
    })?;
    init();
    let pipeline = gst::Pipeline::new();
    let other = gst::parse::bin_from_description("audiotestsrc is-live=true ! fakesink", false)?;
    pipeline.add(&other)?;
    pipeline.set_state(gst::State::Playing)?;
    wait::until("the pipeline to run for a while", LONG, || {
        let running = pipeline.current_running_time()?;
        (running > gst::ClockTime::from_mseconds(300)).then_some(())
    })?;

    let element = make()?;
    element.set_property("location", server.url("live", "key"));
    let sink = gst::ElementFactory::make("fakesink").build()?;
    // A sink that prerolls would hold up the source that waits for the pipeline to play.
    sink.set_property("async", false);
    pipeline.add_many([&element, &sink])?;
    element.link(&sink)?;
    let source = Source::of(pipeline, element.clone(), sink.clone())?;
    sink.sync_state_with_parent()?;
    element.sync_state_with_parent()?;
    server.wait_for_command("play")?;
    let before = source.running_time();
    server.cue();
    source.wait_for_tags(3)?;

    let [(segment, at)] = &source.segments()[..] else {
        return Err(Failure::new(format!("not one segment: {:?}", source.segments())));
    };
    assert_eq!(segment.start(), Some(gst::ClockTime::from_seconds(7200)));
    let base = segment.base().unwrap_or_default();
    assert!(before <= base && base <= *at, "{before} <= {base} <= {at}");
    let running = segment.to_running_time(gst::ClockTime::from_seconds(7200));
    assert_eq!(running, Some(base), "the first frame is due when it came");
    Ok(())
}

#[test]
fn latency_is_reported_as_the_property_says() -> Result<()> {
    let source = Source::with("rtmp://127.0.0.1:1/live/key", &[("latency", "350")])?;
    source.element.set_state(gst::State::Ready)?;
    let latency = || {
        let mut query = gst::query::Latency::new();
        source.element.query(&mut query).then(|| query.result())
    };
    let expected = |millis| Some((true, gst::ClockTime::from_mseconds(millis), gst::ClockTime::NONE));
    assert_eq!(latency(), expected(350));
    source.element.set_property("latency", 1_u32);
    assert_eq!(latency(), expected(1));
    source.wait_for_message(&[gst::MessageType::Latency])?;
    source.element.set_property("is-live", false);
    assert!(latency().is_none_or(|(is_live, ..)| !is_live));
    Ok(())
}

#[test]
fn a_live_source_does_not_preroll() -> Result<()> {
    let server = stream_of(group(0, 2))?;
    let source = Source::new(&server.url("live", "key"))?;
    let change = source.pipeline.set_state(gst::State::Paused)?;
    assert_eq!(change, gst::StateChangeSuccess::NoPreroll);
    let mut query = gst::query::Scheduling::new();
    assert!(source.pad.query(&mut query));
    assert!(!query.result().0.contains(gst::SchedulingFlags::BANDWIDTH_LIMITED));
    source.wait_for_connection("connected")?;
    assert!(source.outputs().is_empty());
    source.run()?;
    Ok(())
}

#[test]
fn without_is_live_it_plays_like_a_file() -> Result<()> {
    let server = stream_of(group(90_000, 5))?;
    let source = Source::before(
        "fakesink sync=true",
        &server.url("live", "key"),
        &[("is-live", "false")],
    )?;
    assert_eq!(
        source.pipeline.set_state(gst::State::Paused)?,
        gst::StateChangeSuccess::Async
    );
    source.wait_for_message(&[gst::MessageType::AsyncDone])?;
    let mut query = gst::query::Scheduling::new();
    assert!(source.pad.query(&mut query));
    let (flags, ..) = query.result();
    assert_eq!(
        flags,
        gst::SchedulingFlags::SEQUENTIAL | gst::SchedulingFlags::BANDWIDTH_LIMITED
    );
    let mut query = gst::query::Latency::new();
    assert!(!(source.element.query(&mut query) && query.result().0));

    source.run()?;
    let [(segment, _)] = &source.segments()[..] else {
        return Err(Failure::new(format!("not one segment: {:?}", source.segments())));
    };
    assert_eq!(segment.start(), Some(gst::ClockTime::from_seconds(90)));
    assert_eq!(segment.base(), Some(gst::ClockTime::ZERO));
    Ok(())
}

/// rtmp2src restarts the FLV field at 24 ms, and flvdemux follows it.
#[test]
fn time_goes_on_across_the_wrap_of_32_bits_and_behind_flvdemux() -> Result<()> {
    const START: u32 = 4_294_967_000;
    let mut messages = video_start();
    messages.extend(group(START, 20));
    let source = Source::before("flvdemux", &stream_of(messages)?.url("live", "key"), &[])?;
    let demuxed = tap_demuxed(&source, "video/x-h264")?;
    source.play()?;
    let mut times = Vec::new();
    while times.len() < 20 {
        times.push(demuxed.recv_timeout(LONG).context("waiting for flvdemux")?);
    }
    let steps: Vec<_> = times
        .windows(2)
        .map(|pair| pair[1].wrapping_sub(pair[0]))
        .collect();
    assert_eq!(steps, [40; 19], "{times:?}");

    let buffers = source.buffers();
    let pts = millis(buffers.iter().map(|buffer| buffer.pts()));
    let dts = millis(buffers.iter().map(|buffer| buffer.dts()));
    assert!(is_increasing(&pts) && is_increasing(&dts), "{pts:?} {dts:?}");
    assert_eq!(dts.last().unwrap() - dts.first().unwrap(), 19 * 40);
    Ok(())
}

#[test]
fn messages_that_step_back_a_little_keep_their_times() -> Result<()> {
    let mut messages = video_start();
    messages.extend([
        video(1000, KEY_FRAME),
        audio(993, SOUND),
        video(1040, INTER_FRAME),
        audio(1016, SOUND),
    ]);
    let source = Source::new(&stream_of(messages)?.url("live", "key"))?;
    let tags = source.run()?;
    let times: Vec<_> = tags.iter().skip(2).map(|tag| tag.timestamp).collect();
    assert_eq!(times, [1000, 993, 1040, 1016]);
    assert_eq!(source.segments().len(), 1);
    let disconts = source
        .buffers()
        .iter()
        .filter(|buffer| buffer.flags().contains(gst::BufferFlags::DISCONT))
        .count();
    assert_eq!(disconts, 1);
    Ok(())
}

/// Servers that say nothing when a publisher leaves go on with the next one, at 0, after any time.
#[test]
fn a_publisher_that_starts_over_is_in_time_again() -> Result<()> {
    let server = playing(|client| {
        send(client, 1, &video_start())?;
        send(client, 1, &group(60_000, 3))?;
        client.wait_for_cue()?;
        send(client, 1, &video_start())?;
        send(client, 1, &group(0, 3))?;
        finish(client, 1)
    })?;
    let source = Source::new(&server.url("live", "key"))?;
    source.play()?;
    source.wait_for_time(60_080)?;
    let first_base = source.segments()[0].0.base().unwrap_or_default();
    // Longer than the old stream lasts.
    let absent = wait::until("the publisher to be away for a while", LONG, || {
        let running = source.running_time();
        (running > first_base + gst::ClockTime::from_mseconds(300)).then_some(running)
    })?;
    server.cue();
    source.wait_for_eos()?;

    let buffers = source.buffers();
    let dts = millis(buffers.iter().map(|buffer| buffer.dts()));
    assert!(is_increasing(&dts), "{dts:?}");
    let tags = source.tags()?;
    let frames = tags.iter().filter(|tag| tag.body.len() == KEY_FRAME.len());
    let times: Vec<_> = frames.map(|tag| tag.timestamp).collect();
    assert_eq!(times, [60_000, 60_040, 60_080, 60_080, 60_120, 60_160]);
    let discont = buffers
        .iter()
        .rposition(|buffer| buffer.flags().contains(gst::BufferFlags::DISCONT));
    assert_eq!(
        discont,
        Some(buffers.len() - 3),
        "at the new publisher's first frame"
    );

    let segments = source.segments();
    assert_eq!(segments.len(), 2);
    let (segment, at) = &segments[1];
    assert_eq!(segment.start(), Some(gst::ClockTime::from_mseconds(60_080)));
    let base = segment.base().unwrap_or_default();
    assert!(absent <= base && base <= *at, "{absent} <= {base} <= {at}");
    Ok(())
}

#[test]
fn a_publisher_that_starts_over_at_once_plays_behind_the_last() -> Result<()> {
    // Two seconds at once, so that the second publisher comes while the first one's are played.
    let messages: Vec<_> = [group(60_000, 50), group(0, 3)].concat();
    let source = Source::new(&stream_of(messages)?.url("live", "key"))?;
    let tags = source.run()?;
    assert_eq!(tags[50].timestamp, 60_000 + 49 * 40);
    assert_eq!(source.segments().len(), 1, "the old one serves");
    Ok(())
}

#[test]
fn it_cannot_be_sought() -> Result<()> {
    let server = playing(|client| {
        send(client, 1, &group(0, 2))?;
        client.wait_for_cue()?;
        send(client, 1, &[video(80, INTER_FRAME)])?;
        finish(client, 1)
    })?;
    let source = Source::new(&server.url("live", "key"))?;
    source.play()?;
    source.wait_for_tags(2)?;
    let mut query = gst::query::Seeking::new(gst::Format::Time);
    assert!(source.element.query(&mut query) && !query.result().0);
    let flags = gst::SeekFlags::FLUSH | gst::SeekFlags::KEY_UNIT;
    let refused: std::result::Result<(), glib::BoolError> =
        source.element.seek_simple(flags, gst::ClockTime::from_seconds(1));
    assert!(refused.is_err());
    server.cue();
    source.wait_for_eos()?;
    assert_eq!(source.tags()?.len(), 3, "as if nothing had been asked");
    let flushed = source
        .outputs()
        .iter()
        .any(|output| matches!(output, Output::Flush));
    assert!(!flushed, "{:?}", source.outputs());
    Ok(())
}
